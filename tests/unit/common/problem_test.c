#include "common/problem.h"

#include "tests/unit/common/exact.h"

#include <jansson.h>

/* Every body, read back by a JSON library that is not ours. */
static void
writes_json_for_every_type(void **state)
{
	char pointer[PROBLEM_POINTER_MAX + 1], instance[65];

	(void)state;
	memset(pointer, '/', sizeof(pointer) - 1);
	pointer[sizeof(pointer) - 1] = '\0';
	memset(instance, 'i', 64);
	instance[64] = '\0';
	for (int p = 0; p < PROBLEM_COUNT; p++) {
		const struct problem_type *t = problem_get((enum problem)p);
		uint8_t out[PROBLEM_BODY_MAX];
		struct writer w = writer_of(out, sizeof(out));
		json_error_t error;
		json_t *body;
		const char *type;

		assert_non_null(t->name);
		assert_in_range(t->status, 400, 599);
		problem_write(&w, (enum problem)p, PROBLEM_OF_RELAY,
		    span_str(instance), span_str(pointer));
		if (!writer_ok(&w))
			fail_msg("%s does not fit", t->name);
		body = json_loadb(
		    (const char *)out, w.len, JSON_REJECT_DUPLICATES, &error);
		if (body == NULL)
			fail_msg("%s: %s", t->name, error.text);
		type = json_string_value(json_object_get(body, "type"));
		assert_true(
		    strncmp(type, "urn:attest-relay:problem:", 25) == 0);
		assert_string_equal(type + 25, t->name);
		assert_int_equal(
		    json_integer_value(json_object_get(body, "status")),
		    t->status);
		assert_string_equal(
		    json_string_value(json_object_get(body, "title")),
		    t->title);
		assert_string_equal(
		    json_string_value(json_object_get(body, "detail")),
		    t->detail);
		assert_string_equal(
		    json_string_value(json_object_get(body, "instance")),
		    instance);
		assert_string_equal(
		    json_string_value(json_object_get(body, "origin")),
		    "relay");
		assert_true(json_is_boolean(json_object_get(body, "retry")));
		assert_int_equal(
		    json_object_size(body), p == PROBLEM_INVALID_FIELD ? 8 : 7);
		json_decref(body);
	}
}

static void
writes_the_bytes_of_one(void **state)
{
	uint8_t out[PROBLEM_BODY_MAX];
	struct writer w = writer_of(out, sizeof(out));

	(void)state;
	problem_write(&w, PROBLEM_INVALID_FIELD, PROBLEM_OF_AGENT,
	    span_str("urn:uuid:57f669c2-c427-4132-bc7a-26f56b6a718c"),
	    span_str("/cert-chain"));
	assert_true(span_is(writer_span(&w),
	    "{\"type\":\"urn:attest-relay:problem:invalid-field\","
	    "\"title\":\"Invalid field\",\"status\":422,"
	    "\"detail\":\"A member of the body has an unusable value.\","
	    "\"instance\":\"urn:uuid:57f669c2-c427-4132-bc7a-26f56b6a718c\","
	    "\"pointer\":\"/cert-chain\","
	    "\"origin\":\"agent\",\"retry\":false}"));
}

/* What could break out of a JSON string, or of a line, is left out. */
static void
echoes_nothing_odd(void **state)
{
	static const char *const odd[] = {
		"", "a\"b", "a\\b", "a b", "a\nb", "<b>", "\xc3\xa4",
		"12345678901234567890123456789012345678901234567890123456789012345"
	};
	uint8_t out[PROBLEM_BODY_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(odd); i++) {
		struct writer w = writer_of(out, sizeof(out) - 1);

		problem_write(&w, PROBLEM_INVALID_FIELD, PROBLEM_OF_RELAY,
		    span_str(odd[i]),
		    i < 7 ? span_str(odd[i]) : span_of(NULL, 0));
		assert_true(writer_ok(&w));
		out[w.len] = '\0';
		assert_null(strstr((char *)out, "instance"));
		assert_null(strstr((char *)out, "pointer"));
	}
}

static void
finds_the_type_of_a_status(void **state)
{
	static const unsigned all[] = { 400, 401, 404, 405, 411, 413, 414, 415,
		417, 425, 426, 431, 501, 505 };

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++)
		assert_int_equal(
		    problem_get(problem_of_status(all[i]))->status, all[i]);
	assert_int_equal(problem_of_status(418), PROBLEM_BAD_REQUEST);
	/* docs/protocol.md 9: every 503 and 429 has Retry-After. */
	for (int p = 0; p < PROBLEM_COUNT; p++) {
		const struct problem_type *t = problem_get((enum problem)p);

		if (t->status == 503 || t->status == 429)
			assert_true(t->retry && t->retry_after_s > 0);
	}
}

static void
waits_within_a_fifth(void **state)
{
	static const struct {
		enum problem problem;
		unsigned least, most;
	} rows[] = {
		{ PROBLEM_AGENT_UNAVAILABLE, 4, 6 },
		{ PROBLEM_IN_PROGRESS, 1, 1 },
		{ PROBLEM_TUNNEL_LOST, 2, 2 },
		{ PROBLEM_APPROVAL_PENDING, 8, 12 },
		{ PROBLEM_AGENT_STORAGE, 24, 36 },
		{ PROBLEM_NOT_FOUND, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		unsigned least = UINT32_MAX, most = 0;

		for (uint32_t r = 0; r < 1000; r++) {
			unsigned s =
			    problem_wait_s(rows[i].problem, r * 2654435761u);

			least = s < least ? s : least;
			most = s > most ? s : most;
		}
		assert_int_equal(least, rows[i].least);
		assert_int_equal(most, rows[i].most);
	}
	/* Never a header that says 0. */
	for (int p = 0; p < PROBLEM_COUNT; p++)
		for (uint32_t r = 0; r < 100; r++)
			assert_int_equal(
			    problem_wait_s((enum problem)p, r) == 0,
			    problem_get((enum problem)p)->retry_after_s == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_json_for_every_type),
		cmocka_unit_test(writes_the_bytes_of_one),
		cmocka_unit_test(echoes_nothing_odd),
		cmocka_unit_test(finds_the_type_of_a_status),
		cmocka_unit_test(waits_within_a_fifth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
