#include "tests/unit/relay/registry_lab.h"

#include "common/clock.h"
#include "relay/registry_table.h"

/* What leaves the registry, as nobody needs it any more. */

static void
prune(struct lab *lab, struct registry_keep keep)
{
	struct registry_op *op = op_new(lab, REGISTRY_PRUNE);

	op->who[0] = '\0';
	op->keep = keep;
	expect(lab, op, NULL);
}

static void
t13_ended_tokens_leave(void **state)
{
	struct lab *lab = *state;
	uint64_t now = clock_wall_ms();
	struct registry_keep keep = registry_keep_at(now);

	assert_int_equal(keep.tokens_ms, now - REGISTRY_TOKEN_KEEP_MS);
	add_token(lab, 1, 1, 0); /* never ends */
	add_token(lab, 2, 1, keep.tokens_ms);
	add_token(lab, 3, 1, keep.tokens_ms - 1);
	add_token(lab, 4, 1, now + 1000);
	assert_int_equal(count_rows(lab, REGISTRY_TOKENS), 4);
	prune(lab, keep);
	assert_int_equal(count_rows(lab, REGISTRY_TOKENS), 3);
	/* What is in the file; the second has had its day by now. */
	reopen(lab);
	assert_int_equal(count_rows(lab, REGISTRY_TOKENS), 2);
	/* A clock before its time ends nothing. */
	keep = registry_keep_at(1000);
	assert_int_equal(keep.tokens_ms, 0);
	assert_int_equal(keep.trail_ms, 0);
	assert_int_equal(keep.lines, REGISTRY_TRAIL_LINES_MAX);
}

/* More of them than the table looks at in one go. */
static void
t13_any_number_of_tokens_ends(void **state)
{
	struct registry_table table = { 0 };
	struct registry_token token = { .expires_ms = 1 };
	size_t count = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		memcpy(token.hash, &i, sizeof(i));
		token.expires_ms = i % 3 == 0 ? 0 : 1 + (uint64_t)(i % 3);
		assert_int_equal(
		    registry_table_put(&table, REGISTRY_TOKENS, &token, NULL),
		    0);
	}
	registry_table_end_tokens(&table, 3);
	registry_table_each(&table, REGISTRY_TOKENS, count_row, &count);
	assert_int_equal(count, 2000);
	registry_table_end_tokens(&table, UINT64_MAX);
	count = 0;
	registry_table_each(&table, REGISTRY_TOKENS, count_row, &count);
	assert_int_equal(count, 1000);
	registry_table_free(&table);
}

static void
the_trail_has_an_end(void **state)
{
	struct registry_keep keep = { .lines = 100 };
	struct lab *lab = *state;

	prune(lab, keep); /* nothing there */
	expect_trail(lab, "");
	for (int i = 0; i < 6; i++)
		expect(lab, op_new(lab, REGISTRY_NOTE), NULL);
	prune(lab, registry_keep_at(clock_wall_ms()));
	expect_trail(lab, "1 2 3 4 5 6 ");
	keep.lines = 4;
	prune(lab, keep);
	expect_trail(lab, "3 4 5 6 ");
	prune(lab, keep);
	expect_trail(lab, "3 4 5 6 ");
	/* All are too old: the last one keeps its number from being used
	 * again. */
	keep.trail_ms = clock_wall_ms() + 1000;
	prune(lab, keep);
	expect_trail(lab, "6 ");
	expect(lab, op_new(lab, REGISTRY_NOTE), NULL);
	expect_trail(lab, "6 7 ");
	reopen(lab);
	expect_trail(lab, "6 7 ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(t13_ended_tokens_leave),
		cmocka_unit_test(t13_any_number_of_tokens_ends),
		LAB_TEST(the_trail_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
