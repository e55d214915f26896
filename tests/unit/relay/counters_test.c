#include "relay/counters.h"

#include "tests/unit/relay/check.h"

#include "common/tunnel.h"

static void
histograms_have_bounds_above(void **state)
{
	static struct histogram h;
	size_t last = COUNTER_BUCKETS;

	(void)state;
	histogram_add(&h, 0);
	histogram_add(&h, counter_bounds_us[0]);
	histogram_add(&h, counter_bounds_us[0] + 1);
	histogram_add(&h, counter_bounds_us[last - 1]);
	histogram_add(&h, UINT64_C(1) << 40);
	assert_int_equal(h.buckets[0], 2);
	assert_int_equal(h.buckets[1], 1);
	assert_int_equal(h.buckets[last - 1], 1);
	assert_int_equal(h.buckets[last], 1);
	for (size_t i = 1; i < last; i++)
		assert_true(counter_bounds_us[i] > counter_bounds_us[i - 1]);
}

static void
every_status_has_a_place(void **state)
{
	static struct counters c;
	uint64_t all = 0;

	(void)state;
	for (unsigned status = 100; status < 600; status++)
		counters_request(
		    &c, PATH_LAUNCH, status, COUNTER_RELAY, status);
	for (size_t i = 0; i < COUNTER_STATUSES; i++) {
		uint64_t n = c.requests[PATH_LAUNCH][i][COUNTER_RELAY];

		assert_true(n == 1 || i == COUNTER_STATUSES - 1);
		all += n;
	}
	assert_int_equal(all, 500);
}

static void
ends_by_their_code(void **state)
{
	static const struct {
		unsigned code;
		enum counter_end end;
	} cases[] = {
		{ 1000, END_CLOSED },
		{ 1001, END_DRAINED },
		{ 4400, END_PROTOCOL },
		{ 4401, END_PROTOCOL },
		{ 4402, END_REVOKED },
		{ 4403, END_PROTOCOL },
		{ 4404, END_LIMITS },
		{ 4408, END_TIMEOUT },
		{ 4409, END_SUPERSEDED },
		{ TUNNEL_CLOSE_LOST, END_LOST },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(counter_end_of(cases[i].code), cases[i].end);
}

static void
sums_are_of_all_members(void **state)
{
	static struct counters a, b, sum;

	(void)state;
	counters_request(&a, PATH_VALIDATE, 200, COUNTER_AGENT, 700);
	counters_request(&b, PATH_VALIDATE, 200, COUNTER_AGENT, 700);
	counter_add(&b.rejections[REJECT_KINDS - 1], 5);
	counters_sum(&sum, &a);
	counters_sum(&sum, &b);
	assert_int_equal(sum.requests[PATH_VALIDATE][0][COUNTER_AGENT], 2);
	assert_int_equal(sum.request_us.sum_us, 1400);
	assert_int_equal(sum.request_us.buckets[1], 2);
	assert_int_equal(sum.rejections[REJECT_KINDS - 1], 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histograms_have_bounds_above),
		cmocka_unit_test(every_status_has_a_place),
		cmocka_unit_test(ends_by_their_code),
		cmocka_unit_test(sums_are_of_all_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
