#include <stdlib.h>
#include <string.h>

#include "agent/vault/move.h"
#include "agent/vault/vault_impl.h"
#include "agent/vault/vault_move.h"
#include "common/hex.h"

/* The other half of vault_move.h: taking what another agent handed over. */

struct arrivals {
	struct vault_vm **vms; /* owned; NULL once the vault has it */
	size_t count;
};

static void
arrivals_free(struct arrivals *a)
{
	size_t i;

	for (i = 0; i < a->count; i++)
		vault_vm_free(a->vms[i]);
	free(a->vms);
}

static int
read_vm(struct vault_vm **out, struct reader *r, struct err *err)
{
	struct registration *reg = NULL;
	struct vault_vm *vm = NULL;
	struct move_vm parts;

	if (move_next(&parts, r, err) != 0 ||
	    registration_decode(&reg, parts.registration, err) != 0)
		return -1;
	if (registration_check(reg, err) != 0) {
		registration_free(reg);
		return -1;
	}
	if (vault_vm_new(&vm, reg, err) != 0)
		return -1;
	if ((parts.counts.len > 0 &&
		vault_read_counts(vm, parts.counts, err) != 0) ||
	    (parts.blocked.ptr != NULL &&
		vault_read_blocked(vm, parts.blocked, err) != 0)) {
		vault_vm_free(vm);
		return -1;
	}
	vm->disabled = (parts.flags & MOVE_DISABLED) != 0;
	*out = vm;
	return 0;
}

static int
read_all(struct arrivals *out, struct span text, struct err *err)
{
	struct reader r = reader_of(text);
	size_t count;

	if (move_count(&r, &count, err) != 0)
		return -1;
	out->vms = calloc(count, sizeof(struct vault_vm *));
	if (out->vms == NULL)
		return err_set(err, ERR_MEMORY, "no memory for an import");
	while (out->count < count) {
		if (read_vm(&out->vms[out->count], &r, err) != 0)
			return -1;
		out->count++;
	}
	if (!reader_done(&r))
		return err_set(
		    err, ERR_MALFORMED, "export with bytes behind its end");
	return 0;
}

/* All is judged before anything is written. */
static int
check_all(const struct vault *v, const struct arrivals *in, struct err *err)
{
	size_t i;
	size_t k;

	if (v->vm_count + in->count > VAULT_VMS_MAX)
		return err_set(err, ERR_LIMIT, "%zu VMs more would be over %d",
		    in->count, VAULT_VMS_MAX);
	for (i = 0; i < in->count; i++) {
		const struct registration *a = in->vms[i]->reg;

		if (vault_check_free(v, a, err) != 0)
			return -1;
		for (k = 0; k < i; k++) {
			const struct registration *b = in->vms[k]->reg;

			if (uuid_equal(&a->vm, &b->vm) ||
			    strcmp(a->name, b->name) == 0)
				return err_set(err, ERR_MALFORMED,
				    "export with %s twice", a->name);
		}
	}
	return 0;
}

static int
take_one(struct vault *v, struct vault_vm *vm, const char *id, struct err *err)
{
	const struct registration *r = vm->reg;
	struct span key = span_of(r->vm.bytes, sizeof(r->vm.bytes));

	/* Back where it came from: it may be served here again. */
	if (store_delete(v->store, STORE_MOVED, key, err) != 0 ||
	    vault_put_registration(v, r, err) != 0)
		return -1;
	if (vault_put_counts(v, vm) != 0 ||
	    (vm->disabled && vault_put_disabled(v, vm) != 0))
		return err_set(err, v->why.code, "%s", v->why.msg);
	if (vm->has_blocked &&
	    store_put(v->store, STORE_BLOCK, key,
		span_of(vm->blocked.keys, vm->blocked.count * SEV_SHA256_LEN),
		err) != 0)
		return -1;
	secret_free(&vm->reg->table);
	if (vault_vm_add(v, vm, err) != 0)
		return -1;
	vault_audit(v, &r->vm, NULL, "import",
	    "%s: taken over in export %s after %llu releases elsewhere; %s, "
	    "policy 0x%x, %zu digests, %u secrets",
	    r->name, id, (unsigned long long)vm->released,
	    registration_scheme_name(r->scheme), r->policy, r->digest_count,
	    r->secret_count);
	return 0;
}

static int
take_all(struct vault *v, struct arrivals *in, const uint8_t id[MOVE_ID_LEN],
    struct err *err)
{
	char text[2 * MOVE_ID_LEN + 1];
	uint8_t bytes[8];
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t i;

	writer_be64(&w, (uint64_t)times_wall_ms(&v->clock));
	if (store_put(v->store, STORE_IMPORT, span_of(id, MOVE_ID_LEN),
		writer_span(&w), err) != 0) {
		vault_fail(v, err);
		return -1;
	}
	(void)hex_encode(text, sizeof(text), span_of(id, MOVE_ID_LEN));
	for (i = 0; i < in->count; i++) {
		if (take_one(v, in->vms[i], text, err) != 0) {
			vault_fail(v, err); /* so that the others go, too */
			return -1;
		}
		in->vms[i] = NULL;
	}
	return 0;
}

/* Each export once: a VM that was removed here, or moved on, must not come
 * back with its old count of releases. */
static int
check_new(struct vault *v, const uint8_t id[MOVE_ID_LEN], struct err *err)
{
	struct secret when = { 0 };
	struct err why = { 0 };

	if (store_get(&when, v->store, STORE_IMPORT, span_of(id, MOVE_ID_LEN),
		&why) != 0) {
		if (why.code == ERR_NOT_FOUND)
			return 0;
		return err_set(err, why.code, "%s", why.msg);
	}
	secret_free(&when);
	return err_set(
	    err, ERR_CONFLICT, "that export was imported here before");
}

int
vault_move_import(struct vault *v, struct span file,
    const uint8_t sender[UUID_KEY_LEN], struct err *err)
{
	uint8_t private[MOVE_KEY_LEN] = { 0 };
	struct arrivals in = { 0 };
	struct secret text = { 0 };
	struct move_file parts;
	int rc = -1;

	if (move_read(&parts, file, err) != 0)
		return -1;
	if (vault_move_private(private, v, err) != 0) {
		if (err->code == ERR_NOT_FOUND)
			(void)err_set(err, ERR_NOT_FOUND,
			    "nothing is sealed to this agent: it has no key "
			    "for that yet (attest-agent key seal-to)");
		return -1;
	}
	if (move_open(&text, &parts, private, sender, err) == 0 &&
	    check_new(v, parts.id, err) == 0 &&
	    read_all(&in, secret_span(&text), err) == 0 &&
	    check_all(v, &in, err) == 0)
		rc = take_all(v, &in, parts.id, err);
	secret_wipe(private, sizeof(private));
	secret_free(&text);
	arrivals_free(&in);
	return rc;
}
