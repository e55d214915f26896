#include "agent/vault/owner_impl.h"

#include <stdlib.h>

#include "common/hex.h"

/* The owner's word: what waits for it, and what she says. */

static int
tell_done(struct buf *out, const char *name, uint64_t value, struct err *err)
{
	json_t *reply = json_object();

	(void)json_object_set_new(reply, name, json_integer((json_int_t)value));
	return owner_tell(out, reply, err);
}

static int
do_answer(
    struct buf *out, struct vault *v, bool yes, struct span in, struct err *err)
{
	struct reader r = reader_of(in);
	uint64_t id = reader_be64(&r);

	if (!reader_done(&r))
		return err_set(
		    err, ERR_MALFORMED, "want the number of a question");
	if (vault_answer(v, id, yes, err) != 0)
		return -1;
	return tell_done(out, yes ? "approved" : "denied", id, err);
}

static int
do_lock(struct buf *out, struct vault *v, struct err *err)
{
	vault_lock(v);
	return tell_done(out, "locked", 1, err);
}

static int
do_unlock(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	if (vault_unlock(v, in, err) != 0)
		return -1;
	return tell_done(out, "vms", vault_count(v), err);
}

static int
do_disable(struct buf *out, struct vault *v, bool disabled, struct span in,
    struct err *err)
{
	char text[UUID_TEXT_LEN + 1];
	struct uuid vm;
	json_t *reply;

	if (owner_find(&vm, v, in, err) != 0 ||
	    vault_set_disabled(v, &vm, disabled, err) != 0)
		return -1;
	reply = json_object();
	(void)json_object_set_new(reply, disabled ? "disabled" : "enabled",
	    json_string(uuid_format(text, &vm)));
	return owner_tell(out, reply, err);
}

static json_t *
ask_json(const struct vault_ask *a)
{
	char text[UUID_TEXT_LEN + 1];
	json_t *one = json_object();

	(void)json_object_set_new(one, "id", json_integer((json_int_t)a->id));
	(void)json_object_set_new(
	    one, "kind", json_string(vault_ask_kind_name(a->kind)));
	(void)json_object_set_new(
	    one, "vm", json_string(uuid_format(text, &a->vm)));
	(void)json_object_set_new(one, "verified", json_string(a->facts));
	(void)json_object_set_new(one, "asker", json_string(a->asker));
	(void)json_object_set_new(
	    one, "claimed-by-host", json_string(a->claims));
	return one;
}

static int
do_watch(struct buf *out, struct vault *v, struct span in, struct err *err)
{
	struct vault_ask *asks = calloc(VAULT_ASKS_MAX, sizeof(*asks));
	json_t *list = json_array();
	json_t *reply = NULL;
	size_t count, i;

	if (asks == NULL || owner_log_page(&reply, v, in, err) != 0) {
		if (asks == NULL)
			(void)err_set(err, ERR_MEMORY, "no memory");
		json_decref(list);
		free(asks);
		return -1;
	}
	count = vault_asks(asks, v);
	for (i = 0; i < count; i++)
		(void)json_array_append_new(list, ask_json(&asks[i]));
	free(asks);
	(void)json_object_set_new(
	    reply, "schema", json_string("attest-agent.watch/1"));
	(void)json_object_set_new(
	    reply, "locked", json_boolean(vault_is_locked(v)));
	(void)json_object_set_new(reply, "asks", list);
	(void)json_object_set_new(
	    reply, "last", json_integer((json_int_t)vault_log_last(v)));
	return owner_tell(out, reply, err);
}

int
owner_word(struct buf *out, struct vault *v, unsigned op, struct span in,
    struct err *err)
{
	switch (op) {
	case OWNER_LOCK:
		return do_lock(out, v, err);
	case OWNER_UNLOCK:
		return do_unlock(out, v, in, err);
	case OWNER_ENABLE:
	case OWNER_DISABLE:
		return do_disable(out, v, op == OWNER_DISABLE, in, err);
	case OWNER_APPROVE:
	case OWNER_DENY:
		return do_answer(out, v, op == OWNER_APPROVE, in, err);
	default:
		return do_watch(out, v, in, err);
	}
}
