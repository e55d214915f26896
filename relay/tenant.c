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
	struct tenant_rules rules;
	struct account *account; /* borrowed; NULL until bound */
};

struct owned_key {
	uint8_t key[UUID_KEY_LEN];
	size_t tenant;
};

struct owned_vm {
	struct uuid uuid;
	size_t tenant;
};

struct owned_name {
	const char *name; /* borrowed from the configuration */
	size_t tenant;
};

struct tenants {
	struct tenant *list; /* owned */
	size_t count;
	size_t *by_account; /* owned; index + 1 by the account's id, 0: none */
	uint32_t account_count;
	void *key_tree;  /* of struct owned_key, by tsearch(3) */
	void *vm_tree;   /* of struct owned_vm */
	void *name_tree; /* of struct owned_name: certificates */
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

static int
compare_names(const void *a, const void *b)
{
	const struct owned_name *x = a, *y = b;

	return strcmp(x->name, y->name);
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
	tdestroy(t->name_tree, free);
	free(t->by_account);
	free(t->list);
	free(t);
}

int
tenants_add(struct tenants *t, const char *name,
    const struct tenant_rules *rules, size_t *index, struct err *err)
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
	more[t->count] = (struct tenant){ .rules = *rules };
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
tenant_key_parse(uint8_t out[UUID_KEY_LEN], const char *text, struct err *err)
{
	size_t prefix = strlen(KEY_PREFIX), len;

	if (strncmp(text, KEY_PREFIX, prefix) != 0)
		return err_set(err, ERR_MALFORMED,
		    "an agent's key starts with \"" KEY_PREFIX
		    "\" (attest-agent key show prints it)");
	if (base64_decode(
		out, UUID_KEY_LEN, &len, span_str(text + prefix), NULL) != 0 ||
	    len != UUID_KEY_LEN)
		return err_set(err, ERR_MALFORMED,
		    "an agent's key is \"" KEY_PREFIX
		    "\" and the base64 of %d bytes",
		    UUID_KEY_LEN);
	if (is_small_order(out))
		return err_set(err, ERR_UNTRUSTED,
		    "this key is of small order: anybody can sign for it");
	return 0;
}

char *
tenant_key_format(
    char out[TENANT_KEY_TEXT_LEN], const uint8_t key[UUID_KEY_LEN])
{
	size_t prefix = strlen(KEY_PREFIX);

	memcpy(out, KEY_PREFIX, prefix);
	base64_encode(out + prefix, TENANT_KEY_TEXT_LEN - prefix,
	    span_of(key, UUID_KEY_LEN));
	return out;
}

int
tenants_add_key(
    struct tenants *t, size_t index, const char *text, struct err *err)
{
	struct owned_key *key, **at;

	key = calloc(1, sizeof(*key));
	if (key == NULL)
		return err_set(err, ERR_MEMORY, "no memory for keys");
	key->tenant = index;
	if (tenant_key_parse(key->key, text, err) != 0) {
		free(key);
		return -1;
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
tenants_add_certificate(
    struct tenants *t, size_t index, const char *name, struct err *err)
{
	struct owned_name *one = calloc(1, sizeof(*one)), **at;

	if (one == NULL)
		return err_set(err, ERR_MEMORY, "no memory for certificates");
	*one = (struct owned_name){ name, index };
	at = tsearch(one, &t->name_tree, compare_names);
	if (at == NULL || *at != one) {
		size_t other = at != NULL ? (*at)->tenant : 0;

		free(one);
		if (at == NULL)
			return err_set(
			    err, ERR_MEMORY, "no memory for certificates");
		return err_set(err, ERR_CONFLICT,
		    "%s is listed already, for tenant %s", name,
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

int
tenants_bind(struct tenants *t, struct accounts *accounts, struct err *err)
{
	for (size_t i = 0; i < t->count; i++)
		if (accounts_of(&t->list[i].account, accounts, t->list[i].name,
			err) != 0)
			return -1;
	free(t->by_account);
	t->account_count = accounts_count(accounts);
	t->by_account = calloc(t->account_count + 1, sizeof(*t->by_account));
	if (t->by_account == NULL)
		return err_set(err, ERR_MEMORY, "no memory for tenants");
	for (size_t i = 0; i < t->count; i++)
		t->by_account[t->list[i].account->id] = i + 1;
	return 0;
}

struct account *
tenants_account(const struct tenants *t, size_t index)
{
	assert(index < t->count);
	return t->list[index].account;
}

const struct tenant_rules *
tenants_rules(const struct tenants *t, const struct account *account)
{
	size_t at;

	if (account->id >= t->account_count)
		return NULL; /* younger than this configuration */
	at = t->by_account[account->id];
	return at != 0 ? &t->list[at - 1].rules : NULL;
}

struct account *
tenants_of_key(const struct tenants *t, const uint8_t key[UUID_KEY_LEN])
{
	struct owned_key want, *const *found;

	memcpy(want.key, key, sizeof(want.key));
	found = tfind(&want, &t->key_tree, compare_keys);
	return found != NULL ? t->list[(*found)->tenant].account : NULL;
}

struct account *
tenants_of_vm(const struct tenants *t, const struct uuid *uuid)
{
	struct owned_vm want = { .uuid = *uuid }, *const * found;

	found = tfind(&want, &t->vm_tree, compare_vms);
	return found != NULL ? t->list[(*found)->tenant].account : NULL;
}

struct account *
tenants_of_certificate(const struct tenants *t, const char *name)
{
	struct owned_name want = { name, 0 }, *const * found;

	found = tfind(&want, &t->name_tree, compare_names);
	return found != NULL ? t->list[(*found)->tenant].account : NULL;
}

struct walk {
	const struct tenants *t;
	void (*key)(void *arg, struct account *account,
	    const uint8_t key[UUID_KEY_LEN]);
	void (*vm)(void *arg, struct account *account, const struct uuid *uuid);
	void *arg;
};

static void
visit_key(const void *node, VISIT which, void *closure)
{
	const struct walk *w = closure;
	const struct owned_key *key = *(void *const *)node;

	if (which == postorder || which == leaf)
		w->key(w->arg, w->t->list[key->tenant].account, key->key);
}

void
tenants_each_key(const struct tenants *t,
    void (*fn)(
	void *arg, struct account *account, const uint8_t key[UUID_KEY_LEN]),
    void *arg)
{
	struct walk w = { .t = t, .key = fn, .arg = arg };

	twalk_r(t->key_tree, visit_key, &w);
}

static void
visit_vm(const void *node, VISIT which, void *closure)
{
	const struct walk *w = closure;
	const struct owned_vm *vm = *(void *const *)node;

	if (which == postorder || which == leaf)
		w->vm(w->arg, w->t->list[vm->tenant].account, &vm->uuid);
}

void
tenants_each_vm(const struct tenants *t,
    void (*fn)(void *arg, struct account *account, const struct uuid *uuid),
    void *arg)
{
	struct walk w = { .t = t, .vm = fn, .arg = arg };

	twalk_r(t->vm_tree, visit_vm, &w);
}
