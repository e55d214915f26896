#include "relay/slab.h"

#include <stdlib.h>

#define FIRST_COUNT 64

struct slab_slot {
	void *ptr;           /* NULL: free */
	uint64_t generation; /* of its object */
	size_t next_free;
};

void
slab_init(struct slab *s, uint32_t worker)
{
	*s = (struct slab){ .worker = worker };
}

void
slab_free(struct slab *s)
{
	free(s->slots);
	slab_init(s, s->worker);
}

static int
grow(struct slab *s, struct err *err)
{
	size_t count = s->count == 0 ? FIRST_COUNT : s->count * 2;
	struct slab_slot *more;

	if (count > UINT32_MAX)
		return err_set(err, ERR_LIMIT, "slab is full");
	more = reallocarray(s->slots, count, sizeof(*more));
	if (more == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a slab");
	for (size_t i = s->count; i < count; i++)
		more[i] = (struct slab_slot){ .next_free = i + 1 };
	s->slots = more;
	s->free_at = s->count;
	s->count = count;
	return 0;
}

int
slab_add(struct handle *out, struct slab *s, void *ptr, struct err *err)
{
	struct slab_slot *slot;

	if (s->free_at == s->count && grow(s, err) != 0)
		return -1;
	slot = &s->slots[s->free_at];
	*out = (struct handle){ .worker = s->worker,
		.slot = (uint32_t)s->free_at,
		.generation = ++s->generation };
	s->free_at = slot->next_free;
	slot->ptr = ptr;
	slot->generation = out->generation;
	s->used++;
	return 0;
}

void *
slab_get(const struct slab *s, struct handle h)
{
	if (h.worker != s->worker || h.slot >= s->count ||
	    s->slots[h.slot].generation != h.generation)
		return NULL;
	return s->slots[h.slot].ptr;
}

void
slab_remove(struct slab *s, struct handle h)
{
	struct slab_slot *slot;

	if (slab_get(s, h) == NULL)
		return;
	slot = &s->slots[h.slot];
	*slot = (struct slab_slot){ .next_free = s->free_at };
	s->free_at = h.slot;
	s->used--;
}

void *
slab_next(const struct slab *s, size_t *at)
{
	while (*at < s->count) {
		void *ptr = s->slots[(*at)++].ptr;

		if (ptr != NULL)
			return ptr;
	}
	return NULL;
}

bool
handle_equal(struct handle a, struct handle b)
{
	return a.worker == b.worker && a.slot == b.slot &&
	    a.generation == b.generation;
}
