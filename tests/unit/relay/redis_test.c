#include "relay/directory_redis.h"

#include "tests/unit/relay/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK "+OK\r\n"
#define SHA "$40\r\n0123456789abcdef0123456789abcdef01234567\r\n"
#define SHAS SHA SHA SHA SHA SHA SHA
#define CHANNEL "attest-relay:lost:me"
#define ON_CHANNEL "*3\r\n$9\r\nsubscribe\r\n$20\r\n" CHANNEL "\r\n:1\r\n"
#define MESSAGE(text) "*3\r\n$7\r\nmessage\r\n$20\r\n" CHANNEL "\r\n" text
#define ANSWER ":1\r\n"
#define TIME "*2\r\n$10\r\n1700000000\r\n$6\r\n500000\r\n"

_Static_assert(DIRECTORY_SCRIPTS == 6, "as many hashes as scripts");

/*
 * A Redis that plays a part: what it says when it was greeted, and what once
 * it was asked something, on each of the two connections.
 */
struct part {
	const char *name;
	const char *hello[2]; /* NULL: as a good one */
	const char *more[2];  /* NULL: nothing */
	bool hangs_up;        /* behind it */
	const char *says;     /* why it is given up; NULL: it is not */
};

struct stage {
	const struct part *part;
	struct loop *loop;
	struct redis *redis;
	int listener;
	char why[256];
	bool up, timed;
	unsigned answers, none, heard;
};

static void
say(int fd, const char *text)
{
	/* Who has had enough of us hears no more. */
	if (text != NULL)
		(void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void
listen_for(int fd, const char *word)
{
	static char got[65536];
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, got + len, sizeof(got) - 1 - len);
		if (n <= 0)
			return;
		len += (size_t)n;
		got[len] = '\0';
	} while (strstr(got, word) == NULL);
}

static void *
play(void *arg)
{
	static const char *const good[2] = { OK SHAS, OK ON_CHANNEL };
	struct stage *s = arg;
	int fds[2];

	for (int i = 0; i < 2; i++)
		fds[i] = accept(s->listener, NULL, NULL);
	for (int i = 0; i < 2; i++) {
		const char *hello = s->part->hello[i];

		listen_for(fds[i], i == 0 ? "SELECT" : CHANNEL);
		say(fds[i], hello != NULL ? hello : good[i]);
	}
	if (s->part->hello[0] == NULL && s->part->hello[1] == NULL)
		listen_for(fds[0], "TIME");
	for (int i = 0; i < 2; i++)
		say(fds[i], s->part->more[i]);
	/* Until the other end has had enough, or at once. */
	for (int i = 0; i < 2; i++) {
		if (!s->part->hangs_up)
			listen_for(fds[i], "nothing at all");
		close(fds[i]);
	}
	return NULL;
}

/* hiredis connects to the first one first, and accept() keeps the order. */
static int
open_stage(struct stage *s, struct redis_url *url)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);

	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(s->listener, 2), 0);
	assert_int_equal(
	    getsockname(s->listener, (struct sockaddr *)&sa, &len), 0);
	*url = (struct redis_url){ .host = "127.0.0.1",
		.port = ntohs(sa.sin_port) };
	return 0;
}

static void
on_up(void *arg)
{
	static const char *const args[] = { "me", "8" };
	struct stage *s = arg;

	s->up = true;
	assert_true(redis_run(s->redis, SCRIPT_FIND, "uuid", args, 2, s));
}

static void
on_down(void *arg, const char *why)
{
	struct stage *s = arg;

	snprintf(s->why, sizeof(s->why), "%s", why);
	loop_stop(s->loop);
}

static void
maybe_enough(struct stage *s)
{
	if (s->part->says == NULL && s->timed && s->heard > 0)
		loop_stop(s->loop);
}

static void
on_heard(void *arg, struct span text)
{
	struct stage *s = arg;

	assert_true(text.len <= RESP_TEXT_MAX);
	s->heard++;
	maybe_enough(s);
}

static void
on_clock(void *arg, uint64_t wall_ms, uint64_t took_ms)
{
	struct stage *s = arg;

	(void)took_ms;
	assert_int_equal(wall_ms, UINT64_C(1700000000500));
	s->timed = true;
	maybe_enough(s);
}

static void
on_answer(void *arg, void *user, const struct redis_answer *a)
{
	struct stage *s = arg;

	assert_ptr_equal(user, s);
	s->answers++;
	s->none += a == NULL ? 1 : 0;
}

static const struct redis_ops ops = {
	.up = on_up,
	.down = on_down,
	.heard = on_heard,
	.clock = on_clock,
	.answer = on_answer,
};

static void
on_mail(void *arg, struct mail *mail)
{
	(void)arg;
	(void)mail;
}

static void
perform(const struct part *part)
{
	struct stage s = { .part = part };
	struct redis_url url;
	pthread_t thread;
	struct err err;

	open_stage(&s, &url);
	assert_int_equal(loop_new(&s.loop, on_mail, NULL, &err), 0);
	assert_int_equal(
	    redis_new(&s.redis, s.loop, &url, "", CHANNEL, &ops, &s, &err), 0);
	assert_int_equal(pthread_create(&thread, NULL, play, &s), 0);
	redis_start(s.redis);
	assert_int_equal(loop_run(s.loop, &err), 0);
	redis_free(s.redis);
	loop_free(s.loop);
	pthread_join(thread, NULL);
	close(s.listener);
	if (part->says != NULL)
		expect_words(part->name, s.why, part->says);
	else if (s.why[0] != '\0')
		fail_msg("%s: %s", part->name, s.why);
	/* Whatever happened, who asked was told once. */
	assert_int_equal(s.answers, s.up ? 1 : 0);
	if (part->more[0] == NULL)
		assert_int_equal(s.none, s.answers);
}

static void
a_good_one(void **state)
{
	const struct part good = { .name = "good",
		.more = { ANSWER TIME, MESSAGE("$3\r\na b\r\n") } };

	(void)state;
	perform(&good);
}

#define SPEAK(text)                                                            \
	{                                                                      \
		text, NULL                                                     \
	}
#define HEAR(text)                                                             \
	{                                                                      \
		NULL, text                                                     \
	}

static void
t45_hostile_ones(void **state)
{
	static const struct part parts[] = {
		{ "no right", SPEAK("-NOAUTH no\r\n"), .says = "NOAUTH no" },
		{ "no word", SPEAK(":1\r\n"), .says = "no known form" },
		{ "no database", HEAR("-ERR out of range\r\n"),
		    .says = "out of range" },
		{ "no hash", SPEAK(OK "$3\r\nabc\r\n"),
		    .says = "no known form" },
		{ "hash of other digits",
		    SPEAK(OK "$40\r\n0123456789abcdef0123456789abcdef0123456"
			     "X\r\n"),
		    .says = "no known form" },
		{ "nil for a hash", SPEAK(OK "$-1\r\n"),
		    .says = "no known form" },
		{ "more hashes than scripts", SPEAK(OK SHAS SHA),
		    .says = "nobody asked for" },
		{ "other channel",
		    HEAR(OK "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n"),
		    .says = "no known form" },
		{ "message before the channel", HEAR(OK MESSAGE("$1\r\nx\r\n")),
		    .says = "no known form" },
		{ "leaves at once", SPEAK(""), .hangs_up = true,
		    .says = "nobody answers" },
		{ "unasked number", .more = SPEAK(ANSWER TIME ":1\r\n"),
		    .says = "nobody asked for" },
		{ "unasked error", .more = SPEAK(ANSWER TIME "-ERR x\r\n"),
		    .says = "nobody asked for" },
		{ "unasked message",
		    .more = SPEAK(ANSWER TIME MESSAGE("$1\r\nx\r\n")),
		    .says = "nobody asked for" },
		{ "number on the channel", .more = HEAR(":1\r\n"),
		    .says = "nobody asked for" },
		{ "message of another channel",
		    .more = HEAR("*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n:1\r\n"),
		    .says = "nobody asked for" },
		{ "message that is a number", .more = HEAR(MESSAGE(":1\r\n")),
		    .says = "nobody asked for" },
		{ "push on the channel", .more = HEAR(">2\r\n+a\r\n+b\r\n"),
		    .says = "type 0x3e" },
		{ "push", .more = SPEAK(">2\r\n+invalidate\r\n*0\r\n"),
		    .says = "type 0x3e" },
		{ "huge text", .more = SPEAK("$2147483648\r\n"),
		    .says = "at most 256" },
		{ "huge list", .more = SPEAK("*4294967296\r\n"),
		    .says = "at most 64" },
		{ "deep list", .more = SPEAK("*1\r\n*1\r\n*1\r\n*1\r\n"),
		    .says = "list within a list" },
		{ "text for an answer", .more = SPEAK("+yes\r\n"),
		    .says = "no known form" },
		{ "numbers in the list", .more = SPEAK("*2\r\n:1\r\n:2\r\n"),
		    .says = "no known form" },
		{ "error", .more = SPEAK("-ERR go\033 away\r\n"),
		    .says = "go" },
		{ "clock of texts",
		    .more = SPEAK(ANSWER "*2\r\n$1\r\nx\r\n$1\r\ny\r\n"),
		    .says = "no known form" },
		{ "clock of one number", .more = SPEAK(ANSWER ":1\r\n"),
		    .says = "no known form" },
		{ "half an answer", .more = SPEAK("*2\r\n$1\r\nx"),
		    .hangs_up = true, .says = "closed by the peer" },
		{ "half a number", .more = SPEAK(":12"), .hangs_up = true,
		    .says = "closed by the peer" },
		{ "no Redis", SPEAK("HTTP/1.1 400 Bad Request\r\n\r\n"),
		    .says = "type 0x48" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(parts); i++)
		perform(&parts[i]);
}

/* Of a key that somebody made another kind of, the rest lives on. */
static void
wrong_types_are_no_end(void **state)
{
	const struct part part = { .name = "wrong type",
		.more = {
		    "-WRONGTYPE kind\r\n" TIME, MESSAGE("$3\r\na b\r\n") } };

	(void)state;
	perform(&part);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_one),
		cmocka_unit_test(t45_hostile_ones),
		cmocka_unit_test(wrong_types_are_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
