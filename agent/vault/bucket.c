#include "agent/vault/bucket.h"

bool
bucket_take(struct bucket *b, uint32_t burst, int64_t every_ms, int64_t now_ms)
{
	int64_t back = 0;

	if (b->used == 0)
		b->since_ms = now_ms;
	if (now_ms > b->since_ms)
		back = (now_ms - b->since_ms) / every_ms;
	if (back >= b->used) {
		b->used = 0;
		b->since_ms = now_ms;
	} else {
		b->used -= (uint32_t)back;
		b->since_ms += back * every_ms;
	}
	if (b->used >= burst)
		return false;
	b->used++;
	return true;
}

uint32_t
bucket_wait_s(const struct bucket *b, int64_t every_ms, int64_t now_ms)
{
	int64_t left = b->since_ms + every_ms - now_ms;

	if (left <= 1000)
		return 1;
	if (left > every_ms)
		left = every_ms;
	return (uint32_t)((left + 999) / 1000);
}
