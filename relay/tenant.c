#include "relay/tenant.h"

#include "common/base64.h"
#include "common/hex.h"

#include <assert.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_PREFIX "ed25519:"

struct tenant {
	char name[TENANT_NAME_MAX + 1];
	bool self_certifying;
};

struct owned_key {
	uint8_t key[UUID_KEY_LEN];
	size_t tenant;
};

struct owned_vm {
	struct uuid uuid;
	size_t tenant;
};

struct tenants {
	struct tenant *list; /* owned */
	size_t count;
	void *key_tree; /* of struct owned_key, by tsearch(3) */
	void *vm_tree;  /* of struct owned_vm */
};

static int
compare_keys(const void *a, const void *b)
{
	const struct owned_key *x = a, *y = b;

	return memcmp(x->key, y->key, sizeof(x->key));
}

static int
compare_vms(const void *a, const void *b)
{
	const struct owned_vm *x = a, *y = b;

	return memcmp(x->uuid.bytes, y->uuid.bytes, sizeof(x->uuid.bytes));
}

int
tenants_new(struct tenants **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return err_set(err, ERR_MEMORY, "no memory for tenants");
	return 0;
}

void
tenants_free(struct tenants *t)
{
	if (t == NULL)
		return;
	tdestroy(t->key_tree, free);
	tdestroy(t->vm_tree, free);
	free(t->list);
	free(t);
}

int
tenants_add(struct tenants *t, const char *name, bool self_certifying,
    size_t *index, struct err *err)
{
	struct tenant *more;

	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->list[i].name, name) == 0)
			return err_set(err, ERR_CONFLICT,
			    "tenant %s is listed twice", name);
	more = reallocarray(t->list, t->count + 1, sizeof(*more));
	if (more == NULL)
		return err_set(err, ERR_MEMORY, "no memory for tenants");
	t->list = more;
	more[t->count] = (struct tenant){ .self_certifying = self_certifying };
	snprintf(more[t->count].name, sizeof(more[t->count].name), "%s", name);
	*index = t->count++;
	return 0;
}

/*
 * Is ${key} a point of small order?  Anybody can sign for those, and the
 * zeros of a key left empty are one (RFC 8032 leaves the check to us).
 * The y coordinates of all eight, and the two that are not reduced.
 */
static bool
is_small_order(const uint8_t key[UUID_KEY_LEN])
{
	static const char *const ys[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	char text[2 * UUID_KEY_LEN + 1];
	uint8_t y[UUID_KEY_LEN];

	memcpy(y, key, sizeof(y));
	y[UUID_KEY_LEN - 1] &= 0x7f; /* the sign of x */
	hex_encode(text, sizeof(text), span_of(y, sizeof(y)));
	for (size_t i = 0; i < sizeof(ys) / sizeof(ys[0]); i++)
		if (strcmp(text, ys[i]) == 0)
			return true;
	return false;
}

int
tenants_add_key(
    struct tenants *t, size_t index, const char *text, struct err *err)
{
	size_t prefix = strlen(KEY_PREFIX), len;
	struct owned_key *key, **at;

	if (strncmp(text, KEY_PREFIX, prefix) != 0)
		return err_set(err, ERR_MALFORMED,
		    "an agent's key starts with \"" KEY_PREFIX
		    "\" (attest-agent key show prints it)");
	key = calloc(1, sizeof(*key));
	if (key == NULL)
		return err_set(err, ERR_MEMORY, "no memory for keys");
	key->tenant = index;
	if (base64_decode(key->key, sizeof(key->key), &len,
		span_str(text + prefix), NULL) != 0 ||
	    len != sizeof(key->key)) {
		free(key);
		return err_set(err, ERR_MALFORMED,
		    "an agent's key is \"" KEY_PREFIX
		    "\" and the base64 of %d bytes",
		    UUID_KEY_LEN);
	}
	if (is_small_order(key->key)) {
		free(key);
		return err_set(err, ERR_UNTRUSTED,
		    "this key is of small order: anybody can sign for it");
	}
	at = tsearch(key, &t->key_tree, compare_keys);
	if (at == NULL || *at != key) {
		size_t other = at != NULL ? (*at)->tenant : 0;

		free(key);
		if (at == NULL)
			return err_set(err, ERR_MEMORY, "no memory for keys");
		return err_set(err, ERR_CONFLICT,
		    "this key is listed already, for tenant %s",
		    t->list[other].name);
	}
	return 0;
}

int
tenants_add_vm(
    struct tenants *t, size_t index, const char *text, struct err *err)
{
	struct owned_vm *vm, **at;
	char name[UUID_TEXT_LEN + 1];

	vm = calloc(1, sizeof(*vm));
	if (vm == NULL)
		return err_set(err, ERR_MEMORY, "no memory for UUIDs");
	vm->tenant = index;
	if (uuid_parse(&vm->uuid, span_str(text), err) != 0) {
		free(vm);
		return -1;
	}
	at = tsearch(vm, &t->vm_tree, compare_vms);
	if (at == NULL || *at != vm) {
		size_t other = at != NULL ? (*at)->tenant : 0;

		uuid_format(name, &vm->uuid);
		free(vm);
		if (at == NULL)
			return err_set(err, ERR_MEMORY, "no memory for UUIDs");
		return err_set(err, ERR_CONFLICT,
		    "%s is listed already, for tenant %s", name,
		    t->list[other].name);
	}
	return 0;
}

size_t
tenants_count(const struct tenants *t)
{
	return t->count;
}

const char *
tenants_name(const struct tenants *t, size_t index)
{
	assert(index < t->count);
	return t->list[index].name;
}

bool
tenants_of_key(
    const struct tenants *t, const uint8_t key[UUID_KEY_LEN], size_t *index)
{
	struct owned_key want, *const *found;

	memcpy(want.key, key, sizeof(want.key));
	found = tfind(&want, &t->key_tree, compare_keys);
	if (found == NULL)
		return false;
	*index = (*found)->tenant;
	return true;
}

bool
tenants_may_claim(const struct tenants *t, size_t index,
    const uint8_t key[UUID_KEY_LEN], const struct frame_claim_name *name)
{
	struct owned_vm want = { .uuid = name->uuid }, *const * found;
	struct uuid certified;
	bool of_key = false;

	/* Before the UUID is looked up: a foreign one must not be denied
	 * sooner than an unknown one. */
	if (t->list[index].self_certifying && name->label.len > 0)
		of_key = uuid_self_certifying(
			     &certified, key, name->label, NULL) == 0 &&
		    uuid_equal(&certified, &name->uuid);
	found = tfind(&want, &t->vm_tree, compare_vms);
	if (found != NULL)
		return (*found)->tenant == index && name->label.len == 0;
	return of_key;
}
