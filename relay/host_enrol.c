#include "relay/host_impl.h"

#include "common/clock.h"
#include "common/enrol_text.h"
#include "common/secret.h"
#include "common/tls.h"
#include "common/tunnel.h"
#include "relay/claim.h"
#include "relay/enrol.h"

#include <stdio.h>
#include <string.h>

/*
 * An agent's enrolment (docs/protocol.md 12.3), from the internet.  Whatever
 * is wrong gets one answer, and the log the reason; a token is looked up when
 * the key has signed for it.
 */

enum http_verdict
host_enrol_head(struct host *h, const struct http_head *head, size_t *body_max)
{
	struct relay *r = h->worker->relay;
	const struct relay_limits *l = &h->worker->setup->config.limits;

	(void)head;
	*body_max = ENROL_BODY_MAX;
	if (!throttle_take(&r->enrolments, h->peer.source,
		(uint32_t)l->enrolments, clock_us())) {
		http_problem(h->http, PROBLEM_RATE_LIMITED, NULL, 0);
		return HTTP_ANSWERED;
	}
	if (slab_add(&h->handle, &h->worker->hosts, h, NULL) != 0) {
		http_problem(h->http, PROBLEM_OVERLOADED, NULL, 0);
		return HTTP_ANSWERED;
	}
	return HTTP_READ;
}

static void
refuse(struct host *h, const char *why)
{
	log_warn(&h->subject, "enrolment refused: %s", why);
	host_fail(h, PROBLEM_ENROLMENT_REFUSED, FRAME_RESET_CANCELLED);
}

/* Did the holder of the key make this, for this token, on this connection? */
static int
verify(struct host *h, const struct enrol_request *in,
    const uint8_t hash[ENROL_HASH_LEN], struct err *err)
{
	bool binding = h->worker->setup->config.channel_binding;
	uint8_t exporter[TUNNEL_EXPORTER_LEN] = { 0 };
	uint8_t text[ENROL_TEXT_LEN];
	struct writer w = writer_of(text, sizeof(text));

	if (binding && in->binding == 0)
		return err_set(err, ERR_UNTRUSTED,
		    "not bound to its connection (channel-binding)");
	if (in->binding == 1 &&
	    tls_exporter(conn_ssl(http_conn(h->http)), exporter,
		sizeof(exporter), TUNNEL_EXPORTER_LABEL, err) != 0)
		return -1;
	enrol_text(&w, in->binding, span_of(exporter, sizeof(exporter)),
	    span_of(hash, ENROL_HASH_LEN), span_of(in->key, sizeof(in->key)));
	if (!writer_ok(&w))
		return err_set(err, ERR_INTERNAL, "enrolment text too long");
	return admit_signature(span_of(in->key, sizeof(in->key)),
	    span_of(in->signature, sizeof(in->signature)), writer_span(&w),
	    err);
}

static void
enrolled(struct registry_op *op, void *where)
{
	struct worker *w = where;
	struct host *h = slab_get(&w->hosts, op->handle);
	struct http_out_field type = { "content-type",
		span_str("application/json") };
	struct http_answer a = { .status = 200,
		.origin = "relay",
		.fields = &type,
		.field_count = 1 };
	char body[512];
	int n;

	if (op->err.code == ERR_NONE && op->who[0] != '\0')
		log_info(NULL, "%s: %s, tenant %s, token %llu", op->who,
		    op->what, op->key.account->name,
		    (unsigned long long)op->token.id);
	if (h == NULL)
		return; /* it asks again, and is told yes again */
	if (op->err.code != ERR_NONE) {
		if (op->err.code == ERR_UNTRUSTED)
			refuse(h, op->err.msg);
		else
			host_fail(h, PROBLEM_OVERLOADED, FRAME_RESET_CANCELLED);
		return;
	}
	n = snprintf(body, sizeof(body), "{\"tenant\":\"%s\",\"relay\":\"%s\"}",
	    op->key.account->name, w->setup->config.name);
	a.body = span_of(body, (size_t)n);
	host_end(h, FRAME_RESET_CANCELLED);
	http_answer(h->http, &a, NULL);
}

/* The token exists, and the key is not the configuration's: to the writer. */
static void
ask_registry(struct host *h, const struct enrol_request *in,
    const uint8_t hash[ENROL_HASH_LEN])
{
	struct relay *r = h->worker->relay;
	char text[SOURCE_TEXT_LEN], key[TENANT_KEY_TEXT_LEN];
	struct registry_token token;
	struct tenant_rules rules;
	struct registry_op *op;

	if (!registry_find_token(r->registry, REGISTRY_TOKEN_ENROL, hash,
		clock_wall_ms(), &token)) {
		refuse(h, "unknown token, or one that is over");
		return;
	}
	if (!claim_tenant(h->worker->setup->tenants, r->registry, token.account,
		&rules)) {
		refuse(h, "its tenant is gone");
		return;
	}
	if (tenants_of_key(h->worker->setup->tenants, in->key) != NULL) {
		refuse(h, "the key is in relay.yaml");
		return;
	}
	/* It has read the registry, and would not know the key. */
	if (atomic_load(&r->offered)) {
		http_close_after(h->http);
		host_fail(h, PROBLEM_DRAINING, FRAME_RESET_CANCELLED);
		return;
	}
	op = registry_op_new(REGISTRY_ENROL, h->worker->loop, enrolled);
	if (op == NULL) {
		host_fail(h, PROBLEM_OVERLOADED, FRAME_RESET_CANCELLED);
		return;
	}
	op->handle = h->handle;
	memcpy(op->token.hash, hash, sizeof(op->token.hash));
	memcpy(op->key.key, in->key, sizeof(op->key.key));
	snprintf(op->who, sizeof(op->who), "enrolment from %s",
	    source_text(text, h->peer.source));
	snprintf(op->what, sizeof(op->what), "key %s",
	    tenant_key_format(key, in->key));
	registry_send(r->registry, op);
}

void
host_enrol(struct host *h, struct span body)
{
	struct enrol_request in;
	uint8_t hash[ENROL_HASH_LEN];
	struct err err;

	if (enrol_read(&in, body, &err) != 0) {
		log_info(&h->subject, "enrolment: %s", err.msg);
		host_fail(h, PROBLEM_BAD_REQUEST, FRAME_RESET_CANCELLED);
	} else if (!admit_hash(hash, span_str(in.token))) {
		host_fail(h, PROBLEM_OVERLOADED, FRAME_RESET_CANCELLED);
	} else if (verify(h, &in, hash, &err) == 0) {
		ask_registry(h, &in, hash);
	} else if (err.code == ERR_MEMORY || err.code == ERR_INTERNAL) {
		log_error(&h->subject, "enrolment: %s", err.msg);
		host_fail(h, PROBLEM_OVERLOADED, FRAME_RESET_CANCELLED);
	} else {
		refuse(h, "a bad proof, or not bound to its connection");
	}
	secret_wipe(&in, sizeof(in));
}
