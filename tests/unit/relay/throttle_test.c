#include "relay/throttle.h"

#include <arpa/inet.h>
#include <pthread.h>

#include "tests/unit/relay/check.h"

#define SECOND UINT64_C(1000000)
#define START (1000 * SECOND)

static struct throttle throttle;

static int
fresh(void **state)
{
	(void)state;
	memset(&throttle, 0, sizeof(throttle));
	return throttle_init(&throttle, NULL);
}

/* An address as a socket for both has it: ::ffff:a.b.c.d is IPv4. */
static struct source
from(const char *text)
{
	struct source s;

	assert_int_equal(inet_pton(AF_INET6, text, s.addr), 1);
	return s;
}

static size_t
takes(const char *text, uint32_t per_minute, uint64_t now_us, size_t tries)
{
	size_t count = 0;

	while (tries-- > 0)
		count +=
		    throttle_take(&throttle, from(text), per_minute, now_us);
	return count;
}

static void
t13_a_minute_has_so_many(void **state)
{
	(void)state;
	/* All of a minute's at once, and then one for each part of it. */
	assert_int_equal(takes("2001:db8::1", 20, START, 100), 20);
	assert_int_equal(takes("2001:db8::1", 20, START + SECOND, 100), 0);
	assert_int_equal(
	    takes("2001:db8::1", 20, START + 3 * SECOND - 1, 100), 0);
	assert_int_equal(takes("2001:db8::1", 20, START + 3 * SECOND, 100), 1);
	assert_int_equal(takes("2001:db8::1", 20, START + 9 * SECOND, 100), 2);
	/* However long nobody came, a minute's and no more. */
	assert_int_equal(
	    takes("2001:db8::1", 20, START + 9999 * SECOND, 100), 20);
}

static void
t13_refusals_cost_nothing(void **state)
{
	(void)state;
	assert_int_equal(takes("2001:db8::1", 1, START, 1), 1);
	assert_int_equal(takes("2001:db8::1", 1, START, 1000), 0);
	assert_int_equal(
	    takes("2001:db8::1", 1, START + 60 * SECOND - 1, 1000), 0);
	assert_int_equal(takes("2001:db8::1", 1, START + 60 * SECOND, 9), 1);
}

static void
a_block_is_one_source(void **state)
{
	static const struct {
		const char *first, *second;
		bool same;
	} cases[] = {
		{ "::ffff:10.1.2.3", "::ffff:10.1.2.3", true },
		{ "::ffff:10.1.2.3", "::ffff:10.1.2.255", true },
		{ "::ffff:10.1.2.3", "::ffff:10.1.3.3", false },
		{ "2001:db8:1::1", "2001:db8:1:ffff:1:2:3:4", true },
		{ "2001:db8:1::1", "2001:db8:2::1", false },
		{ "::ffff:10.1.2.3", "::10.1.2.3", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t got;

		/* Two blocks in one cell by chance, one in 4096, share it:
		 * the key of this run decides; try another. */
		for (int key = 0; key < 4; key++) {
			assert_int_equal(fresh(state), 0);
			assert_int_equal(takes(cases[i].first, 5, START, 9), 5);
			got = takes(cases[i].second, 5, START, 9);
			if (got == 5 || cases[i].same)
				break;
		}
		if (got != (cases[i].same ? 0 : 5))
			fail_msg("%s, %s: %zu", cases[i].first, cases[i].second,
			    got);
	}
}

static void
none_is_no_limit(void **state)
{
	(void)state;
	assert_int_equal(takes("2001:db8::1", 0, START, 1000), 1000);
	/* Nor has it used up anything for when there is one. */
	assert_int_equal(takes("2001:db8::1", 2, START, 9), 2);
}

/* As limits.enrolments may, up to the largest one. */
static void
bounds_of_the_limit(void **state)
{
	(void)state;
	assert_int_equal(takes("2001:db8::1", 100000, START, 200000), 100000);
	assert_int_equal(fresh(state), 0);
	assert_int_equal(takes("2001:db8::1", 1, START, 1), 1);
	/* A stricter limit from a reload counts what was taken before. */
	assert_int_equal(fresh(state), 0);
	assert_int_equal(takes("2001:db8::1", 60, START, 30), 30);
	assert_int_equal(takes("2001:db8::1", 2, START, 9), 1);
	assert_int_equal(takes("2001:db8::1", 2, START + 1, 9), 0);
}

#define THREADS 4

static void *
take_many(void *arg)
{
	size_t *count = arg;

	*count = takes("2001:db8::1", 1000, START, 1000);
	return NULL;
}

static void
threads_share_it(void **state)
{
	pthread_t threads[THREADS];
	size_t counts[THREADS], all = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, take_many, &counts[i]),
		    0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		all += counts[i];
	}
	assert_int_equal(all, 1000);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t13_a_minute_has_so_many),
		TEST(t13_refusals_cost_nothing),
		TEST(a_block_is_one_source),
		TEST(none_is_no_limit),
		TEST(bounds_of_the_limit),
		TEST(threads_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
