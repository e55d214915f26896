#include "launch/answer.h"

#include <stdio.h>
#include <string.h>

#include "launch/json.h"

#define PROBLEM_PREFIX "urn:attest-relay:problem:"

static int
get_flag(bool *out, const json_t *o, const char *name, struct err *err)
{
	const json_t *v = json_object_get(o, name);

	if (v == NULL)
		return 0;
	if (!json_is_boolean(v))
		return err_set(
		    err, ERR_MALFORMED, "%s: want true or false", name);
	*out = json_is_true(v);
	return 0;
}

/* It goes back to the service and into logs: a UUID or nothing. */
static int
get_session_id(struct answer_launch *out, const json_t *o, struct err *err)
{
	const json_t *v = json_object_get(o, "session-id");
	struct uuid u;

	if (v == NULL)
		return 0;
	if (!json_is_string(v) ||
	    uuid_parse(&u, span_of(json_string_value(v), json_string_length(v)),
		NULL) != 0)
		return err_set(err, ERR_MALFORMED, "session-id: want a UUID");
	uuid_format(out->session_id, &u);
	return 0;
}

static int
get_expiry(struct answer_launch *out, const json_t *o, struct err *err)
{
	uint64_t v = 0;

	if (json_object_get(o, "expires-in") == NULL)
		return 0;
	if (json_get_uint(&v, o, "expires-in", UINT32_MAX, err) != 0)
		return -1;
	out->has_expiry = true;
	out->expires_in_s = (uint32_t)v;
	return 0;
}

static int
get_scheme(struct answer_launch *out, const json_t *o, struct err *err)
{
	const json_t *v = json_object_get(o, "scheme");
	const char *text = json_string_value(v);

	if (v == NULL)
		return 0;
	if (text == NULL)
		return err_set(err, ERR_MALFORMED, "scheme: want a string");
	out->es = strcmp(text, "amd-sev-es") == 0;
	if (!out->es && strcmp(text, "amd-sev") != 0)
		return err_set(err, ERR_UNSUPPORTED,
		    "scheme %.40s, want "
		    "amd-sev or amd-sev-es",
		    text);
	return 0;
}

int
answer_launch_read(struct answer_launch *out, struct span body, struct err *err)
{
	json_t *o = NULL;
	uint64_t policy = 0;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	if (json_read(&o, body, err) != 0 ||
	    json_get_exact(
		out->session, sizeof(out->session), o, "session", err) != 0 ||
	    json_get_exact(out->owner_cert, sizeof(out->owner_cert), o,
		"owner-cert", err) != 0 ||
	    json_get_uint(&policy, o, "policy", UINT32_MAX, err) != 0 ||
	    get_flag(&out->kernel_hashes, o, "kernel-hashes", err) != 0 ||
	    get_session_id(out, o, err) != 0 || get_expiry(out, o, err) != 0 ||
	    get_scheme(out, o, err) != 0)
		goto out;
	out->policy = (uint32_t)policy;
	rc = 0;
out:
	json_decref(o);
	return rc == 0 ? 0 : err_wrap(err, "answer to /launch");
}

json_t *
answer_launch_json(const struct answer_launch *a, struct err *err)
{
	json_t *o = json_pack("{s:I, s:b, s:s}", "policy",
	    (json_int_t)a->policy, "kernel-hashes", a->kernel_hashes, "scheme",
	    a->es ? "amd-sev-es" : "amd-sev");
	int rc = 0;

	if (o == NULL) {
		err_set(err, ERR_MEMORY, "no memory for an answer");
		return NULL;
	}
	if (a->session_id[0] != '\0')
		rc |= json_object_set_new(
		    o, "session-id", json_string(a->session_id));
	if (a->has_expiry)
		rc |= json_object_set_new(
		    o, "expires-in", json_integer(a->expires_in_s));
	if (rc != 0 ||
	    json_set_bytes(o, "session",
		span_of(a->session, sizeof(a->session)), err) != 0 ||
	    json_set_bytes(o, "owner-cert",
		span_of(a->owner_cert, sizeof(a->owner_cert)), err) != 0) {
		err_set(err, ERR_MEMORY, "no memory for an answer");
		json_decref(o);
		return NULL;
	}
	return o;
}

/* `secret-table` is the thread's name; `secret-payload` repeats it, or stands
 * for it. */
static int
get_payload(struct answer_validate *out, const json_t *o, struct err *err)
{
	const json_t *payload = json_object_get(o, "secret-payload");
	const json_t *table = json_object_get(o, "secret-table");
	const char *name = table != NULL ? "secret-table" : "secret-payload";
	struct secret *p = &out->payload;
	size_t len = 0;

	if (table != NULL && payload != NULL && !json_equal(table, payload))
		return err_set(err, ERR_MALFORMED,
		    "secret-payload differs from secret-table");
	if (secret_alloc(p, ANSWER_PAYLOAD_MAX, err) != 0 ||
	    json_get_bytes(p->ptr, p->len, &len, o, name, err) != 0)
		return -1;
	p->len = len;
	if (len == 0 || len % 16 != 0)
		return err_set(err, ERR_MALFORMED,
		    "%s: %zu bytes, want a multiple of 16 (AMD 55766 6.6)",
		    name, len);
	return 0;
}

static int
get_address(struct answer_validate *out, const json_t *o, struct err *err)
{
	if (json_object_get(o, "secret-address") == NULL)
		return 0;
	if (json_get_uint(
		&out->address, o, "secret-address", UINT32_MAX, err) != 0)
		return -1;
	if (out->address == 0 || out->address % 16 != 0)
		return err_set(err, ERR_MALFORMED,
		    "secret-address 0x%llx, want a multiple of 16",
		    (unsigned long long)out->address);
	out->has_address = true;
	return 0;
}

int
answer_validate_read(
    struct answer_validate *out, struct span body, struct err *err)
{
	json_t *o = NULL;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	out->inject = true;
	if (json_read(&o, body, err) != 0 ||
	    get_flag(&out->inject, o, "inject", err) != 0)
		goto out;
	if (out->inject) {
		if (json_get_exact(out->header, sizeof(out->header), o,
			"secret-header", err) != 0 ||
		    get_payload(out, o, err) != 0 ||
		    get_address(out, o, err) != 0)
			goto out;
	} else if (json_object_get(o, "secret-header") != NULL ||
	    json_object_get(o, "secret-table") != NULL ||
	    json_object_get(o, "secret-payload") != NULL) {
		err_set(err, ERR_MALFORMED, "inject is false beside a secret");
		goto out;
	}
	rc = 0;
out:
	json_decref(o);
	if (rc == 0)
		return 0;
	answer_validate_free(out);
	return err_wrap(err, "answer to /validate");
}

json_t *
answer_validate_json(const struct answer_validate *a, struct err *err)
{
	json_t *o = json_pack("{s:b}", "inject", a->inject);
	int rc = 0;

	if (o == NULL) {
		err_set(err, ERR_MEMORY, "no memory for an answer");
		return NULL;
	}
	if (a->inject) {
		rc |= json_set_bytes(o, "secret-header",
		    span_of(a->header, sizeof(a->header)), err);
		rc |= json_set_bytes(
		    o, "secret-table", secret_span(&a->payload), err);
	}
	if (a->inject && a->has_address)
		rc |= json_object_set_new(
		    o, "secret-address", json_integer((json_int_t)a->address));
	if (rc != 0) {
		err_set(err, ERR_MEMORY, "no memory for an answer");
		json_decref(o);
		return NULL;
	}
	return o;
}

void
answer_validate_free(struct answer_validate *a)
{
	secret_free(&a->payload);
	memset(a, 0, sizeof(*a));
}

void
answer_problem_read(struct answer_problem *out, struct span body)
{
	json_t *o = NULL;

	memset(out, 0, sizeof(*out));
	if (json_read(&o, body, NULL) != 0)
		return;
	json_get_text(out->type, sizeof(out->type), o, "type");
	json_get_text(out->title, sizeof(out->title), o, "title");
	json_get_text(out->detail, sizeof(out->detail), o, "detail");
	json_get_text(out->instance, sizeof(out->instance), o, "instance");
	json_get_text(out->origin, sizeof(out->origin), o, "origin");
	json_decref(o);
}

bool
answer_problem_is(const struct answer_problem *p, const char *name)
{
	size_t len = strlen(PROBLEM_PREFIX);

	return strncmp(p->type, PROBLEM_PREFIX, len) == 0 &&
	    strcmp(p->type + len, name) == 0;
}
