#include "relay/directory_redis.h"

#include "common/clock.h"
#include "common/secret.h"
#include "relay/number.h"
#include "relay/redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 250
#define RETRY_SLOW_MS 2000
#define TICK_MS 1000
#define STALL_MS 3000 /* without an answer: the connection is dead */
#define SHA_LEN 40
#define ARGS_MAX 20

enum which { SPEAKS, LISTENS, CONNECTIONS };

struct connection {
	struct redis *redis;
	struct redis_link *link; /* NULL: none */
};

struct redis {
	struct loop *loop;
	struct redis_url url;
	char password[256];
	char channel[96];
	struct redis_ops ops;
	void *arg;
	struct connection connections[CONNECTIONS];
	char sha[DIRECTORY_SCRIPTS][SHA_LEN + 1];
	unsigned steps; /* of the set-up without an answer */
	bool up;
	bool told; /* whether it is up */
	bool falling;
	bool ending;
	uint64_t started_ms;
	uint64_t up_ms;
	uint64_t asked_ms; /* the clock, without an answer; 0: not */
	struct loop_timer timer;
	char why[RESP_LINE_MAX];
};

/* Both go together, as neither is of use alone. */
static void
fall(struct redis *r, const char *why)
{
	bool was_up = r->up;

	/* One of the two may pull the other down with it. */
	if (r->falling)
		return;
	r->falling = true;
	snprintf(r->why, sizeof(r->why), "%s", why);
	r->up = false;
	r->asked_ms = 0;
	for (size_t i = 0; i < CONNECTIONS; i++) {
		redis_link_close(r->connections[i].link);
		r->connections[i].link = NULL;
	}
	r->falling = false;
	if (r->ending)
		return;
	/* One that takes us and then fails us gets more time. */
	loop_timer_set(&r->timer,
	    was_up && clock_ms() - r->up_ms < RETRY_SLOW_MS ? RETRY_SLOW_MS
							    : RETRY_MS);
	if (was_up || !r->told)
		r->ops.down(r->arg, r->why);
	r->told = true;
}

static void
fall_over(struct redis *r, const struct resp *reply)
{
	char text[RESP_LINE_MAX];

	if (reply->head.kind != RESP_ERROR) {
		fall(r, "an answer of no known form");
		return;
	}
	snprintf(text, sizeof(text), "%.*s", (int)reply->head.text.len,
	    (const char *)reply->head.text.ptr);
	fall(r, text);
}

/*
 * Set-up: password, database, scripts; then the channel.
 */

/* One step of the set-up is answered: ${good} or else. */
static void
step_done(struct redis *r, const struct resp *reply, bool good)
{
	if (reply == NULL)
		return; /* it falls already */
	if (!good) {
		fall_over(r, reply);
		return;
	}
	if (--r->steps > 0)
		return;
	r->up = r->told = true;
	r->up_ms = clock_ms();
	loop_timer_set(&r->timer, 0); /* ask for the time */
	r->ops.up(r->arg);
}

static void
on_step(void *arg, void *user, const struct resp *reply)
{
	struct connection *c = arg;

	(void)user;
	step_done(
	    c->redis, reply, reply != NULL && resp_is(&reply->head, "OK"));
}

static void
on_script(void *arg, void *user, const struct resp *reply)
{
	struct connection *c = arg;
	char *sha = user;
	bool good = reply != NULL && reply->head.kind == RESP_TEXT &&
	    reply->head.text.len == SHA_LEN;

	if (good)
		memcpy(sha, reply->head.text.ptr, SHA_LEN);
	step_done(c->redis, reply,
	    good && strspn(sha, "0123456789abcdef") == SHA_LEN);
}

static bool
is_of_channel(const struct redis *r, const struct resp *reply, const char *what)
{
	return resp_count(reply) == 3 && resp_is(&reply->items[0], what) &&
	    resp_is(&reply->items[1], r->channel);
}

static void
on_subscribed(void *arg, void *user, const struct resp *reply)
{
	struct connection *c = arg;

	(void)user;
	step_done(c->redis, reply,
	    reply != NULL && is_of_channel(c->redis, reply, "subscribe"));
}

static void
on_unasked(void *arg, const struct resp *reply)
{
	struct connection *c = arg;
	struct redis *r = c->redis;

	if (c == &r->connections[LISTENS] &&
	    is_of_channel(r, reply, "message") &&
	    reply->items[2].kind == RESP_TEXT)
		r->ops.heard(r->arg, reply->items[2].text);
	else
		fall(r, "an answer that nobody asked for");
}

static bool
say_hello(struct connection *c)
{
	const struct redis *r = c->redis;
	char db[16];
	const char *const auth[] = { "AUTH", r->password };
	const char *const select[] = { "SELECT", db };

	snprintf(db, sizeof(db), "%u", r->url.db);
	return (r->password[0] == '\0' ||
		   redis_link_send(c->link, auth, 2, on_step, NULL)) &&
	    redis_link_send(c->link, select, 2, on_step, NULL);
}

static bool
load_scripts(struct connection *c)
{
	struct redis *r = c->redis;
	bool good = true;

	for (int i = 0; good && i < DIRECTORY_SCRIPTS; i++) {
		const char *const words[] = { "SCRIPT", "LOAD",
			directory_script_text((enum directory_script)i) };

		good = redis_link_send(c->link, words, 3, on_script, r->sha[i]);
	}
	return good;
}

static bool
subscribe(struct connection *c)
{
	const char *const words[] = { "SUBSCRIBE", c->redis->channel };

	return redis_link_send(c->link, words, 2, on_subscribed, NULL);
}

static void
on_open(void *arg)
{
	struct connection *c = arg;
	bool speaks = c == &c->redis->connections[SPEAKS];

	if (!say_hello(c) || !(speaks ? load_scripts(c) : subscribe(c)))
		fall(c->redis, "no memory for a connection");
}

static void
on_closed(void *arg, const char *why)
{
	struct connection *c = arg;

	c->link = NULL;
	fall(c->redis, why);
}

static const struct redis_link_ops link_ops = {
	.open = on_open,
	.unasked = on_unasked,
	.closed = on_closed,
};

void
redis_start(struct redis *r)
{
	struct err err;

	r->started_ms = clock_ms();
	/* Database, and password, of both; scripts; channel. */
	r->steps = (r->password[0] != '\0' ? 4 : 2) + DIRECTORY_SCRIPTS + 1;
	for (size_t i = 0; i < CONNECTIONS; i++) {
		struct connection *c = &r->connections[i];

		c->redis = r;
		if (redis_link_open(&c->link, r->loop, r->url.host, r->url.port,
			&link_ops, c, &err) != 0) {
			fall(r, err.msg);
			return;
		}
	}
	loop_timer_set(&r->timer, TICK_MS);
}

/*
 * Its clock, which also tells that it lives.
 */

static void
on_time(void *arg, void *user, const struct resp *reply)
{
	struct connection *c = arg;
	struct redis *r = c->redis;
	uint64_t s, us, took;

	(void)user;
	if (reply == NULL)
		return;
	took = clock_ms() - r->asked_ms;
	r->asked_ms = 0;
	if (resp_count(reply) == 2 && reply->items[0].kind == RESP_TEXT &&
	    reply->items[1].kind == RESP_TEXT &&
	    number_parse(&s, reply->items[0].text, UINT32_MAX) &&
	    number_parse(&us, reply->items[1].text, 999999))
		r->ops.clock(r->arg, s * 1000 + us / 1000, took);
	else
		fall_over(r, reply);
}

static void
on_timer(void *arg)
{
	static const char *const words[] = { "TIME" };
	struct redis *r = arg;
	struct redis_link *link = r->connections[SPEAKS].link;
	uint64_t now = clock_ms();

	if (link == NULL) {
		redis_start(r);
		return;
	}
	if ((!r->up && now - r->started_ms > STALL_MS) ||
	    (r->asked_ms != 0 && now - r->asked_ms > STALL_MS)) {
		fall(r, "no answer in time");
		return;
	}
	loop_timer_set(&r->timer, TICK_MS);
	if (!r->up || r->asked_ms != 0)
		return;
	r->asked_ms = now;
	if (!redis_link_send(link, words, 1, on_time, NULL))
		fall(r, "TIME was not sent");
}

/*
 * Scripts.
 */

static bool
take_texts(struct redis_answer *out, const struct resp *reply)
{
	out->count = resp_count(reply);
	for (size_t i = 0; i < out->count; i++) {
		if (reply->items[i].kind != RESP_TEXT)
			return false;
		out->texts[i] = reply->items[i].text;
	}
	return true;
}

static void
on_answer(void *arg, void *user, const struct resp *reply)
{
	struct connection *c = arg;
	struct redis *r = c->redis;
	struct redis_answer a = { 0 };
	bool good = false;

	if (reply != NULL && reply->head.kind == RESP_NUMBER) {
		a.is_number = good = true;
		a.number = reply->head.number;
	} else if (reply != NULL && reply->head.kind == RESP_LIST) {
		good = take_texts(&a, reply);
	}
	r->ops.answer(r->arg, user, good ? &a : NULL);
	/* A key of another form is the fault of its UUID alone. */
	if (!good && reply != NULL &&
	    (reply->head.kind != RESP_ERROR || reply->head.text.len < 9 ||
		!span_is(span_of(reply->head.text.ptr, 9), "WRONGTYPE")))
		fall_over(r, reply);
}

bool
redis_run(struct redis *r, enum directory_script script, const char *key,
    const char *const *args, size_t count, void *user)
{
	const char *words[4 + ARGS_MAX] = { "EVALSHA", r->sha[script], "1",
		key };

	if (!r->up || r->falling || count > ARGS_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		words[4 + i] = args[i];
	return redis_link_send(
	    r->connections[SPEAKS].link, words, 4 + count, on_answer, user);
}

int
redis_new(struct redis **out, struct loop *loop, const struct redis_url *url,
    const char *password, const char *channel, const struct redis_ops *ops,
    void *arg, struct err *err)
{
	struct redis *r = calloc(1, sizeof(*r));

	*out = NULL;
	if (r == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the directory");
	r->loop = loop;
	r->url = *url;
	r->ops = *ops;
	r->arg = arg;
	snprintf(r->password, sizeof(r->password), "%s", password);
	snprintf(r->channel, sizeof(r->channel), "%s", channel);
	loop_timer_init(&r->timer, loop, on_timer, r);
	*out = r;
	return 0;
}

void
redis_free(struct redis *r)
{
	if (r == NULL)
		return;
	r->ending = true;
	fall(r, "ending");
	loop_timer_free(&r->timer);
	secret_wipe(r->password, sizeof(r->password));
	free(r);
}
