#include "relay/watchdog.h"

#include "tests/unit/relay/check.h"

#include "relay/worker.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A worker that takes its mail only when the test says so. */
struct scene {
	struct relay relay;
	struct worker worker;
	struct worker *workers[1];
	struct watchdog dog;
	struct loop_timer end;
	int manager;
	char path[64];
};

static void
drop_mail(void *arg, struct mail *mail)
{
	(void)arg;
	free(mail);
}

static void
on_end(void *arg)
{
	struct scene *s = arg;

	loop_stop(s->relay.main_loop);
}

static void
set_up(struct scene *s)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct err err;

	memset(s, 0, sizeof(*s));
	snprintf(
	    s->path, sizeof(s->path), "/tmp/watchdog-test-%ld", (long)getpid());
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", s->path);
	unlink(s->path);
	s->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
	    bind(s->manager, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setenv("NOTIFY_SOCKET", s->path, 1);
	setenv("WATCHDOG_USEC", "30000", 1);
	notify_open(&s->relay.notify);
	s->workers[0] = &s->worker;
	s->relay.workers = s->workers;
	s->relay.worker_count = 1;
	assert_int_equal(
	    loop_new(&s->relay.main_loop, drop_mail, NULL, &err), 0);
	assert_int_equal(loop_new(&s->worker.loop, drop_mail, NULL, &err), 0);
	loop_timer_init(&s->end, s->relay.main_loop, on_end, s);
	watchdog_start(&s->dog, &s->relay);
}

static void
tear_down(struct scene *s)
{
	struct mail *m = loop_take(s->worker.loop), *next;

	for (; m != NULL; m = next) {
		next = m->next;
		free(m);
	}
	watchdog_stop(&s->dog);
	loop_timer_free(&s->end);
	loop_free(s->worker.loop);
	loop_free(s->relay.main_loop);
	notify_close(&s->relay.notify);
	close(s->manager);
	unlink(s->path);
}

static bool
told(struct scene *s)
{
	char got[64];
	ssize_t n = recv(s->manager, got, sizeof(got), MSG_DONTWAIT);

	return n == 10 && memcmp(got, "WATCHDOG=1", 10) == 0;
}

static void
silent_while_a_worker_hangs(void **state)
{
	struct scene s;
	struct err err;

	(void)state;
	set_up(&s);
	loop_timer_set(&s.end, 100);
	assert_int_equal(loop_run(s.relay.main_loop, &err), 0);
	assert_false(told(&s));
	tear_down(&s);
}

static void
tells_once_all_have_answered(void **state)
{
	struct scene s;
	struct err err;

	(void)state;
	set_up(&s);
	/* What the worker does with the first question, and then no more. */
	atomic_store(&s.worker.beat, s.dog.asked);
	loop_timer_set(&s.end, 100);
	assert_int_equal(loop_run(s.relay.main_loop, &err), 0);
	assert_true(told(&s));
	assert_false(told(&s));
	tear_down(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silent_while_a_worker_hangs),
		cmocka_unit_test(tells_once_all_have_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
