#include "common/loop.h"

#include "common/clock.h"
#include "common/stamp.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/relay/check.h"

#define SENDERS 4
#define LETTERS 50000
#define DEADLINE 30000 /* ms; no test comes near it */

struct letter {
	struct mail mail;
	unsigned sender, number;
};

struct office {
	struct loop *loop;
	unsigned next[SENDERS];
	unsigned got;
	bool disorder;
};

static void
take_letter(void *arg, struct mail *mail)
{
	struct office *o = arg;
	struct letter *l = (struct letter *)mail;

	if (l->number != o->next[l->sender]++)
		o->disorder = true;
	free(l);
	if (++o->got == SENDERS * LETTERS)
		loop_stop(o->loop);
}

struct sender {
	struct office *office;
	unsigned number;
	pthread_t thread;
};

static void *
send_letters(void *arg)
{
	struct sender *s = arg;

	for (unsigned i = 0; i < LETTERS; i++) {
		struct letter *l = calloc(1, sizeof(*l));

		l->sender = s->number;
		l->number = i;
		loop_post(s->office->loop, &l->mail);
	}
	return NULL;
}

static void
mail_of_many_threads_keeps_each_ones_order(void **state)
{
	struct sender senders[SENDERS];
	struct office o = { 0 };

	(void)state;
	assert_int_equal(loop_new(&o.loop, take_letter, &o, NULL), 0);
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ &o, i, 0 };
		assert_int_equal(pthread_create(&senders[i].thread, NULL,
				     send_letters, &senders[i]),
		    0);
	}
	assert_int_equal(loop_run(o.loop, NULL), 0);
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	assert_false(o.disorder);
	assert_int_equal(o.got, SENDERS * LETTERS);
	assert_null(loop_take(o.loop));
	loop_free(o.loop);
}

/* What happened in a turn, as letters. */
static char story[64];
static struct loop *loop;
static struct loop_task tasks[4];
static struct loop_timer timers[2];

static void
tell(char what)
{
	size_t n = strlen(story);

	assert_true(n + 1 < sizeof(story));
	story[n] = what;
	story[n + 1] = '\0';
}

static void
no_mail(void *arg, struct mail *mail)
{
	(void)arg;
	free(mail);
}

static void
on_a(void *arg)
{
	(void)arg;
	tell('a');
	loop_soon(loop, &tasks[1]);
}

static void
on_b(void *arg)
{
	(void)arg;
	tell('b');
}

static void
on_slow(void *arg)
{
	(void)arg;
	tell('s');
	loop_soon(loop, &tasks[1]);
}

static void
on_grave(void *arg)
{
	(void)arg;
	tell('g');
}

static void
on_end(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
a_turn_has_its_order(void **state)
{
	struct loop_grave grave;

	(void)state;
	story[0] = '\0';
	assert_int_equal(loop_new(&loop, no_mail, NULL, NULL), 0);
	loop_slow_max(loop, 1);
	loop_task_init(&tasks[0], on_a, NULL);
	loop_task_init(&tasks[1], on_b, NULL);
	loop_task_init(&tasks[2], on_slow, NULL);
	loop_task_init(&tasks[3], on_slow, NULL);
	loop_timer_init(&timers[0], loop, on_end, NULL);
	loop_slowly(loop, &tasks[2]);
	loop_slowly(loop, &tasks[3]);
	loop_soon(loop, &tasks[0]);
	loop_soon(loop, &tasks[0]);
	loop_bury(loop, &grave, on_grave, NULL);
	loop_timer_set(&timers[0], 20);
	assert_int_equal(loop_run(loop, NULL), 0);
	/* One slow task a turn, and the fast ones in between. */
	assert_string_equal(story, "absbgsb");
	loop_timer_free(&timers[0]);
	loop_free(loop);
}

static void
never(void *arg)
{
	(void)arg;
	tell('!');
	loop_stop(loop);
}

static void
timers_move_and_cancel(void **state)
{
	uint64_t begin = clock_ms();

	(void)state;
	story[0] = '\0';
	assert_int_equal(loop_new(&loop, no_mail, NULL, NULL), 0);
	loop_timer_init(&timers[0], loop, on_end, NULL);
	loop_timer_init(&timers[1], loop, never, NULL);
	/* Later, sooner, later again: the last word counts. */
	loop_timer_set(&timers[0], 5);
	loop_timer_set(&timers[0], DEADLINE);
	loop_timer_set(&timers[0], 40);
	loop_timer_set(&timers[1], 10);
	loop_timer_cancel(&timers[1]);
	assert_int_equal(loop_run(loop, NULL), 0);
	assert_string_equal(story, "");
	assert_true(clock_ms() - begin >= 40);
	assert_true(clock_ms() - begin < DEADLINE);
	loop_timer_free(&timers[0]);
	loop_timer_free(&timers[1]);
	loop_free(loop);
}

static void
a_cancelled_task_does_not_run(void **state)
{
	(void)state;
	story[0] = '\0';
	assert_int_equal(loop_new(&loop, no_mail, NULL, NULL), 0);
	loop_task_init(&tasks[0], never, NULL);
	loop_task_init(&tasks[1], on_b, NULL);
	loop_timer_init(&timers[0], loop, on_end, NULL);
	loop_soon(loop, &tasks[0]);
	loop_soon(loop, &tasks[1]);
	loop_task_cancel(&tasks[0]);
	loop_task_cancel(&tasks[0]);
	loop_timer_set(&timers[0], 1);
	assert_int_equal(loop_run(loop, NULL), 0);
	assert_string_equal(story, "b");
	loop_timer_free(&timers[0]);
	loop_free(loop);
}

static void
on_pipe(void *arg, unsigned events)
{
	struct loop_fd *w = arg;
	char c;

	assert_int_equal(events, LOOP_READ);
	assert_int_equal(read(w->fd, &c, 1), 1);
	tell(c);
	if (c == 'z')
		loop_stop(loop);
}

static void
descriptors_are_watched_while_wanted(void **state)
{
	struct loop_fd w;
	int fds[2];

	(void)state;
	story[0] = '\0';
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(loop_new(&loop, no_mail, NULL, NULL), 0);
	assert_int_equal(loop_fd_init(&w, loop, fds[0], on_pipe, &w, NULL), 0);
	loop_timer_init(&timers[0], loop, on_end, NULL);
	assert_int_equal(write(fds[1], "xyz", 3), 3);
	loop_timer_set(&timers[0], 1);
	assert_int_equal(loop_run(loop, NULL), 0);
	assert_string_equal(story, "");
	loop_timer_free(&timers[0]);
	loop_fd_free(&w);
	loop_free(loop);
	/* The same again, and wanted. */
	assert_int_equal(loop_new(&loop, no_mail, NULL, NULL), 0);
	assert_int_equal(loop_fd_init(&w, loop, fds[0], on_pipe, &w, NULL), 0);
	loop_fd_want(&w, LOOP_READ);
	assert_int_equal(loop_run(loop, NULL), 0);
	assert_string_equal(story, "xyz");
	loop_fd_free(&w);
	loop_free(loop);
	close(fds[0]);
	close(fds[1]);
}

static bool no_memory;

static void *
give(size_t len)
{
	return no_memory ? NULL : malloc(len);
}

static void *
give_more(void *ptr, size_t len)
{
	return no_memory ? NULL : realloc(ptr, len);
}

static void
stop_loop(void *arg)
{
	loop_stop(arg);
}

static void
ring(void *arg)
{
	(*(unsigned *)arg)++;
}

/* Whoever sets it is in the middle of something. */
static void
a_timer_without_memory_fires_soon_and_not_at_once(void **state)
{
	struct loop_timer fires, cancelled, freed, end;
	unsigned rings[3] = { 0 };

	(void)state;
	assert_int_equal(loop_new(&loop, no_mail, NULL, NULL), 0);
	loop_timer_init(&fires, loop, ring, &rings[0]);
	loop_timer_init(&cancelled, loop, ring, &rings[1]);
	loop_timer_init(&freed, loop, ring, &rings[2]);
	loop_timer_init(&end, loop, stop_loop, loop);
	loop_timer_set(&end, 1);
	no_memory = true;
	loop_timer_set(&fires, DEADLINE);
	loop_timer_set(&cancelled, DEADLINE);
	loop_timer_set(&freed, DEADLINE);
	no_memory = false;
	loop_timer_cancel(&cancelled);
	loop_timer_free(&freed);
	assert_int_equal(rings[0], 0);
	assert_int_equal(loop_run(loop, NULL), 0);
	assert_int_equal(rings[0], 1);
	assert_int_equal(rings[1], 0);
	assert_int_equal(rings[2], 0);
	loop_timer_free(&fires);
	loop_timer_free(&cancelled);
	loop_timer_free(&end);
	loop_free(loop);
}

static void
a_stamp_is_made_anew_each_second(void **state)
{
	struct stamp s = { 0 };

	(void)state;
	stamp_set(&s, 784111777); /* RFC 9110 5.6.7 */
	assert_string_equal(s.date, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
	assert_string_equal(s.iso, "1994-11-06T08:49:37Z");
	s.iso[0] = '!';
	stamp_set(&s, 784111777);
	assert_int_equal(s.iso[0], '!');
	stamp_set(&s, 784111778);
	assert_string_equal(s.iso, "1994-11-06T08:49:38Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_of_many_threads_keeps_each_ones_order),
		cmocka_unit_test(a_turn_has_its_order),
		cmocka_unit_test(timers_move_and_cancel),
		cmocka_unit_test(a_stamp_is_made_anew_each_second),
		cmocka_unit_test(a_cancelled_task_does_not_run),
		cmocka_unit_test(descriptors_are_watched_while_wanted),
		cmocka_unit_test(
		    a_timer_without_memory_fires_soon_and_not_at_once),
	};

	event_set_mem_functions(give, give_more, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
