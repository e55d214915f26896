#include "agent/vault/vault_impl.h"

/* How sessions end, and when. */

void
vault_leave_open(struct vault_vm *vm, struct session *s)
{
	struct session **at = &vm->open;

	while (*at != NULL && *at != s)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = s->next;
	vm->open_count--;
	s->next = vm->ended;
	vm->ended = s;
}

void
vault_end_session(struct vault *v, struct vault_vm *vm, struct session *s,
    const char *event, const char *why)
{
	struct span id = span_of(s->id.bytes, sizeof(s->id.bytes));
	struct err err = { 0 };

	vault_leave_open(vm, s);
	session_close(s, times_boot_ms(&v->clock), times_wall_ms(&v->clock));
	v->live_count--;
	v->erased = true;
	(void)vault_put_session(v, s);
	if (store_delete(v->store, STORE_LAUNCH_ANSWER, id, &err) != 0 ||
	    store_delete(v->store, STORE_EVIDENCE, id, &err) != 0 ||
	    store_delete(v->store, STORE_RELEASE_ANSWER, id, &err) != 0)
		vault_fail(v, &err);
	if (event != NULL)
		vault_audit(v, &s->vm, &s->id, event, "%s", why);
	v->asked++; /* who waits for the owner's word on it waits no more */
}

static void
forget_session(struct vault *v, struct session *s)
{
	struct err err = { 0 };

	if (store_delete(v->store, STORE_SESSION,
		span_of(s->id.bytes, sizeof(s->id.bytes)), &err) != 0)
		vault_fail(v, &err);
	session_table_remove(&v->sessions, s);
}

void
vault_expire(struct vault *v, struct vault_vm *vm)
{
	int64_t now = times_boot_ms(&v->clock);
	struct session **at = &vm->ended;
	struct session *s;
	struct session *next;
	size_t tombs = 0;

	for (s = vm->open; s != NULL; s = next) {
		next = s->next;
		if (now - s->since_boot_ms >= v->life_ms)
			vault_end_session(
			    v, vm, s, "expired", "no measurement came in time");
	}
	while ((s = *at) != NULL) {
		int64_t age = now - s->since_boot_ms;

		if (s->state != SESSION_CLOSED) {
			if (age >= v->replay_ms)
				vault_end_session(v, vm, s, NULL, "");
		} else if (age >= VAULT_REMEMBER_MS ||
		    ++tombs > VAULT_TOMBS_MAX) {
			*at = s->next;
			forget_session(v, s);
			continue;
		}
		at = &s->next;
	}
}

void
vault_settle(struct vault *v, struct vault_vm *vm, struct session *s)
{
	int64_t age = times_boot_ms(&v->clock) - s->since_boot_ms;

	if (s->state == SESSION_OPEN && age >= v->life_ms)
		vault_end_session(
		    v, vm, s, "expired", "no measurement came in time");
	else if ((s->state == SESSION_RELEASED || s->state == SESSION_FROZEN) &&
	    age >= v->replay_ms)
		vault_end_session(v, vm, s, NULL, "");
}

static bool
list_is_due(
    const struct session *s, int64_t now, int64_t life_ms, int64_t replay_ms)
{
	size_t tombs = 0;

	for (; s != NULL; s = s->next) {
		int64_t age = now - s->since_boot_ms;

		if (s->state == SESSION_CLOSED &&
		    (age >= VAULT_REMEMBER_MS || ++tombs > VAULT_TOMBS_MAX))
			return true;
		if (s->state != SESSION_CLOSED &&
		    age >= (s->state == SESSION_OPEN ? life_ms : replay_ms))
			return true;
	}
	return false;
}

bool
vault_is_due(const struct vault *v)
{
	int64_t now = times_boot_ms(&v->clock);
	size_t i;

	if (v->explain_ready > 0)
		return true;
	for (i = 0; i < v->vm_count; i++)
		if (list_is_due(
			v->vms[i]->open, now, v->life_ms, v->replay_ms) ||
		    list_is_due(
			v->vms[i]->ended, now, v->life_ms, v->replay_ms))
			return true;
	return false;
}

void
vault_sweep(struct vault *v)
{
	size_t i;

	for (i = 0; i < v->vm_count; i++)
		vault_expire(v, v->vms[i]);
	vault_explain_ready(v);
}

int
vault_cancel(struct vault *v, const struct uuid *session, struct err *err)
{
	struct session *s = session_table_find(&v->sessions, session);
	struct vault_vm *vm = s != NULL ? vault_vm_find(v, &s->vm) : NULL;

	if (vm == NULL)
		return err_set(err, ERR_NOT_FOUND, "no such session");
	if (s->state != SESSION_OPEN)
		return err_set(err, ERR_CONFLICT,
		    "the session is not open: it was released, or has ended");
	vault_end_session(v, vm, s, "cancelled", "by the owner");
	return 0;
}
