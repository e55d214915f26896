#include "launch/answer.h"
#include "launch/json.h"
#include "launch/request.h"

#include "tests/unit/common/exact.h"

static const uint8_t zeros[ANSWER_PAYLOAD_MAX + 64];

/* A good object, changed by one member: ${json} NULL takes it away. */
static void
change(json_t *o, const char *name, const char *json)
{
	if (name == NULL)
		return;
	if (json == NULL)
		(void)json_object_del(o, name);
	else
		(void)json_object_set_new(
		    o, name, json_loads(json, JSON_DECODE_ANY, NULL));
}

static void
bytes(json_t *o, const char *name, size_t len)
{
	if (name != NULL)
		assert_int_equal(
		    json_set_bytes(o, name, span_of(zeros, len), NULL), 0);
}

static uint8_t *
text_of(size_t *len, json_t *o)
{
	struct secret text = { 0 };
	uint8_t *copy;

	assert_int_equal(json_write(&text, o, NULL), 0);
	copy = exact(secret_span(&text));
	*len = text.len;
	secret_free(&text);
	return copy;
}

static json_t *
good_launch(void)
{
	json_t *o = json_pack("{s:i, s:s, s:i, s:b, s:s, s:i}", "policy", 5,
	    "session-id", "9F8C6F5E-2a8f-4a4e-9d5e-0f0b1c2d3e4f", "expires-in",
	    600, "kernel-hashes", 1, "scheme", "amd-sev-es", "new", 1);

	bytes(o, "session", ANSWER_SESSION_LEN);
	bytes(o, "owner-cert", ANSWER_CERT_LEN);
	return o;
}

static void
launch_answers(void **state)
{
	static const struct {
		const char *name, *json; /* this member is changed to this */
		size_t len;              /* or to so many bytes */
		const char *says;        /* NULL: still good */
	} cases[] = {
		{ NULL, NULL, 0, NULL },
		{ "session-id", NULL, 0, NULL },
		{ "expires-in", NULL, 0, NULL },
		{ "kernel-hashes", NULL, 0, NULL },
		{ "scheme", NULL, 0, NULL },
		{ "scheme", "\"amd-sev\"", 0, NULL },
		{ "session", NULL, 0, "session: want a string" },
		{ "session", "7", 0, "session: want a string" },
		{ "session", "\"!\"", 0, "session" },
		{ "session", NULL, 127, "127 bytes, want 128" },
		{ "session", NULL, 129, "session" },
		{ "owner-cert", NULL, 0, "owner-cert: want a string" },
		{ "owner-cert", NULL, 2083, "2083 bytes, want 2084" },
		{ "policy", NULL, 0, "policy: want an integer" },
		{ "policy", "\"5\"", 0, "policy: want an integer" },
		{ "policy", "5.0", 0, "policy: want an integer" },
		{ "policy", "-1", 0, "policy: want an integer" },
		{ "policy", "4294967296", 0, "policy: want an integer" },
		{ "session-id", "\"a/../b\"", 0, "session-id: want a UUID" },
		{ "session-id", "1", 0, "session-id: want a UUID" },
		{ "expires-in", "-1", 0, "expires-in" },
		{ "kernel-hashes", "\"yes\"", 0, "want true or false" },
		{ "scheme", "\"amd-snp\"", 0, "amd-snp, want" },
		{ "scheme", "1", 0, "scheme: want a string" },
		{ "far", "9007199254740993", 0, "2^53" },
		{ "deep", "[[[[[[[[1]]]]]]]]", 0, "deeper" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *o = good_launch();
		struct answer_launch a;
		struct err err = { 0 };
		uint8_t *copy;
		size_t len;
		int rc;

		if (cases[i].len > 0)
			bytes(o, cases[i].name, cases[i].len);
		else
			change(o, cases[i].name, cases[i].json);
		copy = text_of(&len, o);
		rc = answer_launch_read(&a, span_of(copy, len), &err);
		free(copy);
		json_decref(o);
		if (cases[i].says != NULL) {
			assert_int_equal(rc, -1);
			assert_says(cases[i].says, err.msg, cases[i].says);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_int_equal(a.policy, 5);
	}
}

static void
launch_answer_is_handed_on(void **state)
{
	json_t *o = good_launch(), *out;
	struct answer_launch a;
	uint8_t *copy;
	size_t len;

	(void)state;
	copy = text_of(&len, o);
	assert_int_equal(answer_launch_read(&a, span_of(copy, len), NULL), 0);
	free(copy);
	out = answer_launch_json(&a, NULL);
	assert_non_null(out);
	/* In lower case, and without what we do not know. */
	(void)json_object_del(o, "new");
	(void)json_object_set_new(o, "session-id",
	    json_string("9f8c6f5e-2a8f-4a4e-9d5e-0f0b1c2d3e4f"));
	assert_true(json_equal(o, out));
	json_decref(o);
	json_decref(out);
}

static void
validate_answers(void **state)
{
	static const struct {
		const char *name, *json;
		size_t len;
		const char *says;
	} cases[] = {
		{ NULL, NULL, 0, NULL },
		{ "secret-payload", NULL, 64, NULL },
		{ "secret-address", "8437760", 0, NULL },
		{ "secret-table", NULL, 16384, NULL },
		{ "inject", "true", 0, NULL },
		{ "secret-header", NULL, 0, "secret-header: want" },
		{ "secret-header", NULL, 51, "51 bytes, want 52" },
		{ "secret-header", NULL, 53, "secret-header" },
		{ "secret-table", NULL, 0, "secret-payload: want" },
		{ "secret-table", "\"\"", 0, "0 bytes" },
		{ "secret-table", NULL, 63, "multiple of 16" },
		{ "secret-table", NULL, 16400, "secret-table" },
		{ "secret-payload", NULL, 48, "differs" },
		{ "secret-address", "0", 0, "secret-address 0x0" },
		{ "secret-address", "8", 0, "multiple of 16" },
		{ "secret-address", "\"16\"", 0, "want an integer" },
		{ "inject", "0", 0, "inject: want" },
		{ "inject", "false", 0, "beside a secret" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *o = json_object();
		struct answer_validate a;
		struct err err = { 0 };
		uint8_t *copy;
		size_t len;
		int rc;

		bytes(o, "secret-header", ANSWER_HEADER_LEN);
		bytes(o, "secret-table", 64);
		if (cases[i].len > 0)
			bytes(o, cases[i].name, cases[i].len);
		else
			change(o, cases[i].name, cases[i].json);
		copy = text_of(&len, o);
		rc = answer_validate_read(&a, span_of(copy, len), &err);
		free(copy);
		json_decref(o);
		if (cases[i].says != NULL) {
			assert_int_equal(rc, -1);
			assert_null(a.payload.ptr);
			assert_says(cases[i].says, err.msg, cases[i].says);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_true(a.inject);
		answer_validate_free(&a);
	}
}

/* What a guest gets is what came: no byte more, and where it belongs. */
static void
validate_answer_is_handed_on(void **state)
{
	static const struct {
		const char *table;
		const char *address;
		uint64_t at;
	} cases[] = {
		{ "secret-table", NULL, 0 },
		{ "secret-payload", NULL, 0 },
		{ "secret-table", "8437760", 8437760 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *o = json_pack("{s:b}", "inject", 1), *out;
		struct answer_validate a;
		uint8_t *copy;
		size_t len;

		bytes(o, "secret-header", ANSWER_HEADER_LEN);
		bytes(o, cases[i].table, 64);
		if (cases[i].address != NULL)
			change(o, "secret-address", cases[i].address);
		copy = text_of(&len, o);
		assert_int_equal(
		    answer_validate_read(&a, span_of(copy, len), NULL), 0);
		free(copy);
		assert_int_equal(a.payload.len, 64);
		assert_int_equal(a.has_address, cases[i].address != NULL);
		assert_int_equal(a.address, cases[i].at);
		out = answer_validate_json(&a, NULL);
		/* By the name that the thread has for it. */
		(void)json_object_del(o, "secret-payload");
		bytes(o, "secret-table", 64);
		assert_true(json_equal(o, out));
		json_decref(o);
		json_decref(out);
		answer_validate_free(&a);
	}
}

static void
nothing_to_inject_is_nothing(void **state)
{
	static const char *const secrets[] = { NULL, "secret-header",
		"secret-table", "secret-payload" };

	(void)state;
	for (size_t i = 0; i < COUNT(secrets); i++) {
		json_t *o = json_pack("{s:b}", "inject", 0), *out;
		struct answer_validate a;
		struct err err = { 0 };
		uint8_t *copy;
		size_t len;
		int rc;

		bytes(o, secrets[i], 64);
		copy = text_of(&len, o);
		rc = answer_validate_read(&a, span_of(copy, len), &err);
		free(copy);
		if (secrets[i] == NULL) {
			assert_int_equal(rc, 0);
			assert_false(a.inject);
			out = answer_validate_json(&a, NULL);
			assert_true(json_equal(o, out));
			json_decref(out);
		} else {
			assert_int_equal(rc, -1);
			assert_says(secrets[i], err.msg, "beside a secret");
		}
		json_decref(o);
	}
}

static void
problems(void **state)
{
	struct answer_problem p;

	(void)state;
	answer_problem_read(&p,
	    span_str("{\"type\":\"urn:attest-relay:problem:refused\","
		     "\"title\":7,\"detail\":\"no\"}"));
	assert_true(answer_problem_is(&p, "refused"));
	assert_false(answer_problem_is(&p, "refuse"));
	assert_string_equal(p.title, "");
	assert_string_equal(p.detail, "no");
	answer_problem_read(&p, span_str("<html>"));
	assert_string_equal(p.type, "");
	assert_false(answer_problem_is(&p, ""));
}

static void
requests(void **state)
{
	static const struct {
		const char *name, *json;
		const char *says;
	} cases[] = {
		{ NULL, NULL, NULL },
		{ "policy", "3", NULL },
		{ "policy", "null", NULL },
		{ "cbitpos", "51", NULL },
		{ "uuid", "\"x\"", NULL },
		{ "pdh", NULL, "pdh is missing" },
		{ "pdh", "\"AAAA\"", "3 bytes, want 2084" },
		{ "pdh", "[]", "not of the right kind" },
		{ "cert-chain", NULL, "cert-chain is missing" },
		{ "policy", "\"3\"", "policy: want an integer" },
		{ "api-major", "256", "0 to 255" },
		{ "cpu-count", "0", "cpu-count" },
		{ "firmware-hash", "\"00\"", "64 hex digits" },
		{ "cek-signed", "1", "not of the right kind" },
		{ "scheme", "\"\"", "not of the right kind" },
		{ "host", "\"node-17\"", NULL },
		{ "host", "{}", "not of the right kind" },
		{ "Policy", "3", "Policy: unknown member" },
		{ "session-id", "\"x\"", "unknown member" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct secret body = { 0 };
		json_t *o = json_object();
		struct err err = { 0 };
		int rc;

		bytes(o, "pdh", 2084);
		bytes(o, "cert-chain", 6252);
		change(o, cases[i].name, cases[i].json);
		rc = request_launch(&body, o, &err);
		json_decref(o);
		secret_free(&body);
		assert_int_equal(rc, cases[i].says == NULL ? 0 : -1);
		if (rc != 0) {
			assert_int_equal(err.code, ERR_USAGE);
			assert_says(cases[i].says, err.msg, cases[i].says);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(launch_answers),
		cmocka_unit_test(launch_answer_is_handed_on),
		cmocka_unit_test(validate_answers),
		cmocka_unit_test(validate_answer_is_handed_on),
		cmocka_unit_test(nothing_to_inject_is_nothing),
		cmocka_unit_test(problems),
		cmocka_unit_test(requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
