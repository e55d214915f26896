#include "relay/admin_impl.h"

#include "common/log.h"
#include "common/secret.h"
#include "common/tls_peer.h"
#include "relay/claim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX 65536
#define OUT_MAX (256u * 1024 * 1024) /* a list of all there is */
#define TIME_TEXT 32

/* Of operators nobody expects haste, or patience. */
static const struct http_settings settings = {
	.conn = { .handshake_ms = 10000,
	    .stall_ms = 30000,
	    .linger_ms = 2000,
	    .in_max = 2 * HTTP_HEAD_MAX,
	    .out_max = OUT_MAX,
	    .out_low = 65536 },
	.head_ms = 10000,
	.body_ms = 30000,
	.rate_after_ms = 15000,
	.rate_min = 512,
	.idle_ms = 60000,
};

/*
 * Answers.
 */

/* The request is over. */
static void
forget(struct admin_call *c)
{
	slab_remove(&c->admin->calls, c->handle);
	c->handle = (struct handle){ 0 };
	json_decref(c->list);
	c->list = NULL;
	c->waiting = 0;
	secret_wipe(c->token, sizeof(c->token));
}

static void
answer(
    struct admin_call *c, unsigned status, const char *type, struct span body)
{
	struct http_out_field field = { "content-type", span_str(type) };
	struct http_answer a = { .status = status,
		.origin = "relay",
		.fields = &field,
		.field_count = 1,
		.body = body };

	forget(c);
	if (http_answer(c->http, &a, NULL) != 0)
		http_problem(c->http, PROBLEM_OVERLOADED, NULL, 0);
}

void
admin_text(struct admin_call *c, const char *type, struct span text)
{
	answer(c, 200, type, text);
}

static void
answer_json(struct admin_call *c, unsigned status, json_t *out)
{
	char *text = out != NULL ? json_dumps(out, JSON_COMPACT) : NULL;
	size_t len = text != NULL ? strlen(text) : 0;

	json_decref(out);
	if (text == NULL) {
		forget(c);
		http_problem(c->http, PROBLEM_OVERLOADED, NULL, 0);
		return;
	}
	answer(c, status, "application/json", span_of(text, len));
	/* A token may be in it. */
	secret_wipe(text, len);
	free(text);
}

void
admin_json(struct admin_call *c, json_t *out)
{
	answer_json(c, 200, out);
}

/* Words of the caller's that were cut may be UTF-8 no more. */
static json_t *
error_json(const char *text)
{
	json_t *out = json_pack("{s:s}", "error", text);
	char *ascii = out == NULL ? strdup(text) : NULL;

	if (ascii == NULL)
		return out;
	for (char *p = ascii; *p != '\0'; p++)
		if ((unsigned char)*p > '~')
			*p = '?';
	out = json_pack("{s:s}", "error", ascii);
	free(ascii);
	return out;
}

void
admin_error(struct admin_call *c, const struct err *err)
{
	static const struct {
		enum err_code code;
		unsigned status;
	} map[] = {
		{ ERR_MALFORMED, 400 },
		{ ERR_USAGE, 400 },
		{ ERR_LIMIT, 400 },
		{ ERR_UNTRUSTED, 400 },
		{ ERR_NOT_FOUND, 404 },
		{ ERR_CONFLICT, 409 },
	};
	unsigned status = 503;

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].code == err->code)
			status = map[i].status;
	answer_json(c, status, error_json(err->msg));
}

void
admin_faults(struct admin_call *c, const char *text)
{
	answer_json(c, 400, error_json(text));
}

bool
admin_bad(struct admin_call *c, const char *fmt, ...)
{
	struct err err = { .code = ERR_USAGE };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
	va_end(ap);
	admin_error(c, &err);
	return false;
}

/*
 * Changes.
 */

struct registry_op *
admin_op(struct admin_call *c, enum registry_verb verb,
    void (*done)(struct registry_op *op, void *where), const char *fmt, ...)
{
	struct registry_op *op = registry_op_new(verb, c->admin->loop, done);
	struct err err;
	va_list ap;

	/* What it has read already would be changed behind its back. */
	if (verb != REGISTRY_TRAIL && atomic_load(&c->admin->relay->offered)) {
		registry_op_free(op);
		err_set(&err, ERR_CONFLICT,
		    "another relay takes over: ask that one");
		admin_error(c, &err);
		return NULL;
	}
	if (op == NULL) {
		err_set(&err, ERR_MEMORY, "no memory");
		admin_error(c, &err);
		return NULL;
	}
	op->handle = c->handle;
	memcpy(op->who, c->who, sizeof(op->who));
	va_start(ap, fmt);
	vsnprintf(op->what, sizeof(op->what), fmt, ap);
	va_end(ap);
	return op;
}

void
admin_about(
    struct admin_call *c, struct registry_op *op, struct account *account)
{
	const struct tenants *tenants = c->admin->relay->setup->tenants;

	op->account = account;
	op->listed = tenants_rules(tenants, account) == NULL;
}

bool
admin_home(struct admin *a, struct registry_op *op, struct admin_call **call)
{
	struct admin_call *c = slab_get(&a->calls, op->handle);
	bool good = op->err.code == ERR_NONE;

	*call = c;
	if (good && op->what[0] != '\0')
		log_info(NULL, "admin: %s: %s", op->who, op->what);
	if (good)
		return true;
	log_warn(
	    NULL, "admin: %s: %s: refused: %s", op->who, op->what, op->err.msg);
	if (c != NULL)
		admin_error(c, &op->err);
	return false;
}

/*
 * Bodies.
 */

bool
admin_has_members(struct admin_call *c, json_t *in, const char *const *known)
{
	const char *name;
	json_t *value;

	json_object_foreach(in, name, value)
	{
		size_t i = 0;

		while (known[i] != NULL && strcmp(known[i], name) != 0)
			i++;
		if (known[i] == NULL)
			return admin_bad(c, "unknown member %.64s", name);
	}
	return true;
}

const char *
admin_string(struct admin_call *c, json_t *in, const char *name)
{
	const json_t *value = json_object_get(in, name);

	if (json_is_string(value) && json_string_length(value) > 0)
		return json_string_value(value);
	admin_bad(c, "want a string %s", name);
	return NULL;
}

bool
admin_number(struct admin_call *c, json_t *in, const char *name, uint64_t max,
    uint64_t *out)
{
	const json_t *value = json_object_get(in, name);

	if (value == NULL)
		return true;
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    (uint64_t)json_integer_value(value) > max)
		return admin_bad(c, "want a number %s, 0 to %llu", name,
		    (unsigned long long)max);
	*out = (uint64_t)json_integer_value(value);
	return true;
}

bool
admin_bool(struct admin_call *c, json_t *in, const char *name, bool *out)
{
	const json_t *value = json_object_get(in, name);

	if (value != NULL && !json_is_boolean(value))
		return admin_bad(c, "want true or false for %s", name);
	if (value != NULL)
		*out = json_is_true(value);
	return true;
}

struct account *
admin_tenant(struct admin_call *c, json_t *in)
{
	const struct relay *r = c->admin->relay;
	const char *name = admin_string(c, in, "tenant");
	struct tenant_rules rules;
	struct account *account;
	struct err err;

	if (name == NULL)
		return NULL;
	account = accounts_find(r->accounts, name);
	if (account != NULL &&
	    claim_tenant(r->setup->tenants, r->registry, account, &rules))
		return account;
	err_set(&err, ERR_NOT_FOUND, "there is no tenant %.64s", name);
	admin_error(c, &err);
	return NULL;
}

json_t *
admin_time(uint64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char text[TIME_TEXT];
	struct tm tm;

	if (ms == 0)
		return json_null();
	gmtime_r(&s, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

/*
 * The connection.
 */

static void
on_open(void *arg)
{
	(void)arg;
}

/* Of a TLS peer the certificate says who it is; without one it is nobody. */
static bool
is_named(struct admin_call *c)
{
	const struct relay_setup *setup = c->admin->relay->setup;
	struct ssl_st *ssl = conn_ssl(http_conn(c->http));
	char name[TLS_PEER_NAME_MAX + 1];

	if (ssl == NULL)
		return true; /* the kernel said */
	/* A connection outlives reloads, its authority may not. */
	if (!tls_peer_name(ssl, name, sizeof(name)) || setup->admin == NULL ||
	    (c->number != setup->number && !tls_peer_stands(ssl, setup->admin)))
		return false;
	c->number = setup->number;
	snprintf(c->who, sizeof(c->who), "mtls:%.*s",
	    (int)(sizeof(c->who) - sizeof("mtls:")), name);
	return true;
}

static enum http_verdict
refuse(struct http_server *s, enum problem problem, const char *allow)
{
	struct http_out_field field = { "allow", span_str(allow) };

	http_problem(s, problem, &field, allow[0] != '\0' ? 1 : 0);
	return HTTP_ANSWERED;
}

static enum http_verdict
on_head(void *arg, struct http_server *s, const struct http_head *head,
    size_t *body_max)
{
	struct admin_call *c = arg;
	const char *allow;
	struct err err;

	*body_max = BODY_MAX;
	if (!is_named(c))
		return refuse(s, PROBLEM_HOST_UNAUTHENTICATED, "");
	c->row = admin_find_row(head->method, head->path, &allow);
	if (c->row == NULL && allow != NULL)
		return refuse(s, PROBLEM_HTTP_405, allow);
	if (c->row == NULL)
		return refuse(s, PROBLEM_NOT_FOUND, "");
	if (head->has_query)
		return refuse(s, PROBLEM_BAD_REQUEST, "");
	if (slab_add(&c->handle, &c->admin->calls, c, &err) != 0)
		return refuse(s, PROBLEM_OVERLOADED, "");
	return HTTP_READ;
}

static bool
on_more(void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return true;
}

static void
on_request(void *arg, struct http_server *s, struct buf *body)
{
	struct admin_call *c = arg;
	struct span bytes = buf_span(body);
	json_t *in = NULL;

	(void)s;
	if (bytes.len > 0) {
		in = json_loadb((const char *)bytes.ptr, bytes.len,
		    JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(in)) {
			json_decref(in);
			admin_bad(c, "the body is no JSON object");
			return;
		}
	}
	c->row->fn(c, in);
	json_decref(in);
}

static void
on_done(void *arg, const struct http_done *done)
{
	struct admin_call *c = arg;

	log_debug(NULL, "admin: %s: %s %s %u", c->who, done->method,
	    c->row != NULL ? c->row->path : "-", done->status);
}

static void
release(void *arg)
{
	free(arg);
}

static void
on_gone(void *arg, const char *why)
{
	struct admin_call *c = arg;

	(void)why;
	forget(c);
	TAILQ_REMOVE(&c->admin->all, c, link);
	loop_bury(c->admin->loop, &c->grave, release, c);
}

static const struct http_ops ops = {
	.open = on_open,
	.head = on_head,
	.more = on_more,
	.request = on_request,
	.done = on_done,
	.gone = on_gone,
};

void
admin_accept(struct admin_socket *s, int fd, const char *who)
{
	struct admin_call *c = calloc(1, sizeof(*c));
	struct admin *a = s->admin;
	struct err err;

	if (c == NULL) {
		close(fd);
		return;
	}
	c->admin = a;
	c->number = s->tls ? a->number : 0;
	snprintf(c->who, sizeof(c->who), "%s", who);
	if (http_server_accept(&c->http, a->loop, s->tls ? a->tls : NULL, fd,
		&settings, &ops, c, &err) != 0) {
		log_warn(NULL, "admin: not accepted: %s", err.msg);
		free(c);
		return;
	}
	TAILQ_INSERT_TAIL(&a->all, c, link);
}
