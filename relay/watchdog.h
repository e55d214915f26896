#ifndef RELAY_WATCHDOG_H
#define RELAY_WATCHDOG_H

#include "relay/relay.h"

/*
 * WATCHDOG=1 for the service manager, as long as the main thread and every
 * worker take their messages: main asks, each worker notes the number, and the
 * next word goes out when all have.
 */

struct watchdog {
	struct relay *relay;
	struct loop_timer timer;
	uint64_t every_ms;
	uint64_t asked;
	bool late_told;
};

/** watchdog_start(d, relay): nothing, if no watchdog is set on us. */
void watchdog_start(struct watchdog *d, struct relay *relay);
void watchdog_stop(struct watchdog *d);

#endif
