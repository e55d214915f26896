#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/psp/secret_table.h"
#include "tests/unit/psp/fixture.h"

#define OTHER "4ee0d2a5-9b4a-4a1e-8d9e-0b4d1c2f3a55"

/* Head, one entry of 3 bytes, one of none, 5 bytes of padding. */
static const uint8_t good[] = { 0x42, 0xf5, 0x74, 0x1e, 0xdd, 0x71, 0x66, 0x4d,
	0x96, 0x3e, 0xef, 0x42, 0x87, 0xff, 0x17, 0x3b, 63, 0, 0, 0, 0xe5, 0x69,
	0x68, 0x73, 0xf0, 0x84, 0x73, 0x49, 0x92, 0xec, 0x06, 0x87, 0x9c, 0xe3,
	0xda, 0x0b, 23, 0, 0, 0, 'a', 'b', 'c', 0xa5, 0xd2, 0xe0, 0x4e, 0x4a,
	0x9b, 0x1e, 0x4a, 0x8d, 0x9e, 0x0b, 0x4d, 0x1c, 0x2f, 0x3a, 0x55, 20, 0,
	0, 0, 0, 0, 0, 0, 0 };

static void
finds_entries(void **state)
{
	struct span found = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(secret_table_find(&found, span_of(good, sizeof(good)),
			     SECRET_TABLE_DISK, &err),
	    0);
	assert_true(span_is(found, "abc"));
	assert_int_equal(
	    secret_table_find(&found, span_of(good, sizeof(good)), OTHER, &err),
	    0);
	assert_int_equal(found.len, 0);
	assert_int_equal(secret_table_find(&found, span_of(good, sizeof(good)),
			     "00000000-0000-0000-0000-000000000001", &err),
	    -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(secret_table_find(&found, span_of(good, sizeof(good)),
			     "luks-key", &err),
	    -1);
	assert_int_equal(err.code, ERR_MALFORMED);
}

static void
refuses_a_table_with_any_bad_length(void **state)
{
	static const struct {
		const char *name;
		size_t len, at;
		uint8_t to;
		const char *says;
	} bad[] = {
		{ "empty", 0, 0, 0, "0 bytes without" },
		{ "head cut", 19, 0, 0x42, "19 bytes without" },
		{ "GUID", sizeof(good), 15, 0, "without a secret table" },
		{ "table cut", 62, 0, 0x42, "63 bytes in an area of 62" },
		{ "table of 19", sizeof(good), 16, 19, "table of 19 bytes" },
		{ "table too long", sizeof(good), 16, 69, "area of 68" },
		{ "entry of 19", sizeof(good), 36, 19, "entry of 19 bytes" },
		{ "entry too long", sizeof(good), 36, 44, "43 are left" },
		{ "last entry too long", sizeof(good), 59, 21, "20 are left" },
		{ "entry head cut", sizeof(good), 16, 62, "19 are left" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t *table = fixture_exact(span_of(good, bad[i].len));
		struct span found = { 0 };
		struct err err = { 0 };

		if (bad[i].at < bad[i].len)
			table[bad[i].at] = bad[i].to;
		if (secret_table_find(&found, span_of(table, bad[i].len),
			SECRET_TABLE_DISK, &err) == 0 ||
		    strstr(err.msg, bad[i].says) == NULL)
			fail_msg("%s: \"%s\"", bad[i].name, err.msg);
		free(table);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_entries),
		cmocka_unit_test(refuses_a_table_with_any_bad_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
