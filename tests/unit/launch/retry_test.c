#include "launch/retry.h"

#include "tests/unit/common/exact.h"

/* docs/protocol.md 7: these and no other. */
static void
only_what_the_protocol_names(void **state)
{
	(void)state;
	for (long status = 0; status < 600; status++) {
		struct retry_try t = { .status = status, .retry_after_s = -1 };
		bool want = status == 0 || status == 429 || status == 502 ||
		    status == 503 || status == 504;

		assert_int_equal(retry_worth(&t), want);
		t.in_progress = true;
		assert_int_equal(retry_worth(&t), want || status == 409);
		t.hopeless = true;
		assert_false(retry_worth(&t));
	}
}

static void
pauses(void **state)
{
	static const struct {
		long after_s;
		unsigned tries;
		uint16_t dice;
		uint64_t want_ms;
	} cases[] = {
		{ -1, 0, 0, 100 },
		{ -1, 3, 0, 800 },
		{ -1, 6, 0, 6400 },
		{ -1, 7, 0, 6400 },
		{ -1, 4000000000U, 0, 6400 },
		{ -1, 0, 65535, 125 },
		{ 5, 0, 0, 5000 },
		{ 5, 9, 65535, 6250 },
		{ 0, 0, 0, 100 }, /* no leave to hammer */
		{ 0x7fffffffffffffffL, 0, 0, 86400000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct retry_try t = { .status = 503,
			.retry_after_s = cases[i].after_s };

		assert_int_equal(
		    retry_pause_ms(&t, cases[i].tries, cases[i].dice),
		    cases[i].want_ms);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_the_protocol_names),
		cmocka_unit_test(pauses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
