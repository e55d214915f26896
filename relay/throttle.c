#include "relay/throttle.h"

#include "common/secret.h"

#define MINUTE_US UINT64_C(60000000)

int
throttle_init(struct throttle *t, struct err *err)
{
	return secret_random(t->key, sizeof(t->key), err);
}

bool
throttle_take(struct throttle *t, struct source source, uint32_t per_minute,
    uint64_t now_us)
{
	struct source block = source_block(source);
	uint64_t hash =
	    siphash(t->key, span_of(block.addr, sizeof(block.addr)));
	_Atomic uint64_t *cell = &t->full_us[hash & (THROTTLE_CELLS - 1)];
	uint64_t full = atomic_load(cell), next;

	if (per_minute == 0)
		return true;
	do {
		next = (full > now_us ? full : now_us) + MINUTE_US / per_minute;
		if (next - now_us > MINUTE_US)
			return false;
	} while (!atomic_compare_exchange_weak(cell, &full, next));
	return true;
}
