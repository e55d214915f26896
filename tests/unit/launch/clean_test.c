#include "launch/clean.h"

#include "tests/unit/common/exact.h"

#define LOOKS_MAX 5
#define IN_FLIGHT_S 5

/* What is seen a second apart, and what the last look means. */
static const struct {
	const char *name;
	unsigned words;
	size_t count;
	enum clean_sight seen[LOOKS_MAX];
	enum clean_end end;
	unsigned apart_s;
} cases[] = {
	{ "destroyed", 0, 1, { CLEAN_DESTROYED }, CLEAN_ENDED, 1 },
	{ "in use", RECORD_RESUMING, 1, { CLEAN_IN_USE }, CLEAN_LEFT, 1 },
	{ "no answer", RECORD_ANSWERED, 1, { CLEAN_NO_ANSWER }, CLEAN_AGAIN,
	    1 },
	{ "never came", RECORD_ANSWERED, 1, { CLEAN_ABSENT }, CLEAN_NONE, 1 },
	{ "may come", 0, 1, { CLEAN_ABSENT }, CLEAN_AGAIN, 1 },
	{ "may come later", 0, 2, { CLEAN_ABSENT, CLEAN_ABSENT }, CLEAN_LATER,
	    IN_FLIGHT_S },
	{ "came", 0, 3, { CLEAN_ABSENT, CLEAN_ABSENT, CLEAN_DESTROYED },
	    CLEAN_ENDED, 1 },
	{ "what hung counts anew", 0, 3,
	    { CLEAN_ABSENT, CLEAN_NO_ANSWER, CLEAN_ABSENT }, CLEAN_AGAIN,
	    IN_FLIGHT_S },
	{ "told to end, and gone", 0, 2, { CLEAN_KILLED, CLEAN_ABSENT },
	    CLEAN_ENDED, 1 },
	{ "told to end, and there", 0, 2, { CLEAN_KILLED, CLEAN_KILLED },
	    CLEAN_AGAIN, 1 },
	{ "told to end, gone when it is back", 0, 4,
	    { CLEAN_KILLED, CLEAN_NO_ANSWER, CLEAN_NO_ANSWER, CLEAN_ABSENT },
	    CLEAN_ENDED, 1 },
};

static void
looks(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		enum clean_end end = CLEAN_AGAIN;
		struct clean c = { 0 };

		for (size_t k = 0; k < cases[i].count; k++) {
			assert_int_equal(end, CLEAN_AGAIN);
			end = clean_judge(&c, cases[i].seen[k], cases[i].words,
			    IN_FLIGHT_S,
			    1000 + (int64_t)(k * cases[i].apart_s));
		}
		if (end != cases[i].end)
			fail_msg("%s: %d, want %d", cases[i].name, (int)end,
			    (int)cases[i].end);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
