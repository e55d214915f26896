#include "launch/retry.h"

#define FIRST_MS 100
#define DOUBLINGS 6
#define AFTER_MAX_S 86400

bool
retry_worth(const struct retry_try *t)
{
	if (t->hopeless)
		return false;
	return t->status == 0 || t->status == 429 || t->status == 502 ||
	    t->status == 503 || t->status == 504 ||
	    (t->status == 409 && t->in_progress);
}

uint64_t
retry_pause_ms(const struct retry_try *t, unsigned tries, uint16_t dice)
{
	uint64_t ms;

	if (t->retry_after_s >= 0)
		ms = UINT64_C(1000) *
		    (uint64_t)(t->retry_after_s < AFTER_MAX_S ? t->retry_after_s
							      : AFTER_MAX_S);
	else
		ms = (uint64_t)FIRST_MS
		    << (tries < DOUBLINGS ? tries : DOUBLINGS);
	/* Retry-After: 0 is no leave to hammer. */
	if (ms < FIRST_MS)
		ms = FIRST_MS;
	return ms + (ms / 4 + 1) * dice / 65536;
}
