#include "agent/vault/vault_impl.h"

/* What the owner turns off and on: all of it, or one VM. */

bool
vault_is_locked(const struct vault *v)
{
	return store_is_locked(v->store);
}

void
vault_lock(struct vault *v)
{
	if (vault_is_locked(v))
		return;
	vault_audit(v, NULL, NULL, "lock",
	    "locked by the owner: keys and registrations left memory");
	vault_forget(v);
	store_lock(v->store);
}

int
vault_unlock(struct vault *v, struct span key, struct err *err)
{
	if (!vault_is_locked(v))
		return err_set(err, ERR_CONFLICT, "it is not locked");
	if (store_unlock(v->store, key, err) != 0)
		return -1;
	vault_forget(v);
	if (vault_load(v, err) != 0) {
		vault_forget(v);
		store_lock(v->store);
		return -1;
	}
	vault_audit(v, NULL, NULL, "unlock", "unlocked by the owner");
	return 0;
}

int
vault_put_disabled(struct vault *v, const struct vault_vm *vm)
{
	const uint8_t one = 1;
	struct span key = span_of(vm->reg->vm.bytes, sizeof(vm->reg->vm.bytes));
	struct err err = { 0 };
	int rc;

	rc = vm->disabled
	    ? store_put(v->store, STORE_DISABLED, key, span_of(&one, 1), &err)
	    : store_delete(v->store, STORE_DISABLED, key, &err);
	if (rc != 0)
		vault_fail(v, &err);
	return rc;
}

int
vault_set_disabled(
    struct vault *v, const struct uuid *id, bool disabled, struct err *err)
{
	struct vault_vm *vm = vault_vm_find(v, id);

	if (vm == NULL)
		return err_set(err, ERR_NOT_FOUND, "no such VM");
	if (vm->disabled == disabled)
		return 0;
	vm->disabled = disabled;
	if (vault_put_disabled(v, vm) != 0)
		return err_set(err, v->why.code, "%s", v->why.msg);
	vault_audit(v, id, NULL, disabled ? "disable" : "enable",
	    "%s: %s by the owner", vm->reg->name,
	    disabled ? "disabled" : "enabled");
	v->asked++; /* who waits for her word is tried again, and sent away */
	return 0;
}

int
vault_load_disabled(struct vault *v, struct vault_vm *vm, struct err *err)
{
	struct secret stored = { 0 };
	struct err why = { 0 };

	if (store_get(&stored, v->store, STORE_DISABLED,
		span_of(vm->reg->vm.bytes, sizeof(vm->reg->vm.bytes)),
		&why) == 0)
		vm->disabled = true;
	else if (why.code != ERR_NOT_FOUND)
		return err_set(err, why.code, "%s", why.msg);
	secret_free(&stored);
	return 0;
}

int
vault_enabled(const struct vault_vm *vm, struct err *err)
{
	if (!vm->disabled)
		return 0;
	return err_set(err, ERR_UNTRUSTED,
	    "the VM is disabled (attest-agent vm enable %s)", vm->reg->name);
}

int
vault_take_table(struct secret *out, struct vault *v, const struct vault_vm *vm,
    struct err *err)
{
	struct registration *whole = NULL;
	struct secret stored = { 0 };
	int rc = -1;

	if (store_get(&stored, v->store, STORE_VM,
		span_of(vm->reg->vm.bytes, sizeof(vm->reg->vm.bytes)),
		err) != 0 ||
	    registration_read(&whole, secret_span(&stored), err) != 0)
		goto out;
	*out = whole->table;
	whole->table = (struct secret){ 0 };
	rc = 0;
out:
	registration_free(whole);
	secret_free(&stored);
	return rc;
}
