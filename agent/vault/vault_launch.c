#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/vault/vault_impl.h"
#include "common/hex.h"

/* What an owner needs to see of a platform: eight bytes of each key. */
#define FINGER_TEXT_LEN 17

static void
refuse(struct vault_launch_answer *out, struct vault *v, struct vault_vm *vm,
    const struct vault_launch *in, const struct err *why)
{
	int64_t now = times_boot_ms(&v->clock);

	/* Only failures are counted, so a good launch is never held up. */
	if (!bucket_take(
		&vm->refused, VAULT_REFUSED_BURST, VAULT_REFUSED_MS, now)) {
		out->outcome = VAULT_RATE_LIMITED;
		out->retry_after_s =
		    bucket_wait_s(&vm->refused, VAULT_REFUSED_MS, now);
		return;
	}
	out->outcome = VAULT_REFUSED;
	vault_audit(v, &in->vm, NULL, "refused", "launch %s by %s: %s",
	    in->asker.request_id, in->asker.identity, why->msg);
}

static void
put_answer(struct writer *w, const struct vault_launch_answer *a)
{
	writer_put(
	    w, span_of(a->session_id.bytes, sizeof(a->session_id.bytes)));
	writer_put(
	    w, span_of(a->session.godh_cert, sizeof(a->session.godh_cert)));
	writer_put(w, span_of(a->session.blob, sizeof(a->session.blob)));
	writer_be32(w, a->policy);
	writer_be32(w, a->expires_in_s);
	writer_be32(w, a->scheme);
	writer_u8(w, a->kernel_hashes ? 1 : 0);
}

static int
get_answer(struct vault_launch_answer *a, struct span in, struct err *err)
{
	struct reader r = reader_of(in);

	reader_copy(&r, a->session_id.bytes, sizeof(a->session_id.bytes));
	reader_copy(&r, a->session.godh_cert, sizeof(a->session.godh_cert));
	reader_copy(&r, a->session.blob, sizeof(a->session.blob));
	a->policy = reader_be32(&r);
	a->expires_in_s = reader_be32(&r);
	a->scheme = reader_be32(&r);
	a->kernel_hashes = reader_u8(&r) == 1;
	if (!reader_done(&r))
		return err_set(err, ERR_MALFORMED,
		    "stored launch answer of %zu bytes", in.len);
	return 0;
}

static struct session *
find_key(struct session *list, const struct vault_launch *in)
{
	for (; list != NULL; list = list->next)
		if (list->state != SESSION_CLOSED && list->has_key &&
		    memcmp(list->key, in->key, sizeof(in->key)) == 0)
			return list;
	return NULL;
}

/* docs/protocol.md 7.  Returns true if ${out} is the answer already. */
static bool
answer_again(struct vault_launch_answer *out, struct vault *v,
    struct vault_vm *vm, const struct vault_launch *in)
{
	struct secret stored = { 0 };
	struct err err = { 0 };
	struct session *s;

	if (!in->has_key)
		return false;
	s = find_key(vm->open, in);
	if (s == NULL)
		s = find_key(vm->ended, in);
	if (s != NULL)
		vault_settle(v, vm, s);
	if (s == NULL || s->state == SESSION_CLOSED)
		return false;
	if (memcmp(s->body, in->body, sizeof(s->body)) != 0) {
		out->outcome = VAULT_IDEM_MISMATCH;
		return true;
	}
	if (store_get(&stored, v->store, STORE_LAUNCH_ANSWER,
		span_of(s->id.bytes, sizeof(s->id.bytes)), &err) != 0 ||
	    get_answer(out, secret_span(&stored), &err) != 0) {
		memset(out, 0, sizeof(*out));
		out->outcome = VAULT_STORAGE;
	} else {
		out->outcome = VAULT_OK;
	}
	secret_free(&stored);
	return true;
}

/* All that is decided before any certificate is looked at. */
static int
judge_request(
    const struct vault_vm *vm, const struct vault_launch *in, struct err *err)
{
	const struct registration *r = vm->reg;

	if (in->has_policy && in->policy != r->policy)
		return err_set(err, ERR_UNTRUSTED,
		    "host says policy 0x%x, registered is 0x%x", in->policy,
		    r->policy);
	if (in->wants_es && r->scheme != SCHEME_SEV_ES)
		return err_set(err, ERR_UNTRUSTED,
		    "host says amd-sev-es, registered is amd-sev");
	return 0;
}

/*
 * The CEK lacks AMD's signature.  The vault fetches nothing: it says which one
 * it wants, and the host asks again.  If one has come for that chip, and is
 * another, then the host lies, or the key server does: what AMD signed does
 * not say whose it is.  So the host is refused, but the server is asked again
 * some time.
 */
static void
want_cek(struct vault_launch_answer *out, struct vault *v, struct vault_vm *vm,
    const struct vault_launch *in, struct err *why)
{
	if (in->has_cpu_id && vault_cek_is_fresh(v, in->cpu_id)) {
		(void)err_set(why, ERR_UNTRUSTED,
		    "the key server has another CEK for this cpu-id");
		refuse(out, v, vm, in, why);
		return;
	}
	/* For the owner, who reads it in her log: what she can do. */
	if (in->has_cpu_id)
		(void)err_wrap(why,
		    "wanted of the key server (attest-agent doctor looks at "
		    "it, vm add --cek does without)");
	else
		(void)err_wrap(why,
		    "no cpu-id to fetch the signed one by (vm add --cek gives "
		    "it)");
	refuse(out, v, vm, in, why);
	if (out->outcome != VAULT_REFUSED)
		return;
	out->outcome = VAULT_NO_CEK;
	out->wants_cek = in->has_cpu_id;
	out->retry_after_s =
	    in->has_cpu_id ? VAULT_FETCH_RETRY_S : VAULT_CEK_RETRY_S;
}

/* The chain, the platform, and the limit: in the order of protocol.md 4. */
static bool
judge_platform(struct vault_launch_answer *out,
    const struct sev_verdict **verdict, struct vault *v, struct vault_vm *vm,
    const struct vault_launch *in)
{
	struct err err = { 0 };

	*verdict = vault_judge(v, vm, in, &err);
	if (*verdict == NULL || err.code == ERR_INTERNAL ||
	    err.code == ERR_MEMORY) {
		out->outcome = VAULT_INTERNAL;
		return false;
	}
	if ((*verdict)->failed == SEV_CHECK_CEK_UNSIGNED ||
	    (*verdict)->failed == SEV_CHECK_CEK_OTHER) {
		want_cek(out, v, vm, in, &err);
		return false;
	}
	if (err.code != ERR_NONE ||
	    policy_platform(vm->reg, *verdict, &err) != 0 ||
	    vault_blocked(v, vm, *verdict, &err) != 0 ||
	    vault_limit(v, vm, &err) != 0) {
		if ((*verdict)->failed != SEV_CHECK_NONE)
			(void)err_wrap(&err, "no chain to a trusted ARK, %s",
			    sev_check_name((*verdict)->failed));
		refuse(out, v, vm, in, &err);
		return false;
	}
	/* Last, as it rests on the host's words alone: what it says it is
	 * about to start cannot come to a match. */
	if (policy_hints(vm->reg, &in->hints, &err) != 0) {
		refuse(out, v, vm, in, &err);
		if (out->outcome == VAULT_REFUSED)
			out->outcome = VAULT_MISMATCH;
		return false;
	}
	return true;
}

static bool
too_many(struct vault_launch_answer *out, struct vault *v, struct vault_vm *vm)
{
	struct session *s;
	int64_t left = 1000;

	if (vm->open_count < VAULT_OPEN_MAX &&
	    v->live_count < VAULT_SESSIONS_MAX)
		return false;
	vault_expire(v, vm);
	if (vm->open_count < VAULT_OPEN_MAX &&
	    v->live_count < VAULT_SESSIONS_MAX)
		return false;
	for (s = vm->open; s != NULL; s = s->next)
		if (s->next == NULL) /* the oldest, first to expire */
			left = s->since_boot_ms + v->life_ms -
			    times_boot_ms(&v->clock);
	out->outcome = VAULT_TOO_MANY_OPEN;
	/* Validating or expiring frees a place; do not make all wait long. */
	out->retry_after_s = left > 10000 ? 10 : 1;
	return true;
}

/* Fresh keys for this launch alone, from the private generator (T9). */
static int
make_session(struct vault_launch_answer *out, struct session *s,
    const struct vault_vm *vm, const struct vault_launch *in, struct err *err)
{
	struct sev_session_seed seed;
	struct sev_cert pdh;
	uint8_t id[16];
	int tries = 3;
	int rc = -1;

	if (sev_cert_parse(&pdh, span_of(in->pdh, sizeof(in->pdh)), err) != 0)
		return -1;
	do {
		if (secret_random(&seed, sizeof(seed), err) != 0 ||
		    secret_random(id, sizeof(id), err) != 0)
			goto out;
		/* ERR_USAGE: a scalar out of range, once in 2^190. */
		rc = sev_session_make(
		    &out->session, &pdh, vm->reg->policy, &seed, err);
	} while (rc != 0 && err->code == ERR_USAGE && --tries > 0);
	if (rc != 0)
		goto out;
	uuid_v4(&s->id, id);
	memcpy(s->tik, seed.tik, sizeof(s->tik));
	memcpy(s->tek, seed.tek, sizeof(s->tek));
out:
	secret_wipe(&seed, sizeof(seed));
	return rc;
}

static int
keep_answer(struct vault *v, const struct session *s,
    const struct vault_launch_answer *out, struct err *err)
{
	uint8_t bytes[sizeof(*out)];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (!s->has_key)
		return 0;
	put_answer(&w, out);
	return store_put(v->store, STORE_LAUNCH_ANSWER,
	    span_of(s->id.bytes, sizeof(s->id.bytes)), writer_span(&w), err);
}

static void
tell_launch(struct vault *v, const struct session *s,
    const struct vault_launch *in, const struct sev_verdict *verdict)
{
	char cek[FINGER_TEXT_LEN];
	char oca[FINGER_TEXT_LEN];

	vault_audit(v, &in->vm, &s->id, "launch",
	    "session for %s by %s: chain ok, %s, chip %s, owner %s, API %u.%u"
	    "%s%s",
	    in->asker.request_id, in->asker.identity,
	    sev_generation_name(verdict->generation),
	    hex_encode(cek, sizeof(cek), span_of(verdict->cek_key, 8)),
	    hex_encode(oca, sizeof(oca), span_of(verdict->oca_key, 8)),
	    verdict->api_major, verdict->api_minor,
	    in->host_claims[0] != '\0' ? "; host claims: " : "",
	    in->host_claims);
}

static void
open_session(struct vault_launch_answer *out, struct vault *v,
    struct vault_vm *vm, const struct vault_launch *in,
    const struct sev_verdict *verdict)
{
	struct session *s = calloc(1, sizeof(*s));
	struct err err = { 0 };

	if (s == NULL)
		goto fail;
	s->vm = in->vm;
	s->state = SESSION_OPEN;
	s->policy = vm->reg->policy;
	s->since_boot_ms = times_boot_ms(&v->clock);
	s->since_wall_ms = times_wall_ms(&v->clock);
	s->has_key = in->has_key;
	memcpy(s->key, in->key, sizeof(s->key));
	memcpy(s->body, in->body, sizeof(s->body));
	if (make_session(out, s, vm, in, &err) != 0 ||
	    session_table_add(&v->sessions, s, &err) != 0)
		goto fail;
	s->next = vm->open;
	vm->open = s;
	vm->open_count++;
	v->live_count++;
	out->outcome = VAULT_OK;
	out->session_id = s->id;
	out->policy = vm->reg->policy;
	out->expires_in_s = (uint32_t)(v->life_ms / 1000);
	out->scheme = vm->reg->scheme;
	out->kernel_hashes = vm->reg->kernel_hashes;
	if (keep_answer(v, s, out, &err) != 0)
		vault_fail(v, &err);
	if (vault_put_session(v, s) != 0 ||
	    vault_keep_evidence(v, s, in, &out->session) != 0 || v->failed) {
		out->outcome = VAULT_STORAGE;
		return;
	}
	tell_launch(v, s, in, verdict);
	return;
fail:
	/* No key without randomness, no session without memory: fail closed. */
	if (s != NULL)
		secret_wipe(s, sizeof(*s));
	free(s);
	secret_wipe(&out->session, sizeof(out->session));
	out->outcome = VAULT_INTERNAL;
	vault_audit(v, &in->vm, NULL, "refused", "launch %s: %s",
	    in->asker.request_id, err.code == ERR_NONE ? "no memory" : err.msg);
}

bool
vault_needs_word(const struct vault_vm *vm, enum registration_approve_at at)
{
	const struct registration *r = vm->reg;

	return r->approve_at == (uint32_t)at &&
	    (r->approve == APPROVE_ALWAYS ||
		(r->approve == APPROVE_FIRST && vm->released == 0));
}

/* True: the owner agrees, or need not be asked.  Her word is for one launch
 * on one chip. */
static bool
ask_owner(struct vault_launch_answer *out, struct vault *v, struct vault_vm *vm,
    const struct vault_launch *in, const struct sev_verdict *verdict)
{
	char cek[FINGER_TEXT_LEN];
	char oca[FINGER_TEXT_LEN];
	struct vault_ask ask;
	enum vault_word word;

	if (!vault_needs_word(vm, APPROVE_AT_LAUNCH))
		return true;
	vault_ask_fill(&ask, ASK_LAUNCH, &in->vm,
	    span_of(verdict->cek_key, sizeof(verdict->cek_key)), &in->asker,
	    in->host_claims);
	(void)snprintf(ask.facts, sizeof(ask.facts),
	    "%s on a %s part, chip %s, owner %s: chain ok, API %u.%u; %llu "
	    "released so far",
	    vm->reg->name, sev_generation_name(verdict->generation),
	    hex_encode(cek, sizeof(cek), span_of(verdict->cek_key, 8)),
	    hex_encode(oca, sizeof(oca), span_of(verdict->oca_key, 8)),
	    verdict->api_major, verdict->api_minor,
	    (unsigned long long)vm->released);
	word = vault_ask(v, &ask);
	if (word == VAULT_WORD_YES) {
		vault_ask_done(v, &ask);
		return true;
	}
	/* Said once in the log; a host that goes on asking fills nothing. */
	out->outcome = word == VAULT_WORD_NO ? VAULT_REFUSED : VAULT_PENDING;
	return false;
}

void
vault_launch(struct vault_launch_answer *out, struct vault *v,
    const struct vault_launch *in)
{
	const struct sev_verdict *verdict;
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
	if (vault_enabled(vm, &err) != 0 ||
	    policy_host(vm->reg, in->asker.identity, &err) != 0 ||
	    policy_time(vm->reg, times_wall_ms(&v->clock), &err) != 0) {
		refuse(out, v, vm, in, &err);
		return;
	}
	if (answer_again(out, v, vm, in))
		return;
	if (judge_request(vm, in, &err) != 0) {
		refuse(out, v, vm, in, &err);
		return;
	}
	if (!judge_platform(out, &verdict, v, vm, in) || too_many(out, v, vm) ||
	    !ask_owner(out, v, vm, in, verdict))
		return;
	open_session(out, v, vm, in, verdict);
}
