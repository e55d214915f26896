#include "relay/directory_redis.h"

#include "common/clock.h"
#include "common/secret.h"
#include "relay/number.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 250
#define RETRY_SLOW_MS 2000
#define TICK_MS 1000
#define STALL_MS 3000 /* without an answer: the connection is dead */
#define SHA_LEN 40
#define ARGS_MAX 24

enum which { SPEAKS, LISTENS, CONNECTIONS };

struct connection {
	struct redis *redis;
	redisAsyncContext *ac; /* hiredis frees it; NULL: none */
	struct loop_fd watch;
	unsigned wants;
	bool watched;
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
	bool falling;
	bool ending;
	uint64_t started_ms;
	uint64_t up_ms;
	uint64_t asked_ms; /* the clock, without an answer; 0: not */
	struct loop_timer timer;
	char why[160];
};

int
redis_url_parse(struct redis_url *out, const char *text, struct err *err)
{
	static const char scheme[] = "redis://";
	const char *rest = text + sizeof(scheme) - 1, *colon;
	size_t len, host_len;
	uint64_t n;

	*out = (struct redis_url){ .port = 6379 };
	if (strncmp(text, "rediss://", 9) == 0)
		return err_set(err, ERR_UNSUPPORTED,
		    "Debian's hiredis has no TLS: use redis:// on a network of "
		    "its own, or through stunnel");
	if (strncmp(text, scheme, sizeof(scheme) - 1) != 0)
		goto bad;
	len = strcspn(rest, "/");
	if (rest[len] == '/') {
		if (!number_parse(&n, span_str(rest + len + 1), 65535))
			goto bad;
		out->db = (unsigned)n;
	}
	colon = memrchr(rest, ':', len);
	host_len = colon != NULL ? (size_t)(colon - rest) : len;
	if (colon != NULL) {
		if (!number_parse(
			&n, span_of(colon + 1, len - host_len - 1), UINT16_MAX))
			goto bad;
		out->port = (uint16_t)n;
	}
	if (host_len == 0 || host_len >= sizeof(out->host) ||
	    memchr(rest, '@', host_len) != NULL || out->port == 0)
		goto bad;
	memcpy(out->host, rest, host_len);
	return 0;
bad:
	return err_set(err, ERR_USAGE,
	    "want redis://HOST[:PORT][/DB] (the password goes to "
	    "cluster.password-file)");
}

/*
 * hiredis on our loop.
 */

static void
on_event(void *arg, unsigned events)
{
	struct connection *c = arg;
	redisAsyncContext *ac = c->ac;

	if ((events & LOOP_READ) != 0 && ac != NULL)
		redisAsyncHandleRead(ac);
	if ((events & LOOP_WRITE) != 0 && ac != NULL && c->ac == ac)
		redisAsyncHandleWrite(ac);
}

static void
want(void *arg, unsigned on, unsigned off)
{
	struct connection *c = arg;

	c->wants = (c->wants | on) & ~off;
	if (c->watched)
		loop_fd_want(&c->watch, c->wants);
}

static void
add_read(void *arg)
{
	want(arg, LOOP_READ, 0);
}

static void
del_read(void *arg)
{
	want(arg, 0, LOOP_READ);
}

static void
add_write(void *arg)
{
	want(arg, LOOP_WRITE, 0);
}

static void
del_write(void *arg)
{
	want(arg, 0, LOOP_WRITE);
}

/* hiredis frees the context behind this. */
static void
cleanup(void *arg)
{
	struct connection *c = arg;

	if (c->watched)
		loop_fd_free(&c->watch);
	c->watched = false;
	c->wants = 0;
	c->ac = NULL;
}

static void
drop(struct connection *c)
{
	redisAsyncContext *ac = c->ac;

	if (ac == NULL)
		return;
	c->ac = NULL;
	redisAsyncFree(ac);
}

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
	for (size_t i = 0; i < CONNECTIONS; i++)
		drop(&r->connections[i]);
	r->falling = false;
	if (r->ending)
		return;
	/* One that takes us and then fails us gets more time. */
	loop_timer_set(&r->timer,
	    was_up && clock_ms() - r->up_ms < RETRY_SLOW_MS ? RETRY_SLOW_MS
							    : RETRY_MS);
	if (was_up)
		r->ops.down(r->arg, r->why);
}

static void
on_connect(const redisAsyncContext *ac, int status)
{
	struct connection *c = ac->data;

	if (status == REDIS_OK)
		return;
	c->ac = NULL; /* hiredis frees it next */
	fall(c->redis, ac->errstr);
}

static void
on_disconnect(const redisAsyncContext *ac, int status)
{
	struct connection *c = ac->data;

	(void)status;
	c->ac = NULL;
	fall(c->redis, ac->errstr[0] != '\0' ? ac->errstr : "closed");
}

static int
open_connection(struct redis *r, enum which which)
{
	struct connection *c = &r->connections[which];
	redisAsyncContext *ac = redisAsyncConnect(r->url.host, r->url.port);
	struct err err;

	if (ac == NULL)
		return -1;
	c->redis = r;
	if (ac->err != 0 ||
	    loop_fd_init(&c->watch, r->loop, ac->c.fd, on_event, c, &err) !=
		0) {
		snprintf(r->why, sizeof(r->why), "%s", ac->errstr);
		redisAsyncFree(ac);
		return -1;
	}
	c->ac = ac;
	c->watched = true;
	c->wants = 0;
	ac->data = c;
	ac->ev.data = c;
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	ac->ev.cleanup = cleanup;
	redisAsyncSetConnectCallback(ac, on_connect);
	redisAsyncSetDisconnectCallback(ac, on_disconnect);
	return 0;
}

/*
 * Set-up: password, database, scripts; then the channel.
 */

static bool
is_bad(const struct redis *r, const redisReply *reply)
{
	return r->ending || reply == NULL || reply->type == REDIS_REPLY_ERROR;
}

/* One step of the set-up is answered. */
static void
step_done(struct redis *r, const redisReply *reply)
{
	if (is_bad(r, reply)) {
		if (reply != NULL)
			fall(r, reply->str);
		return;
	}
	if (--r->steps > 0)
		return;
	r->up = true;
	r->up_ms = clock_ms();
	loop_timer_set(&r->timer, 0); /* ask for the time */
	r->ops.up(r->arg);
}

static void
on_step(redisAsyncContext *ac, void *reply, void *user)
{
	struct connection *c = ac->data;

	(void)user;
	step_done(c->redis, reply);
}

static void
on_script(redisAsyncContext *ac, void *reply, void *user)
{
	struct connection *c = ac->data;
	const redisReply *v = reply;
	char *sha = user;

	if (v != NULL && v->type == REDIS_REPLY_STRING && v->len == SHA_LEN)
		memcpy(sha, v->str, SHA_LEN);
	else if (v != NULL && v->type != REDIS_REPLY_ERROR) {
		fall(c->redis, "SCRIPT LOAD gave no SHA-1");
		return;
	}
	step_done(c->redis, v);
}

/* "message", channel, text; or "subscribe", channel, count. */
static void
on_message(redisAsyncContext *ac, void *reply, void *user)
{
	struct connection *c = ac->data;
	const redisReply *v = reply, *text;

	(void)user;
	if (is_bad(c->redis, v) || v->type != REDIS_REPLY_ARRAY ||
	    v->elements != 3) {
		if (v != NULL)
			step_done(c->redis, v);
		return;
	}
	text = v->element[2];
	if (text->type == REDIS_REPLY_INTEGER)
		step_done(c->redis, v);
	else if (text->type == REDIS_REPLY_STRING &&
	    text->len <= REDIS_TEXT_MAX)
		c->redis->ops.heard(
		    c->redis->arg, span_of(text->str, (size_t)text->len));
}

static int
greet(struct redis *r, enum which which)
{
	redisAsyncContext *ac = r->connections[which].ac;

	if (r->password[0] != '\0') {
		r->steps++;
		if (redisAsyncCommand(
			ac, on_step, NULL, "AUTH %s", r->password) != REDIS_OK)
			return -1;
	}
	r->steps++;
	return redisAsyncCommand(ac, on_step, NULL, "SELECT %u", r->url.db) ==
		REDIS_OK
	    ? 0
	    : -1;
}

static int
set_up(struct redis *r)
{
	redisAsyncContext *ac = r->connections[SPEAKS].ac;

	r->steps = 0;
	if (greet(r, SPEAKS) != 0 || greet(r, LISTENS) != 0)
		return -1;
	for (int i = 0; i < DIRECTORY_SCRIPTS; i++) {
		r->steps++;
		if (redisAsyncCommand(ac, on_script, r->sha[i],
			"SCRIPT LOAD %s",
			directory_script_text((enum directory_script)i)) !=
		    REDIS_OK)
			return -1;
	}
	r->steps++;
	return redisAsyncCommand(r->connections[LISTENS].ac, on_message, NULL,
		   "SUBSCRIBE %s", r->channel) == REDIS_OK
	    ? 0
	    : -1;
}

void
redis_start(struct redis *r)
{
	r->started_ms = clock_ms();
	r->why[0] = '\0';
	if (open_connection(r, SPEAKS) != 0 ||
	    open_connection(r, LISTENS) != 0 || set_up(r) != 0)
		fall(r, r->why[0] != '\0' ? r->why : "no connection");
	else
		loop_timer_set(&r->timer, TICK_MS);
}

/*
 * Its clock, which also tells that it lives.
 */

static void
on_time(redisAsyncContext *ac, void *reply, void *user)
{
	struct connection *c = ac->data;
	const redisReply *v = reply;
	struct redis *r = c->redis;
	uint64_t s, us, took;

	(void)user;
	took = clock_ms() - r->asked_ms;
	r->asked_ms = 0;
	if (is_bad(r, v) || v->type != REDIS_REPLY_ARRAY || v->elements != 2 ||
	    v->element[0]->type != REDIS_REPLY_STRING ||
	    v->element[1]->type != REDIS_REPLY_STRING)
		return;
	if (number_parse(&s, span_str(v->element[0]->str), UINT32_MAX) &&
	    number_parse(&us, span_str(v->element[1]->str), 999999))
		r->ops.clock(r->arg, s * 1000 + us / 1000, took);
}

static void
on_timer(void *arg)
{
	struct redis *r = arg;
	redisAsyncContext *ac = r->connections[SPEAKS].ac;
	uint64_t now = clock_ms();

	if (ac == NULL) {
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
	if (redisAsyncCommand(ac, on_time, NULL, "TIME") != REDIS_OK)
		fall(r, "TIME was not sent");
}

/*
 * Scripts.
 */

static bool
take_texts(struct redis_answer *out, const redisReply *v)
{
	if (v->elements > REDIS_TEXTS_MAX)
		return false;
	for (size_t i = 0; i < v->elements; i++) {
		const redisReply *one = v->element[i];

		if (one->type != REDIS_REPLY_STRING ||
		    one->len > REDIS_TEXT_MAX)
			return false;
		out->texts[i] = span_of(one->str, (size_t)one->len);
	}
	out->count = v->elements;
	return true;
}

static void
on_answer(redisAsyncContext *ac, void *reply, void *user)
{
	struct connection *c = ac->data;
	struct redis *r = c->redis;
	const redisReply *v = reply;
	struct redis_answer a = { 0 };
	bool good = false;

	if (v != NULL && v->type == REDIS_REPLY_INTEGER) {
		a.is_number = good = true;
		a.number = v->integer;
	} else if (v != NULL && v->type == REDIS_REPLY_ARRAY) {
		good = take_texts(&a, v);
	}
	r->ops.answer(r->arg, user, good ? &a : NULL);
	/* A key of another form is the fault of its UUID alone. */
	if (!good && v != NULL &&
	    (v->type != REDIS_REPLY_ERROR ||
		strncmp(v->str, "WRONGTYPE", 9) != 0))
		fall(r,
		    v->type == REDIS_REPLY_ERROR
			? v->str
			: "an answer of no known form");
}

bool
redis_run(struct redis *r, enum directory_script script, const char *key,
    const char *const *args, size_t count, void *user)
{
	const char *argv[ARGS_MAX] = { "EVALSHA", r->sha[script], "1", key };

	if (!r->up || r->falling || count > ARGS_MAX - 4)
		return false;
	for (size_t i = 0; i < count; i++)
		argv[4 + i] = args[i];
	return redisAsyncCommandArgv(r->connections[SPEAKS].ac, on_answer, user,
		   (int)(4 + count), argv, NULL) == REDIS_OK;
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
