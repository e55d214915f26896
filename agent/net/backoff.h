#ifndef AGENT_NET_BACKOFF_H
#define AGENT_NET_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When to dial again: full jitter, so that the agents of a relay that restarts
 * do not come all at once (T23), under a cap that stays at 0.5 s while it may
 * be a restart, and then doubles up to 60 s.
 */
#define BACKOFF_FIRST_MS 500u
#define BACKOFF_FIRST_TRIES 6u /* about 1.5 s */
#define BACKOFF_MOST_MS 60000u
#define BACKOFF_LEAST_MS 20u
#define BACKOFF_STABLE_MS 60000u /* a tunnel this old starts afresh */
#define BACKOFF_MOVE_MS 2000u    /* ... and this old, if it was asked to move */

struct backoff {
	unsigned tries; /* since the last stable tunnel */
};

/** backoff_next(b, random): ms to wait before the next try; ${random} is any
 * 32 random bits. */
uint32_t backoff_next(struct backoff *b, uint32_t random);

/** backoff_ended(b, lived_ms): a tunnel of that age has ended. */
void backoff_ended(struct backoff *b, int64_t lived_ms);

/** backoff_moves(b, lived_ms): the relay asks a tunnel of that age to move, as
 * in a planned restart.  False: it does so too soon, and the move is to wait
 * like a try after a failure. */
bool backoff_moves(struct backoff *b, int64_t lived_ms);

#endif
