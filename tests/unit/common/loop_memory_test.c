#include "common/loop_memory.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* libevent's own way to its memory, which it exports without a header. */
void *event_mm_malloc_(size_t len);
void *event_mm_realloc_(void *ptr, size_t len);
void event_mm_free_(void *ptr);

#define SMALL 32
#define MANY 70000

static void
small_things_lie_side_by_side(void **state)
{
	uint8_t *a = event_mm_malloc_(1), *b = event_mm_malloc_(SMALL),
		*c = event_mm_malloc_(SMALL - 1), *large, *more;

	(void)state;
	assert_ptr_equal(b, a + SMALL);
	assert_ptr_equal(c, b + SMALL);
	assert_int_equal((uintptr_t)a % sizeof(void *), 0);
	memset(b, 7, SMALL);
	event_mm_free_(b); /* and stays what it was */
	large = event_mm_malloc_(SMALL + 1);
	memset(large, 1, SMALL + 1);
	more = event_mm_realloc_(large, 4096);
	assert_int_equal(more[SMALL], 1);
	event_mm_free_(more); /* or the leak checker finds it */
	more = event_mm_realloc_(b, 4096);
	for (size_t i = 0; i < SMALL; i++)
		assert_int_equal(more[i], 7);
	event_mm_free_(more);
	event_mm_free_(NULL);
}

static void
there_is_more_when_the_room_is_used_up(void **state)
{
	static void *all[MANY];

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		all[i] = event_mm_malloc_(SMALL);
		assert_non_null(all[i]);
		memset(all[i], (int)i, SMALL);
	}
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(*(uint8_t *)all[i], (uint8_t)i);
		event_mm_free_(all[i]);
	}
}

static void
on_byte(evutil_socket_t fd, short events, void *arg)
{
	char byte;

	(void)events;
	assert_int_equal(read(fd, &byte, 1), 1);
	(*(unsigned *)arg)++;
}

static void
loops_work_with_it(void **state)
{
	struct event_base *base = event_base_new();
	unsigned seen = 0;
	struct event *e;
	int fds[2];

	(void)state;
	assert_non_null(base);
	assert_int_equal(pipe(fds), 0);
	e = event_new(base, fds[0], EV_READ, on_byte, &seen);
	assert_int_equal(event_add(e, NULL), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_int_equal(seen, 1);
	event_free(e);
	event_base_free(base);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_things_lie_side_by_side),
		cmocka_unit_test(loops_work_with_it),
		cmocka_unit_test(there_is_more_when_the_room_is_used_up),
	};

	loop_memory();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
