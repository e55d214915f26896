#include "relay/account.h"

#include "tests/unit/relay/check.h"

static struct account *
account_with(struct accounts **all, const struct account_limits *limits)
{
	struct account *a;
	struct err err;

	assert_int_equal(accounts_new(all, &err), 0);
	assert_int_equal(accounts_of(&a, *all, "acme", &err), 0);
	account_set_limits(a, limits);
	return a;
}

static void
names_have_one_account_for_good(void **state)
{
	struct account *first, *again, *last = NULL;
	struct accounts *all;
	struct err err;
	char name[ACCOUNT_NAME_MAX + 2];

	(void)state;
	assert_int_equal(accounts_new(&all, &err), 0);
	assert_int_equal(accounts_of(&first, all, "acme", &err), 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		assert_int_equal(accounts_of(&last, all, name, &err), 0);
	}
	assert_int_equal(accounts_of(&again, all, "acme", &err), 0);
	assert_ptr_equal(first, again);
	assert_int_equal(accounts_count(all), 1001);
	assert_ptr_equal(accounts_get(all, last->id), last);
	assert_null(accounts_get(all, 1001));
	assert_int_equal(accounts_of(&again, all, "", &err), -1);
	expect_words("empty", err.msg, "0 bytes, want 1 to 64");
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(accounts_of(&again, all, name, &err), -1);
	expect_words("long", err.msg, "65 bytes");
	accounts_free(all);
}

static void
t28_what_is_held_stays_below_the_limit(void **state)
{
	const struct account_limits limits = { .max = { 2, 0, 3 },
		.memory = 100 };
	struct accounts *all;
	struct account *a = account_with(&all, &limits);

	(void)state;
	assert_true(account_take(a, ACCOUNT_TUNNELS));
	assert_true(account_take(a, ACCOUNT_TUNNELS));
	assert_false(account_take(a, ACCOUNT_TUNNELS));
	assert_false(account_take(a, ACCOUNT_CLAIMS));
	assert_true(account_take(a, ACCOUNT_STREAMS));
	account_give(a, ACCOUNT_TUNNELS);
	assert_true(account_take(a, ACCOUNT_TUNNELS));
	assert_true(account_charge(a, 100));
	assert_false(account_charge(a, 1));
	account_discharge(a, 1);
	assert_true(account_charge(a, 1));
	accounts_free(all);
}

static void
t28_a_lower_limit_lets_what_is_held_end(void **state)
{
	const struct account_limits high = { .max = { 3, 3, 3 } };
	const struct account_limits low = { .max = { 1, 1, 1 } };
	struct accounts *all;
	struct account *a = account_with(&all, &high);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(account_take(a, ACCOUNT_STREAMS));
	account_set_limits(a, &low);
	for (int i = 0; i < 3; i++) {
		assert_false(account_take(a, ACCOUNT_STREAMS));
		account_give(a, ACCOUNT_STREAMS);
	}
	assert_true(account_take(a, ACCOUNT_STREAMS));
	accounts_free(all);
}

/* A hundred times the rate, for ten seconds: one second's tokens at once, and
 * the rate from then on. */
static void
t28_requests_over_the_rate_are_refused(void **state)
{
	const struct account_limits limits = { .requests = 50 };
	const struct account_limits none = { .requests = 0 };
	struct accounts *all;
	struct account *a = account_with(&all, &limits);
	uint64_t start = 1000000000;
	int let = 0;

	(void)state;
	for (uint64_t us = 0; us < 10000000; us += 200)
		if (account_request(a, start + us))
			let++;
	assert_in_range(let, 50 + 499, 50 + 500);
	/* After a quiet second the bucket is full, and no fuller. */
	let = 0;
	for (int i = 0; i < 1000; i++)
		if (account_request(a, start + 60000000))
			let++;
	assert_int_equal(let, 50);
	account_set_limits(a, &none);
	for (int i = 0; i < 1000; i++)
		assert_true(account_request(a, start + 60000000));
	accounts_free(all);
}

static void
refusals_are_told_now_and_then(void **state)
{
	const struct account_limits limits = { 0 };
	struct accounts *all;
	struct account *a = account_with(&all, &limits);

	(void)state;
	assert_true(account_tell(a, 5000));
	assert_false(account_tell(a, 5000));
	assert_false(account_tell(a, 5000 + ACCOUNT_TELL_MS - 1));
	assert_true(account_tell(a, 5000 + ACCOUNT_TELL_MS));
	assert_int_equal(a->refused, 4);
	accounts_free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_have_one_account_for_good),
		cmocka_unit_test(t28_what_is_held_stays_below_the_limit),
		cmocka_unit_test(t28_a_lower_limit_lets_what_is_held_end),
		cmocka_unit_test(t28_requests_over_the_rate_are_refused),
		cmocka_unit_test(refusals_are_told_now_and_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
