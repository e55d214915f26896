#include "tests/host/answers.h"

#include <stdio.h>
#include <string.h>

#include "common/base64.h"

static json_t *
load(struct span body, struct err *err)
{
	json_error_t why;
	json_t *object = json_loadb(
	    (const char *)body.ptr, body.len, JSON_REJECT_DUPLICATES, &why);

	if (!json_is_object(object)) {
		err_set(err, ERR_MALFORMED, "answer is not a JSON object");
		json_decref(object);
		return NULL;
	}
	return object;
}

static int
get_bytes(uint8_t *out, size_t cap, size_t *len, const json_t *object,
    const char *name, struct err *err)
{
	const json_t *v = json_object_get(object, name);

	if (!json_is_string(v))
		return err_set(err, ERR_MALFORMED, "answer without %s", name);
	if (base64_decode(out, cap, len,
		span_of(json_string_value(v), json_string_length(v)), err) != 0)
		return err_wrap(err, "%s", name);
	return 0;
}

int
answers_launch(struct launch_answer *out, struct span body, struct err *err)
{
	json_t *object = load(body, err);
	const json_t *v;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	if (object == NULL ||
	    get_bytes(out->session, sizeof(out->session), &out->session_len,
		object, "session", err) != 0 ||
	    get_bytes(out->owner_cert, sizeof(out->owner_cert),
		&out->owner_cert_len, object, "owner-cert", err) != 0)
		goto out;
	v = json_object_get(object, "policy");
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    json_integer_value(v) > UINT32_MAX) {
		err_set(err, ERR_MALFORMED, "answer without policy");
		goto out;
	}
	out->policy = (uint32_t)json_integer_value(v);
	v = json_object_get(object, "session-id");
	if (json_is_string(v))
		(void)snprintf(out->session_id, sizeof(out->session_id), "%s",
		    json_string_value(v));
	v = json_object_get(object, "kernel-hashes");
	out->kernel_hashes = json_is_boolean(v) ? json_is_true(v) : -1;
	v = json_object_get(object, "expires-in");
	out->expires_in_s =
	    json_is_integer(v) ? (long)json_integer_value(v) : -1;
	rc = 0;
out:
	json_decref(object);
	return rc;
}

/* `secret-table` is the thread's name; `secret-payload` repeats it. */
static int
get_payload(struct secret *out, const json_t *object, struct err *err)
{
	const json_t *again = json_object_get(object, "secret-payload");
	const json_t *table = json_object_get(object, "secret-table");
	size_t len = 0;

	if (again != NULL && !json_equal(again, table))
		return err_set(err, ERR_MALFORMED,
		    "secret-payload differs from secret-table");
	if (secret_alloc(out, HTTP_BODY_MAX, err) != 0 ||
	    get_bytes(out->ptr, out->len, &len, object, "secret-table", err) !=
		0)
		return -1;
	out->len = len;
	return 0;
}

int
answers_validate(struct validate_answer *out, struct span body, struct err *err)
{
	json_t *object = load(body, err);
	const json_t *v;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	if (object == NULL)
		return -1;
	out->inject = !json_is_false(json_object_get(object, "inject"));
	if (out->inject &&
	    (get_bytes(out->header, sizeof(out->header), &out->header_len,
		 object, "secret-header", err) != 0 ||
		get_payload(&out->payload, object, err) != 0))
		goto out;
	v = json_object_get(object, "secret-address");
	if (v != NULL &&
	    (!json_is_integer(v) || json_integer_value(v) <= 0 ||
		json_integer_value(v) > UINT32_MAX)) {
		err_set(err, ERR_MALFORMED, "secret-address is no address");
		goto out;
	}
	if (v != NULL) {
		out->has_address = true;
		out->address = (uint64_t)json_integer_value(v);
	}
	rc = 0;
out:
	json_decref(object);
	if (rc != 0)
		answers_free(out);
	return rc;
}

void
answers_free(struct validate_answer *a)
{
	secret_free(&a->payload);
}

json_t *
answers_problem_json(const struct http_answer *a)
{
	json_t *body = load(secret_span(&a->body), NULL), *out;

	out = json_pack("{s:i, s:s*, s:s*, s:s*}", "status", (int)a->status,
	    "type", json_string_value(json_object_get(body, "type")), "origin",
	    json_string_value(json_object_get(body, "origin")), "instance",
	    json_string_value(json_object_get(body, "instance")));
	if (out != NULL && a->retry_after_s >= 0)
		(void)json_object_set_new(
		    out, "retry-after", json_integer(a->retry_after_s));
	json_decref(body);
	return out;
}

void
answers_problem(const struct http_answer *a, struct err *err)
{
	json_t *problem;
	const char *type;

	if (a->status == 0) {
		err_set(err, ERR_IO, "connection lost: %s", a->why);
		return;
	}
	problem = answers_problem_json(a);
	type = json_string_value(json_object_get(problem, "type"));
	err_set(err, ERR_UNTRUSTED, "status %ld %s", a->status,
	    type == NULL ? "without a problem type" : type);
	json_decref(problem);
}
