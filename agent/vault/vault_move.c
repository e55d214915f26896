#include "agent/vault/vault_move.h"

#include <stdlib.h>
#include <string.h>

#include "agent/vault/move.h"
#include "agent/vault/vault_impl.h"
#include "common/hex.h"

#define ID_TEXT_LEN (2 * MOVE_ID_LEN + 1)
#define MOVED_MAX (MOVE_ID_LEN + 8 + MOVE_KEY_LEN + REGISTRATION_NAME_MAX)

static struct span
key_of(const struct uuid *vm)
{
	return span_of(vm->bytes, sizeof(vm->bytes));
}

int
vault_move_private(uint8_t out[MOVE_KEY_LEN], struct vault *v, struct err *err)
{
	struct secret stored = { 0 };
	int rc = -1;

	if (store_get(&stored, v->store, STORE_MOVE_KEY, span_str("seal-to"),
		err) != 0)
		return -1;
	if (stored.len == MOVE_KEY_LEN) {
		memcpy(out, stored.ptr, MOVE_KEY_LEN);
		rc = 0;
	} else {
		(void)err_set(err, ERR_MALFORMED, "stored key to seal to");
	}
	secret_free(&stored);
	return rc;
}

int
vault_move_key(uint8_t out[MOVE_KEY_LEN], struct vault *v, struct err *err)
{
	uint8_t private[MOVE_KEY_LEN] = { 0 };
	struct err why = { 0 };
	int rc = -1;

	if (vault_move_private(private, v, &why) != 0) {
		if (why.code != ERR_NOT_FOUND) {
			(void)err_set(err, why.code, "%s", why.msg);
			goto out;
		}
		if (move_key_new(private, err) != 0)
			goto out;
		if (store_put(v->store, STORE_MOVE_KEY, span_str("seal-to"),
			span_of(private, sizeof(private)), err) != 0) {
			vault_fail(v, err);
			goto out;
		}
		vault_audit(v, NULL, NULL, "seal-key",
		    "key made to which other agents may seal exports");
	}
	rc = move_key_public(out, private, err);
out:
	secret_wipe(private, sizeof(private));
	return rc;
}

static int
find_all(struct vault_vm **out, const struct vault *v, const struct uuid *vms,
    size_t count, struct err *err)
{
	size_t i;
	size_t k;

	for (i = 0; i < count; i++) {
		out[i] = vault_vm_find(v, &vms[i]);
		if (out[i] == NULL)
			return err_set(err, ERR_NOT_FOUND, "no such VM");
		for (k = 0; k < i; k++)
			if (out[k] == out[i])
				return err_set(err, ERR_USAGE,
				    "%s is named twice", out[i]->reg->name);
	}
	return 0;
}

static int
put_vm(struct buf *out, struct vault *v, const struct vault_vm *vm,
    struct err *err)
{
	uint8_t counts[VAULT_COUNTS_MAX];
	struct writer w = writer_of(counts, sizeof(counts));
	struct secret registration = { 0 };
	struct move_vm parts = { .flags = vm->disabled ? MOVE_DISABLED : 0 };
	int rc;

	/* As it is stored: the secrets are nowhere else (T18). */
	if (store_get(&registration, v->store, STORE_VM,
		span_of(vm->reg->vm.bytes, sizeof(vm->reg->vm.bytes)),
		err) != 0)
		return -1;
	vault_write_counts(&w, vm);
	parts.registration = secret_span(&registration);
	parts.counts = writer_span(&w);
	if (vm->has_blocked)
		parts.blocked = span_of(
		    vm->blocked.keys, vm->blocked.count * SEV_SHA256_LEN);
	rc = move_put(out, &parts, err);
	secret_free(&registration);
	return rc;
}

static int
check_recipient(
    struct vault *v, const uint8_t recipient[MOVE_KEY_LEN], struct err *err)
{
	uint8_t private[MOVE_KEY_LEN] = { 0 };
	uint8_t own[MOVE_KEY_LEN] = { 0 };
	int rc = 0;

	if (vault_move_private(private, v, NULL) == 0 &&
	    move_key_public(own, private, NULL) == 0 &&
	    memcmp(own, recipient, MOVE_KEY_LEN) == 0)
		rc = err_set(err, ERR_USAGE,
		    "--sealed-to is this agent's own key; give the other's");
	secret_wipe(private, sizeof(private));
	return rc;
}

static int
make_file(struct secret *out, const uint8_t id[MOVE_ID_LEN], struct vault *v,
    struct vault_vm *const *vms, size_t count,
    const uint8_t recipient[MOVE_KEY_LEN], struct err *err)
{
	struct buf text;
	int rc = -1;
	size_t i;

	buf_init(&text, MOVE_TEXT_MAX, true);
	if (move_put_count(&text, count, err) != 0)
		goto out;
	for (i = 0; i < count; i++)
		if (put_vm(&text, v, vms[i], err) != 0) {
			if (err->code == ERR_LIMIT)
				(void)err_set(err, ERR_LIMIT,
				    "too much for one file of %d bytes: "
				    "export fewer VMs at a time",
				    MOVE_FILE_MAX);
			goto out;
		}
	rc = move_seal(out, id, v->key, recipient, times_wall_ms(&v->clock),
	    buf_span(&text), err);
out:
	buf_free(&text);
	return rc;
}

/* What stays behind of ${vm}; it is gone after this. */
static int
leave_behind(struct vault *v, struct vault_vm *vm,
    const uint8_t id[MOVE_ID_LEN], const uint8_t recipient[MOVE_KEY_LEN],
    struct err *err)
{
	char to[MOVE_KEY_TEXT_LEN];
	char text[ID_TEXT_LEN];
	uint8_t bytes[MOVED_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct registration *r = vm->reg;

	writer_put(&w, span_of(id, MOVE_ID_LEN));
	writer_be64(&w, (uint64_t)times_wall_ms(&v->clock));
	writer_put(&w, span_of(recipient, MOVE_KEY_LEN));
	writer_put(&w, span_str(r->name));
	vault_audit(v, &r->vm, NULL, "export",
	    "%s: handed over in export %s to %s after %llu releases, %zu open "
	    "sessions ended",
	    r->name, hex_encode(text, sizeof(text), span_of(id, MOVE_ID_LEN)),
	    move_key_format(to, recipient), (unsigned long long)vm->released,
	    vm->open_count);
	if (store_put(v->store, STORE_MOVED, key_of(&r->vm), writer_span(&w),
		err) != 0)
		return -1;
	return vault_drop(v, vm, err);
}

int
vault_move_export(struct secret *out, uint8_t id[MOVE_ID_LEN], struct vault *v,
    const struct uuid *vms, size_t count, const uint8_t recipient[MOVE_KEY_LEN],
    struct err *err)
{
	struct vault_vm **found = calloc(count + 1, sizeof(*found));
	int rc = -1;
	size_t i;

	if (found == NULL)
		return err_set(err, ERR_MEMORY, "no memory for an export");
	if (v->key == NULL) {
		(void)err_set(err, ERR_NOT_FOUND,
		    "no key to sign with yet: attest-agent key new");
		goto out;
	}
	if (find_all(found, v, vms, count, err) != 0 ||
	    check_recipient(v, recipient, err) != 0 ||
	    secret_random(id, MOVE_ID_LEN, err) != 0 ||
	    make_file(out, id, v, found, count, recipient, err) != 0)
		goto out;
	rc = store_put(v->store, STORE_EXPORT, span_of(id, MOVE_ID_LEN),
	    secret_span(out), err);
	for (i = 0; rc == 0 && i < count; i++)
		rc = leave_behind(v, found[i], id, recipient, err);
	if (rc != 0) {
		vault_fail(v, err);
		secret_free(out);
	}
out:
	free(found);
	return rc;
}

int
vault_move_again(struct secret *out, struct vault *v,
    const uint8_t id[MOVE_ID_LEN], struct err *err)
{
	struct err why = { 0 };

	if (store_get(out, v->store, STORE_EXPORT, span_of(id, MOVE_ID_LEN),
		&why) == 0)
		return 0;
	if (why.code == ERR_NOT_FOUND)
		return err_set(
		    err, ERR_NOT_FOUND, "no export of that id is kept here");
	return err_set(err, why.code, "%s", why.msg);
}

static int
read_moved(struct vault_moved *out, struct span key, struct span value,
    struct err *err)
{
	struct reader k = reader_of(key);
	struct reader r = reader_of(value);
	struct span name;

	memset(out, 0, sizeof(*out));
	reader_copy(&k, out->vm.bytes, sizeof(out->vm.bytes));
	reader_copy(&r, out->id, sizeof(out->id));
	out->wall_ms = (int64_t)reader_be64(&r);
	reader_copy(&r, out->recipient, sizeof(out->recipient));
	name = reader_take(&r, r.rest.len);
	if (!reader_done(&k) || !reader_done(&r) ||
	    name.len > REGISTRATION_NAME_MAX)
		return err_set(
		    err, ERR_MALFORMED, "stored word of a VM that moved");
	if (name.len > 0)
		memcpy(out->name, name.ptr, name.len);
	return 0;
}

struct each {
	int (*fn)(void *arg, const struct vault_moved *moved);
	void *arg;
	bool over;
};

static int
each_row(void *arg, struct span key, struct span value, struct err *err)
{
	struct vault_moved moved;
	struct each *each = arg;

	if (read_moved(&moved, key, value, err) != 0)
		return -1;
	each->over = each->over || each->fn(each->arg, &moved) != 0;
	return 0;
}

int
vault_move_each(struct vault *v,
    int (*fn)(void *arg, const struct vault_moved *moved), void *arg,
    struct err *err)
{
	struct each each = { fn, arg, false };

	return store_each(v->store, STORE_MOVED, each_row, &each, err);
}

/* The VMs of one export. */
struct of_export {
	const uint8_t *id;
	struct uuid *vms; /* owned */
	size_t count;
};

static int
keep_match(void *arg, const struct vault_moved *moved)
{
	struct of_export *of = arg;
	struct uuid *more;

	if (memcmp(moved->id, of->id, MOVE_ID_LEN) != 0)
		return 0;
	more = reallocarray(of->vms, of->count + 1, sizeof(*more));
	if (more == NULL)
		return 0; /* its word stays behind, and refuses */
	of->vms = more;
	of->vms[of->count++] = moved->vm;
	return 0;
}

int
vault_move_forget(
    struct vault *v, const uint8_t id[MOVE_ID_LEN], struct err *err)
{
	struct of_export of = { .id = id };
	struct secret file = { 0 };
	char text[ID_TEXT_LEN];
	int rc = -1;
	size_t i;

	if (vault_move_again(&file, v, id, err) != 0 ||
	    vault_move_each(v, keep_match, &of, err) != 0)
		goto out;
	rc =
	    store_delete(v->store, STORE_EXPORT, span_of(id, MOVE_ID_LEN), err);
	for (i = 0; rc == 0 && i < of.count; i++)
		rc = store_delete(
		    v->store, STORE_MOVED, key_of(&of.vms[i]), err);
	if (rc != 0)
		vault_fail(v, err);
	else
		vault_audit(v, NULL, NULL, "export",
		    "export %s forgotten, with its %zu VMs",
		    hex_encode(text, sizeof(text), span_of(id, MOVE_ID_LEN)),
		    of.count);
out:
	secret_free(&file);
	free(of.vms);
	return rc;
}

int
vault_move_check(struct vault *v, const struct uuid *vm, struct err *err)
{
	struct secret word = { 0 };
	struct err why = { 0 };
	struct vault_moved moved;
	char text[ID_TEXT_LEN];

	if (store_get(&word, v->store, STORE_MOVED, key_of(vm), &why) != 0) {
		if (why.code == ERR_NOT_FOUND)
			return 0;
		return err_set(err, why.code, "%s", why.msg);
	}
	if (read_moved(&moved, key_of(vm), secret_span(&word), err) == 0)
		(void)err_set(err, ERR_CONFLICT,
		    "%s was handed over in export %s; if the other agent is "
		    "no more: attest-agent export --forget",
		    moved.name,
		    hex_encode(text, sizeof(text),
			span_of(moved.id, sizeof(moved.id))));
	secret_free(&word);
	return -1;
}
