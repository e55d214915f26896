#include "common/json_strict.h"

#include "tests/unit/common/exact.h"

#define MAX 64
#define DEEP "{\"a\":[[[[[[["

static void
what_is_refused(void **state)
{
	static const struct {
		const char *text, *says;
		enum err_code code;
	} bad[] = {
		{ "", "not JSON", ERR_MALFORMED },
		{ "[]", "want an object", ERR_MALFORMED },
		{ "{} {}", "not JSON", ERR_MALFORMED },
		{ "\xef\xbb\xbf{}", "not JSON", ERR_MALFORMED },
		{ "{\"a\":\"\xff\"}", "not JSON", ERR_MALFORMED },
		{ "{\"a\":NaN}", "not JSON", ERR_MALFORMED },
		{ "{\"a\":1,\"a\":1}", "not JSON", ERR_MALFORMED },
		{ "{\"a\":9007199254740993}", "outside +-2^53", ERR_LIMIT },
		{ "{\"a\":[-9007199254740993]}", "outside +-2^53", ERR_LIMIT },
		{ "{\"a\":1e300}", "outside +-2^53", ERR_LIMIT },
		{ DEEP "[1]]]]]]]]}", "deeper than 8", ERR_LIMIT },
		{ "{\"a\":\"0123456789012345678901234567890123456789"
		  "01234567890123456\"}",
		    "of 65 bytes, at most 64", ERR_LIMIT },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		size_t len = strlen(bad[i].text);
		uint8_t *copy = exact(span_str(bad[i].text));
		struct err err = { 0 };
		json_t *out = NULL;

		if (json_strict_read(&out, span_of(copy, len), MAX, &err) == 0)
			fail_msg("%s: taken", bad[i].text);
		assert_null(out);
		assert_says(bad[i].text, err.msg, bad[i].says);
		assert_int_equal(err.code, bad[i].code);
		free(copy);
	}
}

static void
what_is_taken(void **state)
{
	static const char *const good[] = {
		"{}",
		" {\"a\" : 9007199254740992}\n",
		"{\"a\":-9007199254740992.0}",
		"{\"[[[[[[[[[\":\"{{{{{{{{{\\\"[\"}",
		DEEP "1]]]]]]]}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		size_t len = strlen(good[i]);
		uint8_t *copy = exact(span_str(good[i]));
		json_t *out = NULL;

		assert_int_equal(
		    json_strict_read(&out, span_of(copy, len), MAX, NULL), 0);
		json_decref(out);
		free(copy);
	}
}

/* Of another protocol: its depth is judged, its numbers and size are not. */
static void
members_and_depth(void **state)
{
	json_t *many = json_object(), *out = NULL;
	char name[16], *text;

	(void)state;
	for (int i = 0; i <= JSON_STRICT_MEMBERS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "m%d", i);
		assert_int_equal(
		    json_object_set_new(many, name, json_integer(i)), 0);
	}
	text = json_dumps(many, 0);
	assert_int_equal(
	    json_strict_read(&out, span_str(text), 4096, NULL), -1);
	assert_int_equal(json_strict_deep(&out, span_str(text), 1, NULL), 0);
	json_decref(out);
	out = NULL;
	assert_int_equal(
	    json_strict_deep(&out, span_str("{\"a\":{}}"), 1, NULL), -1);
	assert_null(out);
	free(text);
	json_decref(many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(what_is_taken),
		cmocka_unit_test(members_and_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
