#include "relay/upkeep.h"

#include <malloc.h>

#define TRIM_MS 5000
#define TRIM_LEAST 128 /* connections */

/*
 * The allocator keeps what connections leave behind, between those that stay.
 * Once there are half as many, or twice, it is worth a walk through it.
 */
static void
on_trim(void *arg)
{
	struct upkeep *u = arg;
	uint32_t now = atomic_load(&u->relay->connections);
	bool due = now + TRIM_LEAST < u->trimmed_at / 2 ||
	    now / 2 > u->trimmed_at + TRIM_LEAST;

	/* Once more, too: who has left is not counted, but freed later. */
	if (due || u->trim_again) {
		malloc_trim(0);
		u->trimmed_at = now;
	}
	u->trim_again = due;
	loop_timer_set(&u->trim, TRIM_MS);
}

static void
on_prune(void *arg)
{
	struct upkeep *u = arg;
	struct registry_op *op = registry_op_prune(u->prune.loop);

	/* Without memory for it, the next time will do. */
	if (op != NULL)
		registry_send(u->relay->registry, op);
	loop_timer_set(&u->prune, u->prune_ms);
}

void
upkeep_start(
    struct upkeep *u, struct relay *relay, struct loop *loop, uint64_t prune_ms)
{
	*u = (struct upkeep){ .relay = relay, .prune_ms = prune_ms };
	loop_timer_init(&u->trim, loop, on_trim, u);
	loop_timer_set(&u->trim, TRIM_MS);
	loop_timer_init(&u->prune, loop, on_prune, u);
	loop_timer_set(&u->prune, prune_ms);
}

void
upkeep_stop(struct upkeep *u)
{
	loop_timer_free(&u->trim);
	loop_timer_free(&u->prune);
}
