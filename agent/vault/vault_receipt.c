#include "agent/vault/vault_receipt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/vault/vault_impl.h"
#include "common/hex.h"

#define EVIDENCE_MAX                                                           \
	(2 * SEV_CERT_LEN + SEV_SESSION_LEN + SEV_CHAIN_LEN_MAX + 4)
#define RECEIPT_FORMAT 1

/* T5: what the reader must not take for proven. */
static const char not_attested[] =
    "not-attested: SEV and SEV-ES attest what memory holds at launch and not "
    "where it lies (CVE-2021-26311): a host may have moved blocks of it\n"
    "not-attested: disks, NVRAM, devices, memory size, and all that happens "
    "after the launch\n";

int
vault_keep_evidence(struct vault *v, const struct session *s,
    const struct vault_launch *in, const struct sev_session *session)
{
	uint8_t bytes[EVIDENCE_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct err err = { 0 };

	writer_put(&w, span_of(in->pdh, sizeof(in->pdh)));
	writer_be32(&w, (uint32_t)in->chain_len);
	writer_put(&w, span_of(in->chain, in->chain_len));
	writer_put(&w, span_of(session->godh_cert, sizeof(session->godh_cert)));
	writer_put(&w, span_of(session->blob, sizeof(session->blob)));
	if (store_put(v->store, STORE_EVIDENCE,
		span_of(s->id.bytes, sizeof(s->id.bytes)), writer_span(&w),
		&err) == 0)
		return 0;
	vault_fail(v, &err);
	return -1;
}

static int
get_evidence(struct vault_receipt *out, struct span in)
{
	struct reader r = reader_of(in);

	reader_copy(&r, out->pdh, sizeof(out->pdh));
	out->chain_len = reader_be32(&r);
	if (!reader_ok(&r) || out->chain_len > sizeof(out->chain))
		return -1;
	reader_copy(&r, out->chain, out->chain_len);
	reader_copy(&r, out->session.godh_cert, sizeof(out->session.godh_cert));
	reader_copy(&r, out->session.blob, sizeof(out->session.blob));
	return reader_done(&r) ? 0 : -1;
}

int
vault_evidence_blocked(struct vault *v, const struct session *s,
    const struct policy_blocklist *list, struct err *err)
{
	struct vault_receipt *e = calloc(1, sizeof(*e));
	struct secret stored = { 0 };
	int rc = 0;

	if (e != NULL &&
	    store_get(&stored, v->store, STORE_EVIDENCE,
		span_of(s->id.bytes, sizeof(s->id.bytes)), NULL) == 0 &&
	    get_evidence(e, secret_span(&stored)) == 0)
		rc = policy_blocked_point(list, span_of(e->pdh, sizeof(e->pdh)),
		    span_of(e->chain, e->chain_len), err);
	secret_free(&stored);
	free(e);
	return rc;
}

static int
load_evidence(struct vault_receipt *out, struct vault *v,
    const struct session *s, struct err *err)
{
	struct span key = span_of(s->id.bytes, sizeof(s->id.bytes));
	struct secret stored = { 0 };
	struct err why = { 0 };
	int rc = 0;

	if (store_get(&stored, v->store, STORE_EVIDENCE, key, &why) == 0) {
		out->has_evidence = true;
		if (get_evidence(out, secret_span(&stored)) != 0)
			rc = err_set(err, ERR_MALFORMED, "stored evidence");
	} else if (why.code != ERR_NOT_FOUND) {
		rc = err_set(err, why.code, "%s", why.msg);
	}
	secret_free(&stored);
	if (rc == 0)
		rc = store_delete(v->store, STORE_EVIDENCE, key, err);
	return rc;
}

/* The digest that the measurement was made of; it matched a moment ago. */
static const uint8_t *
matching_digest(const struct registration *r, const struct session *s,
    const struct vault_validate *in)
{
	size_t i;

	for (i = 0; i < r->digest_count; i++)
		if (sev_measure_verify(&in->measure, s->tik, &in->build,
			s->policy, r->digests[i].digest, NULL) == 0)
			return r->digests[i].digest;
	return NULL;
}

struct text {
	char *at;
	size_t len;
	bool full;
};

static void put(struct text *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
put(struct text *t, const char *fmt, ...)
{
	size_t room = VAULT_STATEMENT_MAX - t->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at + t->len, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room)
		t->full = true;
	else
		t->len += (size_t)n;
}

static void
put_hex(struct text *t, const char *name, struct span in)
{
	char hex[2 * SEV_MEASURE_LEN + 1];

	put(t, "%s: %s\n", name, hex_encode(hex, sizeof(hex), in));
}

static void
put_hash(struct text *t, const char *name, struct span in)
{
	uint8_t hash[SEV_SHA256_LEN];

	if (sev_hash_sha256(hash, in, NULL) != 0)
		t->full = true;
	else
		put_hex(t, name, span_of(hash, sizeof(hash)));
}

static int
write_statement(struct vault_receipt *r, struct vault *v,
    const struct vault_vm *vm, const struct session *s,
    const struct vault_validate *in, struct err *err)
{
	const uint8_t *digest = matching_digest(vm->reg, s, in);
	struct text t = { .at = r->statement };
	struct vault_asker asker = in->asker;
	char id[UUID_TEXT_LEN + 1];
	char time[TIMES_TEXT_LEN];

	if (digest == NULL)
		return err_set(err, ERR_INTERNAL, "no digest matches any more");
	put(&t, "attest-agent receipt 1\nreceipt: %llu\n",
	    (unsigned long long)r->number);
	put(&t, "time: %s\n", times_rfc3339(time, times_wall_ms(&v->clock)));
	put(&t, "vm: %s\nname: %s\n", uuid_format(id, &vm->reg->vm),
	    vm->reg->name);
	put(&t, "session: %s\n", uuid_format(id, &s->id));
	put(&t, "scheme: %s\npolicy: 0x%x\n",
	    registration_scheme_name(vm->reg->scheme), s->policy);
	put(&t, "platform-firmware: %u.%u build %u\n", in->build.api_major,
	    in->build.api_minor, in->build.build_id);
	put_hex(&t, "launch-digest", span_of(digest, SEV_SHA256_LEN));
	put_hex(&t, "measure", span_of(in->measure.mac, SEV_MEASURE_LEN));
	put_hex(&t, "measure-nonce",
	    span_of(in->measure.nonce, sizeof(in->measure.nonce)));
	if (r->has_evidence) {
		put_hash(&t, "pdh-sha256", span_of(r->pdh, sizeof(r->pdh)));
		put_hash(
		    &t, "cert-chain-sha256", span_of(r->chain, r->chain_len));
		put_hash(&t, "owner-cert-sha256",
		    span_of(
			r->session.godh_cert, sizeof(r->session.godh_cert)));
		put_hash(&t, "launch-blob-sha256",
		    span_of(r->session.blob, sizeof(r->session.blob)));
	}
	put(&t, "secrets: %u\ninstance: %llu\n", vm->reg->secret_count,
	    (unsigned long long)vm->released);
	/* A net that was taken over (T14) must not add lines of its own to
	 * what is signed here. */
	put(&t, "request: %s\n", plain(asker.request_id));
	put(&t, "host-as-the-relay-says: %s\n%s", plain(asker.identity),
	    not_attested);
	if (t.full)
		return err_set(err, ERR_LIMIT, "receipt too long");
	return 0;
}

static int
store_receipt(struct vault *v, const struct session *s,
    const struct vault_receipt *r, struct err *err)
{
	static const uint8_t no_tik[SEV_TK_LEN];
	const size_t cap = EVIDENCE_MAX + VAULT_STATEMENT_MAX + 256;
	uint8_t key[8];
	struct writer k = writer_of(key, sizeof(key));
	struct secret bytes = { 0 };
	struct writer w;
	int rc;

	if (secret_alloc(&bytes, cap, err) != 0)
		return -1;
	w = writer_of(bytes.ptr, bytes.len);
	writer_u8(&w, RECEIPT_FORMAT);
	writer_put(&w, span_of(s->id.bytes, sizeof(s->id.bytes)));
	writer_be32(&w, (uint32_t)strlen(r->statement));
	writer_put(&w, span_str(r->statement));
	writer_put(&w, span_of(r->signature, sizeof(r->signature)));
	writer_put(&w, span_of(s->measure.mac, sizeof(s->measure.mac)));
	writer_put(&w, span_of(s->measure.nonce, sizeof(s->measure.nonce)));
	writer_u8(&w, v->keep_tik ? 1 : 0);
	writer_put(&w, span_of(v->keep_tik ? s->tik : no_tik, SEV_TK_LEN));
	writer_u8(&w, r->has_evidence ? 1 : 0);
	if (r->has_evidence) {
		writer_put(&w, span_of(r->pdh, sizeof(r->pdh)));
		writer_be32(&w, (uint32_t)r->chain_len);
		writer_put(&w, span_of(r->chain, r->chain_len));
		writer_put(&w,
		    span_of(
			r->session.godh_cert, sizeof(r->session.godh_cert)));
		writer_put(
		    &w, span_of(r->session.blob, sizeof(r->session.blob)));
	}
	writer_be64(&k, r->number);
	rc = store_put(
	    v->store, STORE_RECEIPT, writer_span(&k), writer_span(&w), err);
	secret_free(&bytes);
	return rc;
}

int
vault_make_receipt(struct vault *v, const struct vault_vm *vm,
    const struct session *s, const struct vault_validate *in)
{
	struct vault_receipt *r = calloc(1, sizeof(*r));
	struct err err = { 0 };
	int rc = -1;

	/* No release without its receipt, as none without its line. */
	if (r == NULL)
		(void)err_set(&err, ERR_MEMORY, "no memory for a receipt");
	else if (v->key == NULL)
		(void)err_set(&err, ERR_INTERNAL, "no key to sign receipts");
	else {
		r->number = store_audit_last(v->store);
		if (load_evidence(r, v, s, &err) == 0 &&
		    write_statement(r, v, vm, s, in, &err) == 0 &&
		    key_sign(r->signature, v->key, span_str(r->statement),
			&err) == 0)
			rc = store_receipt(v, s, r, &err);
	}
	free(r);
	if (rc != 0)
		vault_fail(v, &err);
	return rc;
}

static int
decode(struct vault_receipt *out, struct uuid *session, struct span key,
    struct span in, struct err *err)
{
	struct reader k = reader_of(key);
	struct reader r = reader_of(in);
	uint8_t format = reader_u8(&r);
	uint32_t len;

	memset(out, 0, sizeof(*out));
	out->number = reader_be64(&k);
	reader_copy(&r, session->bytes, sizeof(session->bytes));
	len = reader_be32(&r);
	if (!reader_ok(&r) || format != RECEIPT_FORMAT ||
	    len >= sizeof(out->statement))
		return err_set(err, ERR_MALFORMED, "stored receipt");
	reader_copy(&r, out->statement, len);
	reader_copy(&r, out->signature, sizeof(out->signature));
	reader_copy(&r, out->measure.mac, sizeof(out->measure.mac));
	reader_copy(&r, out->measure.nonce, sizeof(out->measure.nonce));
	out->has_tik = reader_u8(&r) == 1;
	reader_copy(&r, out->tik, sizeof(out->tik));
	out->has_evidence = reader_u8(&r) == 1;
	if (!reader_ok(&r) || !reader_done(&k) ||
	    (out->has_evidence && get_evidence(out, r.rest) != 0))
		return err_set(err, ERR_MALFORMED, "stored receipt");
	return 0;
}

/* With the TIK, measurements of the session can be made up: not while one
 * still counts. */
static int
may_show_tik(const struct vault *v, const struct vault_receipt *r,
    const struct uuid *session, struct err *err)
{
	const struct session *s = session_table_find(&v->sessions, session);

	if (!r->has_tik)
		return err_set(err, ERR_UNSUPPORTED,
		    "the TIK was not kept (receipts.keep-tik in agent.yaml)");
	if (s != NULL && s->state != SESSION_CLOSED)
		return err_set(err, ERR_CONFLICT,
		    "the session has not ended yet; its TIK stays here");
	return 0;
}

int
vault_receipt(struct vault_receipt *out, struct vault *v, uint64_t number,
    bool with_tik, struct err *err)
{
	uint8_t key[8];
	struct writer w = writer_of(key, sizeof(key));
	struct secret stored = { 0 };
	struct uuid session;
	int rc = -1;

	writer_be64(&w, number);
	if (store_get(&stored, v->store, STORE_RECEIPT, writer_span(&w), err) !=
	    0) {
		if (err->code == ERR_NOT_FOUND)
			(void)err_set(err, ERR_NOT_FOUND, "no receipt %llu",
			    (unsigned long long)number);
		return -1;
	}
	if (decode(out, &session, writer_span(&w), secret_span(&stored), err) ==
		0 &&
	    (!with_tik || may_show_tik(v, out, &session, err) == 0))
		rc = 0;
	if (rc != 0 || !with_tik) {
		secret_wipe(out->tik, sizeof(out->tik));
		out->has_tik = false;
	}
	secret_free(&stored);
	return rc;
}

struct each {
	uint64_t after;
	int (*fn)(void *arg, const struct vault_receipt *r);
	void *arg;
	struct vault_receipt one;
	bool stopped;
};

static int
each_row(void *arg, struct span key, struct span value, struct err *err)
{
	struct each *e = arg;
	struct uuid session;

	if (decode(&e->one, &session, key, value, err) != 0)
		return -1;
	secret_wipe(e->one.tik, sizeof(e->one.tik));
	if (e->one.number <= e->after)
		return 0;
	e->stopped = e->fn(e->arg, &e->one) != 0;
	return e->stopped ? 1 : 0;
}

int
vault_receipt_each(struct vault *v, uint64_t after,
    int (*fn)(void *arg, const struct vault_receipt *r), void *arg,
    struct err *err)
{
	struct each *e = calloc(1, sizeof(*e));
	int rc;

	if (e == NULL)
		return err_set(err, ERR_MEMORY, "no memory for receipts");
	e->after = after;
	e->fn = fn;
	e->arg = arg;
	rc = store_each(v->store, STORE_RECEIPT, each_row, e, err);
	if (e->stopped)
		rc = 0;
	free(e);
	return rc;
}
