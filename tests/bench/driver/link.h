#ifndef TESTS_BENCH_DRIVER_LINK_H
#define TESTS_BENCH_DRIVER_LINK_H

#include "tests/bench/driver/wire.h"

/*
 * One tunnel of one agent (docs/protocol.md 12), by common/tunnel over the
 * driver's own WebSocket, whose masks are zeros: legal, and no work.
 */

struct link;

struct link_settings {
	struct ssl_ctx_st *ctx;
	struct sockaddr_in to;
	const char *base;
	uint32_t delay_ms; /* before each answer */
	bool ping;         /* measure a round trip before ops.up */
	bool stuck;        /* answer /validate by half, and never end it */
	/* Keys of the agents from ${first} on, made when first used: an agent
	 * that comes again has its key at hand. */
	struct evp_pkey_st **keys;
	uint32_t first;
};

struct link_ops {
	/* Its UUID is claimed: ${claim_us} from CLAIM to CLAIMED, and
	 * ${ping_us} for a ping sent behind it, if settings->ping. */
	void (*up)(
	    void *arg, struct link *l, uint64_t claim_us, uint64_t ping_us);
	/* The relay wants it to move, after min to max ms. */
	void (*move)(
	    void *arg, struct link *l, uint32_t min_ms, uint32_t max_ms);
	/* It is over, once; not after link_free(). */
	void (*gone)(void *arg, struct link *l, const char *why);
};

/** link_dial(settings, loop, number, ops, arg): NULL: could not begin. */
struct link *link_dial(const struct link_settings *settings, struct loop *loop,
    uint32_t number, const struct link_ops *ops, void *arg);

/** link_leave(l): another one serves; end when nothing is under way. */
void link_leave(struct link *l);

void link_free(struct link *l);

#endif
