#include "relay/queue.h"

#include "tests/unit/relay/check.h"

static struct job jobs[64];

static struct job *
job_of(unsigned n, uint8_t source)
{
	struct job *j = &jobs[n];

	memset(j, 0, sizeof(*j));
	j->host = (struct handle){ 0, n, n + 1 };
	j->source.addr[0] = source;
	return j;
}

static void
sources_take_turns(void **state)
{
	static const unsigned order[] = { 0, 10, 20, 1, 11, 2, 12, 3, 4 };
	struct queue *q = queue_new();
	struct job *j;

	(void)state;
	/* Five of the first source, three of the next, one of a third. */
	for (unsigned i = 0; i < 5; i++)
		assert_true(queue_put(q, job_of(i, 1), 100, 100));
	for (unsigned i = 10; i < 13; i++)
		assert_true(queue_put(q, job_of(i, 2), 100, 100));
	assert_true(queue_put(q, job_of(20, 3), 100, 100));
	assert_int_equal(queue_len(q), 9);
	for (size_t i = 0; i < COUNT(order); i++) {
		j = queue_take(q);
		assert_non_null(j);
		assert_int_equal(j->host.slot, order[i]);
	}
	assert_null(queue_take(q));
	queue_free(q);
}

static void
bounded_in_all_and_per_source(void **state)
{
	struct queue *q = queue_new();

	(void)state;
	assert_true(queue_put(q, job_of(0, 1), 3, 2));
	assert_true(queue_put(q, job_of(1, 1), 3, 2));
	assert_false(queue_put(q, job_of(2, 1), 3, 2));
	assert_true(queue_put(q, job_of(3, 2), 3, 2));
	assert_false(queue_put(q, job_of(4, 3), 3, 2));
	assert_false(queue_put(q, job_of(5, 9), 9, 0));
	while (queue_take(q) != NULL)
		;
	queue_free(q);
}

static void
one_that_is_not_wanted_leaves(void **state)
{
	struct queue *q = queue_new();

	(void)state;
	assert_null(queue_remove(NULL, (struct handle){ 0 }));
	assert_null(queue_take(NULL));
	for (unsigned i = 0; i < 3; i++)
		assert_true(queue_put(q, job_of(i, 1), 9, 9));
	assert_ptr_equal(queue_remove(q, jobs[1].host), &jobs[1]);
	assert_null(queue_remove(q, jobs[1].host));
	assert_ptr_equal(queue_take(q), &jobs[0]);
	assert_ptr_equal(queue_remove(q, jobs[2].host), &jobs[2]);
	assert_int_equal(queue_len(q), 0);
	queue_free(q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources_take_turns),
		cmocka_unit_test(bounded_in_all_and_per_source),
		cmocka_unit_test(one_that_is_not_wanted_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
