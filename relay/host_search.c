#include "relay/host_search.h"

#include "common/clock.h"
#include "relay/directory.h"
#include "relay/peer_link.h"

#include <stdlib.h>
#include <string.h>

#define CACHE 1024    /* answers that a worker remembers */
#define CACHE_MS 1000 /* a stale one costs a hop: the tunnel is the truth */
#define AGAIN_MS 100  /* between two looks for those that wait */

struct host_cache {
	struct cached {
		struct uuid uuid;
		uint64_t until_ms;
		struct directory_found *found; /* owned */
	} list[CACHE];
};

struct host_search {
	bool asking;
	bool known; /* found is an answer for this request */
	bool ordered;
	uint8_t key[UUID_KEY_LEN]; /* of the agent that was asked last */
	struct directory_found found;
};

/* One of those that may be asked; smaller is better. */
struct candidate {
	const struct directory_entry *remote; /* NULL: here */
	struct route route;
	uint64_t merit;
};

int
host_search_init(struct worker *w, struct err *err)
{
	w->cache = calloc(1, sizeof(*w->cache));
	if (w->cache == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a worker");
	return 0;
}

void
host_search_end(struct worker *w)
{
	if (w->cache == NULL)
		return;
	for (size_t i = 0; i < CACHE; i++)
		free(w->cache->list[i].found);
	free(w->cache);
	w->cache = NULL;
}

static struct cached *
cached(struct worker *w, const struct uuid *uuid)
{
	size_t at = 0;

	/* Who chooses UUIDs that collide here makes himself slower. */
	for (size_t i = 0; i < sizeof(uuid->bytes); i++)
		at = at * 31 + uuid->bytes[i];
	return &w->cache->list[at % CACHE];
}

static bool
recall(struct host *h)
{
	struct cached *c = cached(h->worker, &h->path.uuid);

	if (c->found == NULL || !uuid_equal(&c->uuid, &h->path.uuid))
		return false;
	/* What was asked and did not answer is not asked again by it. */
	if (clock_ms() >= c->until_ms || h->tried_count > 0) {
		c->until_ms = 0;
		return false;
	}
	h->search->found = *c->found;
	h->search->known = true;
	return true;
}

static void
remember(struct worker *w, const struct uuid *uuid,
    const struct directory_found *found)
{
	struct cached *c = cached(w, uuid);

	if (found->count == 0)
		return;
	if (c->found == NULL)
		c->found = malloc(sizeof(*c->found));
	if (c->found == NULL)
		return;
	c->uuid = *uuid;
	c->until_ms = clock_ms() + CACHE_MS;
	*c->found = *found;
}

/* Two relays may have given their tunnels the same number. */
static uint64_t
id_of(const struct directory_entry *e)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (const char *p = e->node; *p != '\0'; p++)
		hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	return e->session ^ hash;
}

/* Who made the last session first; then by rank; then who is near. */
static uint64_t
merit(const struct host *h, const uint8_t key[UUID_KEY_LEN], uint16_t rank,
    bool remote)
{
	const struct directory_found *f = &h->search->found;
	bool preferred =
	    f->preferred_known && memcmp(key, f->preferred, UUID_KEY_LEN) == 0;

	return (preferred ? 0 : UINT64_C(1) << 32) | (uint64_t)rank << 8 |
	    (remote ? 1 : 0);
}

static void
better(struct candidate *best, const struct candidate *c)
{
	if (c->merit < best->merit)
		*best = *c;
}

static bool
choose(const struct host *h, uint32_t capabilities, struct candidate *best)
{
	const struct directory_found *f = &h->search->found;
	struct route routes[ROUTE_MAX];
	size_t n = route_find(h->worker->relay->routes, &h->path.uuid,
	    capabilities, clock_ms(), routes);

	*best = (struct candidate){ .merit = UINT64_MAX };
	for (size_t i = 0; i < n; i++) {
		struct candidate c = { .route = routes[i],
			.merit =
			    merit(h, routes[i].key, routes[i].rank, false) };

		if (!host_was_tried(h, routes[i].session))
			better(best, &c);
	}
	for (size_t i = 0; i < f->count; i++) {
		const struct directory_entry *e = &f->entries[i];
		struct candidate c = { .remote = e,
			.merit = merit(h, e->key, e->rank, true) };

		if ((e->capabilities & capabilities) == capabilities &&
		    !host_was_tried(h, id_of(e)))
			better(best, &c);
	}
	return best->merit != UINT64_MAX;
}

static bool
send_best(struct host *h)
{
	uint32_t capabilities = path_is_kbs(h->path.kind) ? FRAME_CAP_KBS : 0;
	struct host_search *s = h->search;
	struct candidate c;

	while (h->tried_count < ROUTE_MAX && choose(h, capabilities, &c)) {
		if (c.remote == NULL) {
			s->ordered = c.route.mode == FRAME_MODE_ORDERED;
			memcpy(s->key, c.route.key, sizeof(s->key));
			job_unaim(h->job);
			host_send_to(h, &c.route);
			return true;
		}
		c.route.session = id_of(c.remote);
		s->ordered = c.remote->mode == FRAME_MODE_ORDERED;
		memcpy(s->key, c.remote->key, sizeof(s->key));
		if (peer_link(h->worker, c.remote->node, c.remote->address,
			&c.route.tunnel) &&
		    job_aim(h->job, c.remote->session)) {
			host_send_to(h, &c.route);
			return true;
		}
		/* Its relay cannot be reached: for this answer it is none. */
		s->found.count--;
		memmove(&s->found.entries[c.remote - s->found.entries],
		    c.remote + 1,
		    (s->found.count - (size_t)(c.remote - s->found.entries)) *
			sizeof(*c.remote));
	}
	return false;
}

static void
on_found(struct worker *w, struct directory_op *op)
{
	struct host *h = slab_get(&w->hosts, op->host);

	remember(w, &op->uuid, &op->found);
	if (h != NULL && h->search != NULL && h->search->asking) {
		h->search->asking = false;
		h->search->known = true;
		h->search->found = op->found;
		/* An agent that came here meanwhile may have it. */
		if (h->job != NULL && !send_best(h))
			host_wait(h);
	}
	directory_op_free(op);
}

static bool
ask(struct host *h)
{
	struct directory_op *op = directory_op_new(h->worker, DIRECTORY_FIND);

	if (op == NULL)
		return false;
	op->done = on_found;
	op->host = h->handle;
	op->uuid = h->path.uuid;
	h->search->asking = true;
	directory_send(h->worker->relay->directory, op);
	return true;
}

bool
host_search(struct host *h)
{
	uint64_t now;

	if (h->search != NULL && h->search->asking)
		return true;
	if (h->search == NULL)
		h->search = calloc(1, sizeof(*h->search));
	if (h->search == NULL)
		return false;
	/* Who waits is looked for by the watch. */
	if (h->held)
		return send_best(h);
	h->search->known = false;
	if (recall(h))
		return send_best(h);
	if (!ask(h)) {
		/* An agent that is here will do. */
		h->search->found.count = 0;
		if (!send_best(h))
			host_fail(h, PROBLEM_OVERLOADED, FRAME_RESET_CANCELLED);
		return true;
	}
	now = clock_ms();
	loop_timer_set(&h->timer, h->due_ms > now ? h->due_ms - now : 0);
	return true;
}

void
host_search_over(struct host *h, bool launched)
{
	struct directory_op *op;

	if (h->search == NULL || !launched || !h->search->ordered)
		return;
	op = directory_op_new(h->worker, DIRECTORY_PREFER);
	if (op == NULL)
		return; /* the wrong one is asked first, and says so */
	op->uuid = h->path.uuid;
	memcpy(op->key, h->search->key, sizeof(op->key));
	cached(h->worker, &h->path.uuid)->until_ms = 0;
	directory_send(h->worker->relay->directory, op);
}

void
host_search_free(struct host *h)
{
	free(h->search);
	h->search = NULL;
}

void
host_search_watch(struct worker *w)
{
	if (w->search_timer.due_ms == 0)
		loop_timer_set(&w->search_timer, AGAIN_MS);
}

void
host_search_again(void *arg)
{
	struct worker *w = arg;
	struct host *h;

	TAILQ_FOREACH(h, &w->held, held_link)
	if (h->search != NULL && !h->search->asking)
		ask(h);
	if (!TAILQ_EMPTY(&w->held))
		host_search_watch(w);
}
