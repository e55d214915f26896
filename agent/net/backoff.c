#include "agent/net/backoff.h"

uint32_t
backoff_next(struct backoff *b, uint32_t random)
{
	uint32_t cap = BACKOFF_FIRST_MS;
	unsigned i;
	uint32_t wait;

	for (i = BACKOFF_FIRST_TRIES; i <= b->tries && cap < BACKOFF_MOST_MS;
	     i++)
		cap *= 2;
	if (cap > BACKOFF_MOST_MS)
		cap = BACKOFF_MOST_MS;
	if (b->tries < 32)
		b->tries++;
	wait = (uint32_t)(((uint64_t)random * (cap + 1)) >> 32);
	return wait < BACKOFF_LEAST_MS ? BACKOFF_LEAST_MS : wait;
}

void
backoff_ended(struct backoff *b, int64_t lived_ms)
{
	if (lived_ms >= BACKOFF_STABLE_MS)
		b->tries = 0;
}

bool
backoff_moves(struct backoff *b, int64_t lived_ms)
{
	if (lived_ms < BACKOFF_MOVE_MS)
		return false;
	b->tries = 0;
	return true;
}
