#include "relay/resp.h"

#include "tests/unit/relay/check.h"

#include <stdlib.h>

static char long_line[RESP_LINE_MAX + 8];
static char long_text[RESP_TEXT_MAX + 16];

/* What is whole, and what of it is left. */
static int
parse(struct resp *out, const char *text, size_t len, size_t *left,
    struct err *err)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);
	struct span in;
	int rc;

	assert_non_null(exact);
	memcpy(exact, text, len);
	in = span_of(exact, len);
	rc = resp_next(out, &in, err);
	*left = in.len;
	/* The spans of it end here: only kinds and numbers are looked at. */
	free(exact);
	return rc;
}

static void
answers_come_whole_or_not_at_all(void **state)
{
	static const struct {
		const char *text;
		enum resp_kind kind;
		uint64_t number;
	} good[] = {
		{ "+OK\r\n", RESP_TEXT, 0 },
		{ "+\r\n", RESP_TEXT, 0 },
		{ "-ERR no\r\n", RESP_ERROR, 0 },
		{ ":0\r\n", RESP_NUMBER, 0 },
		{ ":9223372036854775807\r\n", RESP_NUMBER, INT64_MAX },
		{ "$0\r\n\r\n", RESP_TEXT, 0 },
		{ "$4\r\na\r\nb\r\n", RESP_TEXT, 4 },
		{ "$-1\r\n", RESP_NIL, 0 },
		{ "*-1\r\n", RESP_NIL, 0 },
		{ "*0\r\n", RESP_LIST, 0 },
		{ "*3\r\n$1\r\na\r\n:2\r\n$-1\r\n", RESP_LIST, 3 },
	};
	struct resp r;
	struct err err;
	size_t left;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		size_t len = strlen(good[i].text);
		char two[64];

		for (size_t n = 0; n < len; n++) {
			if (parse(&r, good[i].text, n, &left, &err) != 0)
				fail_msg("%zu: %zu bytes are enough", i, n);
			assert_int_equal(left, n);
		}
		snprintf(two, sizeof(two), "%s:7\r\n", good[i].text);
		if (parse(&r, two, strlen(two), &left, &err) != 1)
			fail_msg("%zu: %s", i, err.msg);
		assert_int_equal(left, 4);
		assert_int_equal(r.head.kind, good[i].kind);
		assert_int_equal(r.head.number, good[i].number);
		assert_int_equal(resp_count(&r),
		    good[i].kind == RESP_LIST ? good[i].number : 0);
	}
}

static void
texts_are_told(void **state)
{
	static const char text[] = "*2\r\n+message\r\n$4\r\na\r\nb\r\n";
	struct span in = span_str(text);
	struct resp r;

	(void)state;
	assert_int_equal(resp_next(&r, &in, NULL), 1);
	assert_true(resp_is(&r.items[0], "message"));
	assert_true(resp_is(&r.items[1], "a\r\nb"));
	assert_false(resp_is(&r.items[1], "a"));
	in = span_str("-OK\r\n");
	assert_int_equal(resp_next(&r, &in, NULL), 1);
	assert_false(resp_is(&r.head, "OK"));
}

static void
what_is_none_is_refused_at_once(void **state)
{
	static const struct {
		const char *text; /* no byte more is waited for */
		const char *says;
	} bad[] = {
		{ "\r\n", "type 0x00" },
		{ "hello\r\n", "type 0x68" },
		{ ">2\r\n", "type 0x3e" }, /* RESP 3: push, map, ... */
		{ "%1\r\n", "type 0x25" },
		{ "~1\r\n", "type 0x7e" },
		{ "_\r\n", "type 0x5f" },
		{ "#t\r\n", "type 0x23" },
		{ ",1.5\r\n", "type 0x2c" },
		{ "(1\r\n", "type 0x28" },
		{ "=5\r\n", "type 0x3d" },
		{ "!5\r\n", "type 0x21" },
		{ "+a\rb\r\n", "CR without LF" },
		{ ":\r\n", "number that is none" },
		{ ":-1\r\n", "number that is none" },
		{ ":+1\r\n", "number that is none" },
		{ ":1 \r\n", "number that is none" },
		{ ":9223372036854775808\r\n", "number that is none" },
		{ "$\r\n", "text without a length" },
		{ "$-2\r\n", "text without a length" },
		{ "$1x\r\n", "text without a length" },
		{ "$257\r\n", "text of 257" },
		{ "$4294967296\r\n", "text of 4294967296" },
		{ "$18446744073709551615\r\n", "text of 1844674407370955" },
		{ "$18446744073709551616\r\n", "text without a length" },
		{ "$2\r\nabc\r\n", "longer than it says" },
		{ "*\r\n", "list without a length" },
		{ "*-2\r\n", "list without a length" },
		{ "*65\r\n", "list of 65" },
		{ "*2147483647\r\n", "list of 2147483647" },
		{ "*4294967297\r\n", "list of 4294967297" },
		{ "*1\r\n*0\r\n", "list within a list" },
		{ "*2\r\n:1\r\n*9\r\n", "list within a list" },
		{ "*2\r\n:1\r\n>1\r\n", "type 0x3e" },
		{ "*1\r\n$257\r\n", "text of 257" },
		{ long_line, "line of over 512" },
		{ long_text, "longer than it says" },
	};
	struct resp r;
	struct err err;
	size_t left;

	(void)state;
	memset(long_line, 'x', RESP_LINE_MAX + 1);
	long_line[0] = '+';
	snprintf(long_text, sizeof(long_text), "$%d\r\n%0*dyy", RESP_TEXT_MAX,
	    RESP_TEXT_MAX, 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (parse(&r, bad[i].text, strlen(bad[i].text), &left, &err) !=
		    -1)
			fail_msg("%s: accepted", bad[i].text);
		expect_words(bad[i].text, err.msg, bad[i].says);
	}
}

/* The largest answer that there is has room. */
static void
as_much_as_may_be(void **state)
{
	static char text[RESP_MAX + 1];
	size_t len, left;
	struct resp r;
	struct err err;

	(void)state;
	len = (size_t)snprintf(text, sizeof(text), "*%d\r\n", RESP_ITEMS_MAX);
	for (int i = 0; i < RESP_ITEMS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "+%0*d\r\n", RESP_LINE_MAX - 1, i);
	assert_true(len <= RESP_MAX);
	assert_int_equal(parse(&r, text, len - 1, &left, &err), 0);
	assert_int_equal(parse(&r, text, len, &left, &err), 1);
	assert_int_equal(resp_count(&r), RESP_ITEMS_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_come_whole_or_not_at_all),
		cmocka_unit_test(texts_are_told),
		cmocka_unit_test(what_is_none_is_refused_at_once),
		cmocka_unit_test(as_much_as_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
