#ifndef RELAY_UPKEEP_H
#define RELAY_UPKEEP_H

#include "relay/relay.h"

/*
 * What the main thread does now and then, whatever happens: memory goes back
 * to the system, and the registry's file forgets what nobody needs any more.
 */

#define UPKEEP_PRUNE_MS 3600000

struct upkeep {
	struct relay *relay;
	struct loop_timer trim;
	struct loop_timer prune;
	uint64_t prune_ms;
	bool trim_again;     /* the last look found much */
	uint32_t trimmed_at; /* connections at the last look */
};

/** upkeep_start(u, relay, loop, prune_ms): look after ${relay}, whose registry
 * is pruned every ${prune_ms}, first after as long: opening it has done so. */
void upkeep_start(struct upkeep *u, struct relay *relay, struct loop *loop,
    uint64_t prune_ms);

/** upkeep_stop(u): no timer of it fires any more. */
void upkeep_stop(struct upkeep *u);

#endif
