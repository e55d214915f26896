#include "relay/busy.h"

#include "tests/unit/relay/check.h"

/* Looks in their order at one thread, and what they tell. */
static const struct {
	const char *name;
	uint64_t at_us;
	uint64_t cpu_us;
	unsigned percent;
} looks[] = {
	{ "the first one", 5000000, 777, BUSY_UNKNOWN },
	{ "idle", 5010000, 777, 0 },
	{ "a quarter", 5050000, 10777, 25 },
	{ "all of it", 5150000, 110777, 100 },
	{ "the longest that counts", 15150000, 5110777, 50 },
	{ "longer", 25150001, 10110777, BUSY_UNKNOWN },
	{ "known again", 25250001, 10150777, 40 },
	{ "no time has passed", 25250001, 10150777, BUSY_UNKNOWN },
	{ "the thread has ended", 25350001, 0, BUSY_UNKNOWN },
};

static void
tells_the_share_since_the_last_look(void **state)
{
	struct busy b = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(looks); i++) {
		unsigned got;

		b.used = 3;
		got = busy_look(&b, looks[i].at_us, looks[i].cpu_us);
		if (got != looks[i].percent || b.percent != got || b.used != 0)
			fail_msg("%s: %u", looks[i].name, got);
	}
}

static void
is_not_asked_too_often(void **state)
{
	struct busy b = { 0 };

	(void)state;
	assert_true(busy_due(&b, 1));
	busy_look(&b, 1000, 0);
	assert_false(busy_due(&b, 1000));
	assert_false(busy_due(&b, 1000 + BUSY_LEAST_US - 1));
	assert_true(busy_due(&b, 1000 + BUSY_LEAST_US));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_the_share_since_the_last_look),
		cmocka_unit_test(is_not_asked_too_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
