#ifndef AGENT_NET_KEYPLAN_H
#define AGENT_NET_KEYPLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * When to ask AMD's key server for which chip's CEK; no I/O, no clock.  The
 * server throttles each client, so there is one request at a time, with a gap
 * between two; what it says of waiting is obeyed, and a chip that it does not
 * know is not asked for again soon, however often hosts want it.
 */

#define KEYPLAN_CHIP_LEN 64
#define KEYPLAN_CHIPS_MAX 64
#define KEYPLAN_BACKOFF_MS 5000          /* doubled with each failure ... */
#define KEYPLAN_BACKOFF_MAX_MS 600000    /* ... up to this */
#define KEYPLAN_RETRY_AFTER_MAX_S 3600   /* more is not obeyed */
#define KEYPLAN_UNKNOWN_MS (3600 * 1000) /* the server has no such chip */
#define KEYPLAN_LIE_MS (600 * 1000)      /* what it gave is no CEK of it */

enum keyplan_result {
	KEYPLAN_GOT,     /* it is in the vault, for good */
	KEYPLAN_BUSY,    /* 429, 5xx, no answer in time, no server */
	KEYPLAN_UNKNOWN, /* 404 and the like */
	KEYPLAN_LIE      /* an answer that is not AMD's */
};

struct keyplan_chip {
	bool used;
	bool wanted;
	uint8_t id[KEYPLAN_CHIP_LEN];
	int64_t not_before_ms;
	uint64_t order; /* of wanting; first come, first served */
};

/* Zero-initialise but for gap_ms. */
struct keyplan {
	struct keyplan_chip chips[KEYPLAN_CHIPS_MAX];
	int64_t not_before_ms; /* for all of them */
	uint32_t failures;     /* in a row */
	uint32_t gap_ms;       /* between two requests */
	uint64_t order;
};

/**
 * keyplan_want(p, id): fetch the CEK of chip ${id} when its time has come.
 *   returns  false: KEYPLAN_CHIPS_MAX others are wanted already
 */
bool keyplan_want(struct keyplan *p, const uint8_t id[KEYPLAN_CHIP_LEN]);

/**
 * keyplan_next(p, now_ms, wait_ms):
 * The chip to ask for now; or NULL, and *${wait_ms} until one is due (-1: none
 * is wanted).
 */
const struct keyplan_chip *keyplan_next(
    const struct keyplan *p, int64_t now_ms, int64_t *wait_ms);

/**
 * keyplan_done(p, id, result, retry_after_s, random, now_ms):
 * What came of asking.  ${retry_after_s} is the server's wish, 0: none;
 * ${random} spreads the waits of many agents.
 */
void keyplan_done(struct keyplan *p, const uint8_t id[KEYPLAN_CHIP_LEN],
    enum keyplan_result result, uint32_t retry_after_s, uint32_t random,
    int64_t now_ms);

#endif
