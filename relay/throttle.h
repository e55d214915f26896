#ifndef RELAY_THROTTLE_H
#define RELAY_THROTTLE_H

#include "common/siphash.h"
#include "common/tally.h"

#include <stdatomic.h>

/*
 * How often each block of addresses does something, in a table of fixed size:
 * two blocks in one cell share what one may, so strangers can make it stricter
 * but neither larger nor laxer.  Safe from every thread.
 */

#define THROTTLE_CELLS 4096 /* power of two */

struct throttle {
	uint8_t key[SIPHASH_KEY_LEN];
	_Atomic uint64_t full_us[THROTTLE_CELLS];
};

/** throttle_init(t, err): errors ERR_INTERNAL */
int throttle_init(struct throttle *t, struct err *err);

/** throttle_take(t, source, per_minute, now_us): once more; false: it has been
 * ${per_minute} times, and must wait.  0 is no limit. */
bool throttle_take(struct throttle *t, struct source source,
    uint32_t per_minute, uint64_t now_us);

#endif
