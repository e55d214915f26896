#ifndef RELAY_REDIS_LINK_H
#define RELAY_REDIS_LINK_H

#include "common/loop.h"
#include "relay/resp.h"

/*
 * One connection to a Redis: words out, answers in, each to who asked for it.
 * hiredis finds the server and writes the words; what comes back is for
 * resp.c, which trusts nobody.  All of it belongs to one loop.
 */

struct redis_link;

/* ${reply} NULL: there is none, and it may or may not have been done.  Borrowed
 * for the call. */
typedef void redis_link_fn(void *arg, void *user, const struct resp *reply);

struct redis_link_ops {
	/* Words may be sent; whether anybody is there is not known yet. */
	void (*open)(void *arg);
	/* Nobody had asked for it. */
	void (*unasked)(void *arg, const struct resp *reply);
	/* The last call, after all that waited got NULL; not after
	 * redis_link_close(). */
	void (*closed)(void *arg, const char *why);
};

/**
 * redis_link_open(out, loop, host, port, ops, arg, err):
 * Finding the address of ${host} may block.
 *   errors  ERR_IO, ERR_MEMORY; no call follows then
 */
int redis_link_open(struct redis_link **out, struct loop *loop,
    const char *host, uint16_t port, const struct redis_link_ops *ops,
    void *arg, struct err *err);

/** redis_link_close(l): all that waits gets NULL; nothing follows.  NULL is
 * fine. */
void redis_link_close(struct redis_link *l);

/**
 * redis_link_send(l, words, count, fn, user):
 * ${fn} follows with ${user}, never from inside this call.  False: it is
 * closed, or there is no memory.
 */
bool redis_link_send(struct redis_link *l, const char *const *words,
    size_t count, redis_link_fn *fn, void *user);

#endif
