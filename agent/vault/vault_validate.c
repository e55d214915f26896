#include <stdio.h>
#include <string.h>

#include "agent/vault/vault_impl.h"

static void
put_answer(struct writer *w, const struct vault_validate_answer *a)
{
	writer_put(
	    w, span_of(a->session_id.bytes, sizeof(a->session_id.bytes)));
	writer_u8(w, a->inject ? 1 : 0);
	writer_put(w, span_of(a->header, sizeof(a->header)));
	writer_be32(w, (uint32_t)a->payload_len);
	writer_put(w, span_of(a->payload, a->payload_len));
	writer_u8(w, a->has_address ? 1 : 0);
	writer_be64(w, a->address);
}

static int
get_answer(struct vault_validate_answer *a, struct span in, struct err *err)
{
	struct reader r = reader_of(in);
	struct span payload;

	reader_copy(&r, a->session_id.bytes, sizeof(a->session_id.bytes));
	a->inject = reader_u8(&r) == 1;
	reader_copy(&r, a->header, sizeof(a->header));
	payload = reader_take(&r, reader_be32(&r));
	a->has_address = reader_u8(&r) == 1;
	a->address = reader_be64(&r);
	if (!reader_done(&r) || payload.len > sizeof(a->payload))
		return err_set(
		    err, ERR_MALFORMED, "stored release of %zu bytes", in.len);
	if (payload.len > 0)
		memcpy(a->payload, payload.ptr, payload.len);
	a->payload_len = payload.len;
	return 0;
}

static void
lose(struct vault_validate_answer *out, struct vault *v, const struct err *err)
{
	vault_fail(v, err);
	memset(out, 0, sizeof(*out));
	out->outcome = VAULT_STORAGE;
}

/* A repeat: the stored bytes, never sealed anew (T7), and no new line of log,
 * or repeats could fill the disk.  One that cannot be read has changed
 * nothing, so the others of the batch need not suffer from it. */
static void
answer_again(
    struct vault_validate_answer *out, struct vault *v, const struct session *s)
{
	struct secret stored = { 0 };
	struct err err = { 0 };

	if (store_get(&stored, v->store, STORE_RELEASE_ANSWER,
		span_of(s->id.bytes, sizeof(s->id.bytes)), &err) != 0 ||
	    get_answer(out, secret_span(&stored), &err) != 0) {
		memset(out, 0, sizeof(*out));
		out->outcome = VAULT_STORAGE;
	} else {
		out->outcome = VAULT_OK;
	}
	secret_free(&stored);
}

/*
 * One outcome for every cause (T15, T16): wrong digest, key, build or policy,
 * or no such session.
 */
static void
mismatch(struct vault_validate_answer *out, struct vault *v,
    struct vault_vm *vm, struct session *named, const struct vault_validate *in,
    const char *why)
{
	out->outcome = VAULT_MISMATCH;
	vault_audit(v, &in->vm, named != NULL ? &named->id : NULL, "mismatch",
	    "validate %s by %s: %s", in->asker.request_id, in->asker.identity,
	    why);
	vault_explain_later(v, vm, named, in);
	if (named == NULL || named->state != SESSION_OPEN)
		return;
	if (++named->failures >= VAULT_FAILURES_MAX)
		vault_end_session(v, vm, named, "closed",
		    "too many measurements that do not match");
	else
		(void)vault_put_session(v, named);
}

static bool
may_fail(
    struct vault_validate_answer *out, struct vault *v, struct vault_vm *vm)
{
	int64_t now = times_boot_ms(&v->clock);

	if (bucket_take(
		&vm->mismatch, VAULT_MISMATCH_BURST, VAULT_MISMATCH_MS, now))
		return true;
	out->outcome = VAULT_RATE_LIMITED;
	out->retry_after_s =
	    bucket_wait_s(&vm->mismatch, VAULT_MISMATCH_MS, now);
	return false;
}

/*
 * No session here fits, and other agents have sessions of this UUID: one of
 * them is to be asked (docs/protocol.md 6).  To them it may be a success,
 * which is never limited: so what has no token left is not answered with 429
 * either, only the log says no more of it.
 */
static void
not_mine(struct vault_validate_answer *out, struct vault *v,
    const struct vault_vm *vm, const struct vault_validate *in)
{
	out->outcome = VAULT_NOT_MINE;
	vault_audit(v, &in->vm, NULL, "not-mine",
	    "validate %s by %s: measurement fits no session here; left to the "
	    "agents that share this UUID",
	    in->asker.request_id, in->asker.identity);
	vault_explain_later(v, vm, NULL, in);
}

/* T6: a second guest from one launch blob. */
static void
freeze(struct vault_validate_answer *out, struct vault *v, struct session *s,
    const struct vault_validate *in)
{
	out->outcome = VAULT_BLOB_REUSED;
	if (s->state == SESSION_FROZEN)
		return;
	s->state = SESSION_FROZEN;
	(void)vault_put_session(v, s);
	vault_audit(v, &in->vm, &s->id, "ALARM",
	    "validate %s by %s: launch blob reused: a second guest was started "
	    "from it; nothing was released to that one, and the session is "
	    "frozen",
	    in->asker.request_id, in->asker.identity);
}

static int
seal(struct vault_validate_answer *out, struct vault *v,
    const struct vault_vm *vm, const struct session *s,
    const struct sev_measure *measure, struct err *err)
{
	const struct registration *r = vm->reg;
	struct secret table = { 0 };
	uint8_t iv[SEV_IV_LEN];
	int rc = -1;

	out->session_id = s->id;
	out->inject = r->secret_count > 0;
	out->has_address = out->inject && r->has_address;
	out->address = out->has_address ? r->address : 0;
	if (!out->inject)
		return 0;
	if (vault_take_table(&table, v, vm, err) != 0)
		return -1;
	if (table.len > sizeof(out->payload)) {
		(void)err_set(err, ERR_LIMIT, "secret table too long");
		goto out;
	}
	if (secret_random(iv, sizeof(iv), err) != 0)
		goto out;
	out->payload_len = table.len;
	rc = sev_launch_secret_seal(out->header, out->payload,
	    secret_span(&table), s->tek, s->tik, iv, measure->mac, err);
out:
	secret_free(&table);
	return rc;
}

static int
keep_release(struct vault *v, const struct session *s,
    const struct vault_validate_answer *out, struct err *err)
{
	uint8_t bytes[sizeof(*out)];
	struct writer w = writer_of(bytes, sizeof(bytes));

	put_answer(&w, out);
	return store_put(v->store, STORE_RELEASE_ANSWER,
	    span_of(s->id.bytes, sizeof(s->id.bytes)), writer_span(&w), err);
}

static void
release(struct vault_validate_answer *out, struct vault *v, struct vault_vm *vm,
    struct session *s, const struct vault_validate *in)
{
	struct err err = { 0 };

	if (seal(out, v, vm, s, &in->measure, &err) != 0) {
		memset(out, 0, sizeof(*out));
		out->outcome = VAULT_INTERNAL;
		vault_audit(v, &in->vm, &s->id, "refused", "validate %s: %s",
		    in->asker.request_id, err.msg);
		return;
	}
	vault_leave_open(vm, s);
	s->state = SESSION_RELEASED;
	s->measure = in->measure;
	s->since_boot_ms = times_boot_ms(&v->clock);
	s->since_wall_ms = times_wall_ms(&v->clock);
	/* The packet is sealed for good; only TIK is needed from here on. */
	secret_wipe(s->tek, sizeof(s->tek));
	if (keep_release(v, s, out, &err) != 0) {
		lose(out, v, &err);
		return;
	}
	if (vault_put_session(v, s) != 0 || vault_count_release(v, vm) != 0) {
		memset(out, 0, sizeof(*out));
		out->outcome = VAULT_STORAGE;
		return;
	}
	out->outcome = VAULT_OK;
	vault_audit(v, &in->vm, &s->id, "released",
	    "validate %s by %s: measurement matches, platform firmware %u.%u "
	    "build %u; %s, instance %llu",
	    in->asker.request_id, in->asker.identity, in->build.api_major,
	    in->build.api_minor, in->build.build_id,
	    out->inject ? "secret released" : "no secret registered",
	    (unsigned long long)vm->released);
	if (vault_make_receipt(v, vm, s, in) != 0) {
		memset(out, 0, sizeof(*out));
		out->outcome = VAULT_STORAGE;
	}
}

/* Her word is for the guest that she was shown: another one that was started
 * from the same launch blob (T6), or on other firmware, is another question. */
static int
ask_subject(uint8_t out[SEV_SHA256_LEN], const struct session *s,
    const struct vault_validate *in, struct err *err)
{
	uint8_t text[sizeof(s->id.bytes) + sizeof(in->measure.mac) +
	    sizeof(in->measure.nonce) + 3];
	struct writer w = writer_of(text, sizeof(text));

	writer_put(&w, span_of(s->id.bytes, sizeof(s->id.bytes)));
	writer_put(&w, span_of(in->measure.mac, sizeof(in->measure.mac)));
	writer_put(&w, span_of(in->measure.nonce, sizeof(in->measure.nonce)));
	writer_u8(&w, in->build.api_major);
	writer_u8(&w, in->build.api_minor);
	writer_u8(&w, in->build.build_id);
	return sev_hash_sha256(out, writer_span(&w), err);
}

/* True: the owner agrees, or need not be asked. */
static bool
ask_owner(struct vault_validate_answer *out, struct vault *v,
    struct vault_vm *vm, struct session *s, const struct vault_validate *in)
{
	bool over = vm->reg->then == THEN_CONFIRM && vault_over_limit(v, vm);
	uint8_t subject[SEV_SHA256_LEN];
	struct vault_ask ask;
	struct err err = { 0 };
	enum vault_word word;

	if (!over && !vault_needs_word(vm, APPROVE_AT_RELEASE))
		return true;
	if (ask_subject(subject, s, in, &err) != 0) {
		out->outcome = VAULT_INTERNAL;
		return false;
	}
	vault_ask_fill(&ask, over ? ASK_LIMIT : ASK_RELEASE, &in->vm,
	    span_of(subject, sizeof(subject)), &in->asker, "");
	(void)snprintf(ask.facts, sizeof(ask.facts),
	    "%s: the guest's measurement matches, platform firmware %u.%u "
	    "build %u; %llu released so far%s",
	    vm->reg->name, in->build.api_major, in->build.api_minor,
	    in->build.build_id, (unsigned long long)vm->released,
	    over ? ", which is max-instances" : "");
	word = vault_ask(v, &ask);
	if (word == VAULT_WORD_YES) {
		vault_ask_done(v, &ask);
		return true;
	}
	out->outcome = word == VAULT_WORD_NO ? VAULT_REFUSED : VAULT_PENDING;
	return false;
}

/* A valid measurement of an open session: the rest of the owner's rules. */
static void
admit(struct vault_validate_answer *out, struct vault *v, struct vault_vm *vm,
    struct session *s, const struct vault_validate *in)
{
	struct err err = { 0 };

	if (vault_enabled(vm, &err) != 0 ||
	    policy_build(vm->reg, &in->build, &err) != 0 ||
	    policy_time(vm->reg, times_wall_ms(&v->clock), &err) != 0 ||
	    vault_limit(v, vm, &err) != 0) {
		if (!may_fail(out, v, vm))
			return;
		out->outcome = VAULT_REFUSED;
		vault_audit(v, &in->vm, &s->id, "refused",
		    "validate %s by %s: measurement matches, but %s",
		    in->asker.request_id, in->asker.identity, err.msg);
		return;
	}
	if (ask_owner(out, v, vm, s, in))
		release(out, v, vm, s, in);
}

static bool
same_measure(const struct session *s, const struct sev_measure *m)
{
	return memcmp(s->measure.mac, m->mac, sizeof(m->mac)) == 0 &&
	    memcmp(s->measure.nonce, m->nonce, sizeof(m->nonce)) == 0;
}

static struct session *
find_released(struct session *list, const struct sev_measure *m)
{
	for (; list != NULL; list = list->next)
		if ((list->state == SESSION_RELEASED ||
			list->state == SESSION_FROZEN) &&
		    same_measure(list, m))
			return list;
	return NULL;
}

static struct session *
try_state(struct session *list, bool only, enum session_state state,
    const struct vault_vm *vm, const struct vault_validate *in, struct err *err)
{
	struct session *hit;

	/* A policy other than the session's does the same work and fails. */
	hit = session_match(
	    list, only, state, vm->reg, &in->measure, &in->build, err);
	if (in->has_policy && in->policy != vm->reg->policy) {
		(void)err_set(err, ERR_UNTRUSTED,
		    "host says policy 0x%x, registered is 0x%x", in->policy,
		    vm->reg->policy);
		return NULL;
	}
	return hit;
}

static void
validate_named(struct vault_validate_answer *out, struct vault *v,
    struct vault_vm *vm, struct session *s, const struct vault_validate *in)
{
	struct err err = { 0 };
	bool open = s->state == SESSION_OPEN;

	if (!open && same_measure(s, &in->measure) &&
	    s->state == SESSION_RELEASED) {
		answer_again(out, v, s);
		return;
	}
	if (s->state == SESSION_FROZEN) {
		out->outcome = VAULT_BLOB_REUSED;
		return;
	}
	if (try_state(s, true, s->state, vm, in, &err) != NULL) {
		if (open)
			admit(out, v, vm, s, in);
		else
			freeze(out, v, s, in);
		return;
	}
	if (may_fail(out, v, vm))
		mismatch(out, v, vm, s, in,
		    err.code != ERR_NONE
			? err.msg
			: "measurement fits none of the registered digests");
}

static void
validate_any(struct vault_validate_answer *out, struct vault *v,
    struct vault_vm *vm, const struct vault_validate *in)
{
	struct err err = { 0 };
	struct session *s;

	s = try_state(vm->open, false, SESSION_OPEN, vm, in, &err);
	if (s != NULL) {
		admit(out, v, vm, s, in);
		return;
	}
	s = find_released(vm->ended, &in->measure);
	if (s != NULL && s->state == SESSION_RELEASED) {
		answer_again(out, v, s);
		return;
	}
	if (s != NULL) {
		out->outcome = VAULT_BLOB_REUSED;
		return;
	}
	/* The ended ones may be many; failures alone pay for looking there,
	 * and there are few of those in a minute. */
	if (!may_fail(out, v, vm)) {
		if (vm->reg->shared)
			out->outcome = VAULT_NOT_MINE;
		return;
	}
	s = try_state(vm->ended, false, SESSION_RELEASED, vm, in, &err);
	if (s == NULL)
		s = try_state(vm->ended, false, SESSION_FROZEN, vm, in, &err);
	if (s != NULL)
		freeze(out, v, s, in);
	else if (vm->reg->shared)
		not_mine(out, v, vm, in);
	else
		mismatch(out, v, vm, NULL, in,
		    err.code != ERR_NONE ? err.msg
					 : "measurement fits no session and "
					   "none of the registered digests");
}

void
vault_validate(struct vault_validate_answer *out, struct vault *v,
    const struct vault_validate *in)
{
	struct session *named = NULL;
	struct err err = { 0 };
	struct vault_vm *vm;

	memset(out, 0, sizeof(*out));
	out->outcome = VAULT_STORAGE;
	if (v->failed)
		return;
	vm = vault_vm_find(v, &in->vm);
	if (vm == NULL) {
		out->outcome = VAULT_NOT_MINE;
		return;
	}
	if (policy_host(vm->reg, in->asker.identity, &err) != 0) {
		if (!may_fail(out, v, vm))
			return;
		out->outcome = VAULT_REFUSED;
		vault_audit(v, &in->vm, NULL, "refused", "validate %s: %s",
		    in->asker.request_id, err.msg);
		return;
	}
	if (in->has_session_id)
		named = session_table_find(&v->sessions, &in->session_id);
	if (named != NULL && !uuid_equal(&named->vm, &in->vm))
		named = NULL;
	if (named != NULL)
		vault_settle(v, vm, named);
	else
		vault_expire(v, vm);
	if (named != NULL && named->state == SESSION_CLOSED)
		out->outcome = VAULT_CLOSED;
	else if (named != NULL)
		validate_named(out, v, vm, named, in);
	else
		validate_any(out, v, vm, in);
	if (v->failed)
		out->outcome = VAULT_STORAGE;
}
