#include "common/loop_memory.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_MAX 32      /* bytes of a thing that lies here ... */
#define SMALL_COUNT 65536 /* ... and how many there is room for */

/*
 * libevent's hooks have no argument.  Pages of this that nobody has used are
 * not there; what was given out once is not given out again, as it would be
 * wanted again only by another loop.
 */
static _Alignas(max_align_t) uint8_t small[SMALL_COUNT * SMALL_MAX];
static _Atomic size_t used; /* of them */

static bool
is_small(const void *ptr)
{
	uintptr_t at = (uintptr_t)ptr, first = (uintptr_t)small;

	return at >= first && at < first + sizeof(small);
}

static void *
take(size_t len)
{
	size_t at;

	if (len > SMALL_MAX)
		return malloc(len);
	at = atomic_load(&used);
	do {
		if (at == SMALL_COUNT)
			return malloc(len);
	} while (!atomic_compare_exchange_weak(&used, &at, at + 1));
	return small + at * SMALL_MAX;
}

static void *
resize(void *ptr, size_t len)
{
	void *more;

	if (!is_small(ptr))
		return realloc(ptr, len);
	more = malloc(len);
	if (more != NULL)
		memcpy(more, ptr, len < SMALL_MAX ? len : SMALL_MAX);
	return more;
}

static void
give(void *ptr)
{
	if (!is_small(ptr))
		free(ptr);
}

void
loop_memory(void)
{
	event_set_mem_functions(take, resize, give);
}
