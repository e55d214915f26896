#ifndef RELAY_SLAB_H
#define RELAY_SLAB_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What other threads may speak of.  A handle names a worker, a place in its
 * slab and the generation of that place: it can be kept for any time and given
 * to any thread, and finds nothing when its object is gone.
 */
struct handle {
	uint32_t worker;
	uint32_t slot;
	uint64_t generation; /* never 0 in a handle that was given out */
};

/* The worker of handles that are the main thread's. */
#define RELAY_MAIN UINT32_MAX

struct slab_slot;

struct slab {
	struct slab_slot *slots; /* owned */
	size_t count;
	size_t used;
	size_t free_at; /* index of the first free slot, or count */
	uint64_t generation;
	uint32_t worker;
};

void slab_init(struct slab *s, uint32_t worker);
void slab_free(struct slab *s);

/** slab_add(out, s, ptr, err): errors ERR_MEMORY */
int slab_add(struct handle *out, struct slab *s, void *ptr, struct err *err);

/** slab_get(s, h): the object, or NULL if it is gone. */
void *slab_get(const struct slab *s, struct handle h);

/** slab_remove(s, h): a handle that finds nothing is fine. */
void slab_remove(struct slab *s, struct handle h);

/** slab_next(s, at): the next object from index *${at} on, which moves; NULL
 * at the end.  Objects may be removed between calls. */
void *slab_next(const struct slab *s, size_t *at);

bool handle_equal(struct handle a, struct handle b);

#endif
