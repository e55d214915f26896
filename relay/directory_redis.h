#ifndef RELAY_DIRECTORY_REDIS_H
#define RELAY_DIRECTORY_REDIS_H

#include "common/loop.h"
#include "relay/directory_script.h"
#include "relay/redis_url.h"
#include "relay/resp.h"

/*
 * Two connections to a Redis: one for scripts, and one that listens.  They are
 * made by themselves, and again whenever they must; all of it belongs to one
 * loop.  What Redis says is taken for what a stranger says: resp.c judges form
 * and lengths, and an answer that makes no sense here ends both connections.
 */

struct redis;

/* An answer: a number, or texts, borrowed for the call. */
struct redis_answer {
	bool is_number;
	uint64_t number;
	struct span texts[RESP_ITEMS_MAX];
	size_t count;
};

/* ${a} NULL: there is no answer, and it may or may not have been done. */
typedef void redis_fn(void *arg, void *user, const struct redis_answer *a);

struct redis_ops {
	void (*up)(void *arg);
	/* After all answers that were waited for came as NULL; or it has never
	 * been up since the start, said once. */
	void (*down)(void *arg, const char *why);
	/* On the channel. */
	void (*heard)(void *arg, struct span text);
	/* Its clock, in milliseconds since 1970, asked for every second;
	 * ${took_ms} went by from the question to this answer. */
	void (*clock)(void *arg, uint64_t wall_ms, uint64_t took_ms);
	redis_fn *answer;
};

/**
 * redis_new(out, loop, url, password, channel, ops, arg, err):
 * ${password} and ${channel} are copied; "" is no password.
 *   errors  ERR_MEMORY
 */
int redis_new(struct redis **out, struct loop *loop,
    const struct redis_url *url, const char *password, const char *channel,
    const struct redis_ops *ops, void *arg, struct err *err);

/** redis_free(r): ops.answer with NULL for what is open; nothing after it. */
void redis_free(struct redis *r);

/** redis_start(r): connect now. */
void redis_start(struct redis *r);

/**
 * redis_run(r, script, key, args, count, user):
 * ops.answer follows, never from inside this call.  False: it is down.
 */
bool redis_run(struct redis *r, enum directory_script script, const char *key,
    const char *const *args, size_t count, void *user);

#endif
