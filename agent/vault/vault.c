#include "agent/vault/vault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/plain.h"
#include "agent/vault/vault_impl.h"

static const char *const outcome_names[VAULT_OUTCOMES] = {
	[VAULT_OK] = "ok",
	[VAULT_NOT_MINE] = "not-mine",
	[VAULT_REFUSED] = "refused",
	[VAULT_MISMATCH] = "measurement-mismatch",
	[VAULT_BLOB_REUSED] = "launch-blob-reused",
	[VAULT_CLOSED] = "session-closed",
	[VAULT_RATE_LIMITED] = "rate-limited",
	[VAULT_TOO_MANY_OPEN] = "too-many-open-sessions",
	[VAULT_IDEM_MISMATCH] = "idempotency-mismatch",
	[VAULT_NO_CEK] = "cek-unavailable",
	[VAULT_PENDING] = "approval-pending",
	[VAULT_IN_PROGRESS] = "in-progress",
	[VAULT_STORAGE] = "agent-storage",
	[VAULT_INTERNAL] = "internal",
};

char *
vault_key_format(char out[KEY_TEXT_LEN], const struct vault *v)
{
	out[0] = '\0';
	return v->key != NULL ? key_format(out, v->key) : out;
}

const char *
vault_outcome_name(enum vault_outcome o)
{
	return o < VAULT_OUTCOMES ? outcome_names[o] : "unknown";
}

struct vault_vm *
vault_vm_find(const struct vault *v, const struct uuid *id)
{
	size_t i;

	for (i = 0; i < v->vm_count; i++)
		if (uuid_equal(&v->vms[i]->reg->vm, id))
			return v->vms[i];
	return NULL;
}

void
vault_fail(struct vault *v, const struct err *err)
{
	if (!v->failed)
		v->why = *err;
	v->failed = true;
}

static void
keep_line(struct vault *v, const struct store_audit *row)
{
	struct store_audit *more;

	if (v->line_count == v->line_cap) {
		more = reallocarray(v->lines, v->line_cap + 64, sizeof(*more));
		if (more == NULL)
			return; /* not echoed; the log itself has it */
		v->lines = more;
		v->line_cap += 64;
	}
	v->lines[v->line_count++] = *row;
}

void
vault_audit(struct vault *v, const struct uuid *vm, const struct uuid *session,
    const char *event, const char *fmt, ...)
{
	struct store_audit row = { .wall_ms = times_wall_ms(&v->clock) };
	struct err err = { 0 };
	va_list ap;

	if (v->failed)
		return;
	if (vm != NULL)
		row.vm = *vm;
	if (session != NULL)
		row.session = *session;
	(void)snprintf(row.event, sizeof(row.event), "%s", event);
	va_start(ap, fmt);
	(void)vsnprintf(row.detail, sizeof(row.detail), fmt, ap);
	va_end(ap);
	(void)plain(row.detail); /* hosts have a say in it */
	if (store_audit_add(v->store, &row, &err) != 0)
		vault_fail(v, &err);
	else
		keep_line(v, &row);
}

void
vault_vm_free(struct vault_vm *vm)
{
	if (vm == NULL)
		return;
	registration_free(vm->reg);
	policy_trust_free(vm->trust);
	free(vm->blocked.keys);
	free(vm->release_wall_ms);
	free(vm);
}

int
vault_vm_new(struct vault_vm **out, struct registration *reg, struct err *err)
{
	struct vault_vm *vm = calloc(1, sizeof(*vm));

	if (vm == NULL) {
		registration_free(reg);
		return err_set(err, ERR_MEMORY, "no memory for a VM");
	}
	vm->reg = reg;
	if (policy_trust_new(&vm->trust, reg, err) != 0) {
		vault_vm_free(vm);
		return -1;
	}
	*out = vm;
	return 0;
}

int
vault_vm_add(struct vault *v, struct vault_vm *vm, struct err *err)
{
	struct vault_vm **more;
	size_t at = v->vm_count;

	if (v->vm_count >= VAULT_VMS_MAX)
		return err_set(err, ERR_LIMIT, "%d VMs are registered already",
		    VAULT_VMS_MAX);
	more = reallocarray(v->vms, v->vm_count + 1, sizeof(*more));
	if (more == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a VM");
	v->vms = more;
	while (at > 0 && v->vms[at - 1]->reg->created_ms > vm->reg->created_ms)
		at--;
	memmove(
	    v->vms + at + 1, v->vms + at, (v->vm_count - at) * sizeof(*more));
	v->vms[at] = vm;
	v->vm_count++;
	return 0;
}

void
vault_forget(struct vault *v)
{
	size_t i;

	memset(v->asks, 0, sizeof(v->asks));
	v->asked++;
	for (i = 0; i < v->vm_count; i++)
		vault_vm_free(v->vms[i]);
	free(v->vms);
	v->vms = NULL;
	v->vm_count = 0;
	v->live_count = 0;
	free(v->ceks);
	v->ceks = NULL;
	v->cek_count = 0;
	free(v->blocked.keys);
	v->blocked = (struct policy_blocklist){ 0 };
	session_table_free(&v->sessions);
	vault_forget_explains(v);
}

static int
load_vm(void *arg, struct span key, struct span value, struct err *err)
{
	struct registration *reg = NULL;
	struct vault_vm *vm = NULL;
	struct vault *v = arg;

	if (registration_decode(&reg, value, err) != 0)
		return -1;
	if (!span_equal(key, span_of(reg->vm.bytes, sizeof(reg->vm.bytes)))) {
		registration_free(reg);
		return err_set(
		    err, ERR_MALFORMED, "a registration under another key");
	}
	if (vault_vm_new(&vm, reg, err) != 0)
		return -1;
	secret_free(&reg->table);
	if (vault_vm_add(v, vm, err) != 0) {
		vault_vm_free(vm);
		return -1;
	}
	return 0;
}

static int
load_session(void *arg, struct span key, struct span value, struct err *err)
{
	struct session *s = calloc(1, sizeof(*s));
	struct vault *v = arg;
	struct vault_vm *vm;

	(void)key;
	if (s == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a session");
	if (session_decode(s, value, &v->clock, v->boot_id, err) != 0 ||
	    session_table_add(&v->sessions, s, err) != 0) {
		free(s);
		return -1;
	}
	vm = vault_vm_find(v, &s->vm);
	if (vm == NULL)
		return err_set(err, ERR_MALFORMED, "a session without its VM");
	if (s->state == SESSION_OPEN) {
		s->next = vm->open;
		vm->open = s;
		vm->open_count++;
	} else {
		s->next = vm->ended;
		vm->ended = s;
	}
	if (s->state != SESSION_CLOSED)
		v->live_count++;
	return 0;
}

int
vault_load(struct vault *v, struct err *err)
{
	size_t i;

	if (session_table_init(&v->sessions, err) != 0)
		return -1;
	if (vault_is_locked(v))
		return 0;
	if (store_each(v->store, STORE_VM, load_vm, v, err) != 0 ||
	    store_each(v->store, STORE_SESSION, load_session, v, err) != 0 ||
	    vault_load_ceks(v, err) != 0 || vault_load_blocked(v, err) != 0)
		return -1;
	for (i = 0; i < v->vm_count; i++)
		if (vault_load_counts(v, v->vms[i], err) != 0 ||
		    vault_load_disabled(v, v->vms[i], err) != 0)
			return -1;
	return 0;
}

int
vault_open(struct vault **out, const struct state *state,
    const struct vault_options *options, struct err *err)
{
	struct vault *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the vault");
	v->clock = options->clock;
	v->key = options->key;
	v->keep_tik = options->keep_tik;
	v->echo = options->echo;
	v->echo_arg = options->echo_arg;
	v->life_ms = options->life_ms > 0 ? options->life_ms : VAULT_LIFE_MS;
	v->replay_ms =
	    options->replay_ms > 0 ? options->replay_ms : VAULT_REPLAY_MS;
	times_boot_id(v->boot_id);
	v->erased = true; /* one that was killed may not have come to it */
	if (store_open(&v->store, state, err) != 0 || vault_load(v, err) != 0) {
		vault_close(v);
		return -1;
	}
	*out = v;
	return 0;
}

void
vault_close(struct vault *v)
{
	if (v == NULL)
		return;
	vault_forget(v);
	store_close(v->store);
	free(v->lines);
	free(v);
}

int
vault_begin(struct vault *v, struct err *err)
{
	v->line_count = 0;
	if (v->failed) {
		/* An earlier batch was lost: what is in memory may be ahead
		 * of the disk, so read it again before anything else. */
		vault_forget(v);
		memset(v->fetched, 0, sizeof(v->fetched));
		if (vault_load(v, err) != 0)
			return -1;
		v->failed = false;
	}
	if (store_begin(v->store, err) != 0)
		return -1;
	return 0;
}

int
vault_commit(struct vault *v, struct err *err)
{
	size_t i;

	if (v->failed) {
		store_rollback(v->store);
		return err_set(err, v->why.code, "%s", v->why.msg);
	}
	if (store_commit(v->store, err) != 0) {
		v->failed = true;
		v->why = *err;
		return -1;
	}
	for (i = 0; v->echo != NULL && i < v->line_count; i++)
		v->echo(v->echo_arg, &v->lines[i]);
	v->line_count = 0;
	v->explain_ready = v->explain_count;
	return 0;
}

int
vault_put_session(struct vault *v, const struct session *s)
{
	uint8_t bytes[SESSION_BYTES_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct err err = { 0 };
	int rc;

	session_encode(&w, s, v->boot_id);
	rc = store_put(v->store, STORE_SESSION,
	    span_of(s->id.bytes, sizeof(s->id.bytes)), writer_span(&w), &err);
	secret_wipe(bytes, sizeof(bytes));
	if (rc != 0)
		vault_fail(v, &err);
	return rc;
}

void
vault_erase_traces(struct vault *v)
{
	if (!v->erased)
		return;
	v->erased = store_erase_traces(v->store) != 0;
}
