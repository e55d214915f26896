#include "common/conn.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/relay/check.h"

/* A connection without TLS on one end of a socket pair; the test is the
 * other. */

struct side {
	struct loop *loop;
	struct conn *conn;
	int peer;
	char got[64];
	size_t len;
	const char *why;
};

static const struct conn_settings settings = { .handshake_ms = 10000,
	.stall_ms = 10000,
	.linger_ms = 1000,
	.in_max = 4096,
	.out_max = 65536,
	.out_low = 4096 };

/* The peer says its last words and goes, while we write to it: all between two
 * looks at the socket. */
static void
on_timer(void *arg)
{
	struct side *s = arg;

	assert_int_equal(send(s->peer, "an answer", 9, 0), 9);
	close(s->peer);
	conn_write(s->conn, span_str("a question"));
}

static void
on_open(void *arg)
{
	(void)arg;
}

static size_t
on_data(void *arg, uint8_t *ptr, size_t len)
{
	struct side *s = arg;

	assert_true(s->len + len <= sizeof(s->got));
	memcpy(s->got + s->len, ptr, len);
	s->len += len;
	/* It cannot be had any more, and does no harm. */
	conn_write(s->conn, span_str("thanks"));
	return len;
}

static void
on_closed(void *arg, const char *why)
{
	struct side *s = arg;

	s->why = why;
	loop_stop(s->loop);
}

static void
on_mail(void *arg, struct mail *mail)
{
	(void)arg;
	(void)mail;
}

static const struct conn_ops ops = {
	.open = on_open, .data = on_data, .closed = on_closed
};

static void
last_words_are_read(void **state)
{
	struct side s = { 0 };
	struct loop_timer timer;
	struct err err;
	int pair[2];

	(void)state;
	assert_int_equal(
	    socketpair(
		AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
	    0);
	s.peer = pair[1];
	assert_int_equal(loop_new(&s.loop, on_mail, &s, &err), 0);
	assert_int_equal(conn_accept(&s.conn, s.loop, NULL, pair[0], &settings,
			     &ops, &s, &err),
	    0);
	loop_timer_init(&timer, s.loop, on_timer, &s);
	loop_timer_set(&timer, 1);
	assert_int_equal(loop_run(s.loop, &err), 0);
	loop_timer_free(&timer);
	loop_free(s.loop);
	assert_int_equal(s.len, 9);
	assert_memory_equal(s.got, "an answer", 9);
	assert_non_null(s.why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_words_are_read),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
