#include "relay/admin_impl.h"

#include "common/base64.h"
#include "common/clock.h"
#include "common/secret.h"
#include "common/admit.h"

#include <stdio.h>
#include <string.h>

#define TTL_DEFAULT_S 600
#define TTL_MAX_S UINT64_C(3153600000) /* a hundred years */
#define USES_MAX 100000

/* Enrolment tokens, and long-lived ones of agents: made here, shown once, and
 * kept as their hash only. */

static void
add_token(void *arg, const void *row)
{
	const struct registry_token *t = row;
	bool enrol = t->kind == REGISTRY_TOKEN_ENROL;

	json_array_append_new(arg,
	    json_pack("{s:I,s:s,s:s,s:o,s:o,s:o}", "id", (json_int_t)t->id,
		"tenant", t->account->name, "kind", enrol ? "enrol" : "agent",
		"uses", enrol ? json_integer(t->uses) : json_null(), "since",
		admin_time(t->since_ms), "expires", admin_time(t->expires_ms)));
}

void
admin_tokens(struct admin_call *c, json_t *in)
{
	json_t *list = json_array();

	(void)in;
	registry_each(
	    c->admin->relay->registry, REGISTRY_TOKENS, add_token, list);
	admin_json(c, json_pack("{s:o}", "tokens", list));
}

/* RFC 4648 5, without padding: it goes into a URL and into a header. */
static int
make_token(char out[ADMIN_TOKEN_TEXT], struct err *err)
{
	uint8_t random[ADMIN_TOKEN_LEN];
	char text[ADMIN_TOKEN_TEXT + 1];
	int rc = secret_random(random, sizeof(random), err);

	base64_encode(text, sizeof(text), span_of(random, sizeof(random)));
	for (size_t i = 0; i < ADMIN_TOKEN_TEXT; i++)
		out[i] = text[i] == '+' ? '-'
		    : text[i] == '/'    ? '_'
		    : text[i] == '='    ? '\0'
					: text[i];
	secret_wipe(random, sizeof(random));
	secret_wipe(text, sizeof(text));
	return rc;
}

/* The one line that the owner gets: the fragment is never sent to a server. */
static int
make_url(char *out, size_t cap, const struct relay *r, const char *token,
    struct err *err)
{
	const struct relay_config *c = &r->setup->config;
	uint8_t pin[TLS_PIN_LEN];
	char text[48], port[8] = "";
	const char *colon = strchr(c->name, ':');

	if (tls_identity_pin(r->setup->public, pin, err) != 0)
		return -1;
	if (r->public_port != 443)
		snprintf(port, sizeof(port), ":%u", r->public_port);
	snprintf(out, cap,
	    colon != NULL ? "https://[%s]%s%s/e/%s#sha256/%s"
			  : "https://%s%s%s/e/%s#sha256/%s",
	    c->name, port, c->base, token,
	    base64_encode(text, sizeof(text), span_of(pin, sizeof(pin))));
	return 0;
}

static void
token_done(struct registry_op *op, void *where)
{
	const struct admin *a = where;
	struct admin_call *c;
	char url[1024];
	struct err err;
	json_t *out;

	if (!admin_home(where, op, &c) || c == NULL)
		return;
	if (make_url(url, sizeof(url), a->relay, c->token, &err) != 0) {
		admin_error(c, &err);
		return;
	}
	out = json_pack("{s:I,s:s,s:s,s:s,s:o}", "id", (json_int_t)op->token.id,
	    "tenant", op->account->name, "kind",
	    op->token.kind == REGISTRY_TOKEN_ENROL ? "enrol" : "agent", "token",
	    c->token, "expires", admin_time(op->token.expires_ms));
	if (op->token.kind == REGISTRY_TOKEN_ENROL && out != NULL)
		json_object_set_new(out, "url", json_string(url));
	secret_wipe(url, sizeof(url));
	admin_json(c, out);
}

void
admin_token_add(struct admin_call *c, json_t *in)
{
	static const char *const known[] = { "tenant", "ttl", "uses", "agent",
		NULL };
	uint64_t uses = 1, ttl = UINT64_MAX;
	struct account *account;
	struct registry_op *op;
	bool agent = false;
	struct err err;

	if (!admin_has_members(c, in, known) ||
	    (account = admin_tenant(c, in)) == NULL ||
	    !admin_bool(c, in, "agent", &agent) ||
	    !admin_number(c, in, "uses", USES_MAX, &uses) ||
	    !admin_number(c, in, "ttl", TTL_MAX_S, &ttl))
		return;
	if (ttl == UINT64_MAX)
		ttl = agent ? 0 : TTL_DEFAULT_S;
	else if (ttl == 0 || uses == 0) {
		admin_bad(c,
		    "a token lives a second, and is of use once, at "
		    "least");
		return;
	}
	if (make_token(c->token, &err) != 0) {
		admin_error(c, &err);
		return;
	}
	op = admin_op(c, REGISTRY_TOKEN_ADD, token_done,
	    "token create tenant %s %s ttl %llu s uses %llu", account->name,
	    agent ? "agent" : "enrol", (unsigned long long)ttl,
	    (unsigned long long)(agent ? 0 : uses));
	if (op == NULL)
		return;
	admin_about(c, op, account);
	op->token.account = account;
	op->token.kind = agent ? REGISTRY_TOKEN_AGENT : REGISTRY_TOKEN_ENROL;
	op->token.uses = agent ? 0 : (uint32_t)uses;
	op->token.expires_ms = ttl != 0 ? clock_wall_ms() + ttl * 1000 : 0;
	if (!admit_hash(op->token.hash, span_str(c->token))) {
		registry_op_free(op);
		admin_bad(c, "SHA-256 is not available");
		return;
	}
	registry_send(c->admin->relay->registry, op);
}

static void
revoke_done(struct registry_op *op, void *where)
{
	struct admin_call *c;

	if (!admin_home(where, op, &c))
		return;
	admin_judge(where);
	if (c != NULL)
		admin_json(c, json_pack("{s:b}", "done", 1));
}

void
admin_token_remove(struct admin_call *c, json_t *in)
{
	static const char *const known[] = { "id", NULL };
	struct registry_op *op;
	uint64_t id = 0;

	if (!admin_has_members(c, in, known) ||
	    !admin_number(c, in, "id", INT64_MAX, &id))
		return;
	op = admin_op(c, REGISTRY_TOKEN_REMOVE, revoke_done,
	    "token revoke %llu", (unsigned long long)id);
	if (op == NULL)
		return;
	op->token.id = id;
	registry_send(c->admin->relay->registry, op);
}
