#include "relay/route.h"

#include "common/secret.h"
#include "common/siphash.h"
#include "relay/account.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS 64        /* power of two */
#define FIRST_BUCKETS 16 /* power of two */
#define LOAD_MAX 2       /* entries a bucket before it grows */

struct entry {
	struct entry *next;
	struct uuid uuid;
	uint64_t preferred; /* session; 0: none */
	uint64_t preferred_until_ms;
	size_t count;         /* 1..ROUTE_MAX */
	struct route *routes; /* owned */
};

struct shard {
	pthread_rwlock_t lock;
	struct entry **buckets; /* owned */
	size_t bucket_count;
	size_t count;
};

struct route_table {
	uint8_t key[SIPHASH_KEY_LEN];
	struct shard shards[SHARDS];
};

static void
entry_free(struct entry *e)
{
	free(e->routes);
	free(e);
}

int
route_table_new(struct route_table **out, struct err *err)
{
	struct route_table *t;

	*out = NULL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return err_set(err, ERR_MEMORY, "no memory for routes");
	for (size_t i = 0; i < SHARDS; i++)
		pthread_rwlock_init(&t->shards[i].lock, NULL);
	if (secret_random(t->key, sizeof(t->key), err) != 0) {
		route_table_free(t);
		return -1;
	}
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *s = &t->shards[i];

		s->buckets = calloc(FIRST_BUCKETS, sizeof(struct entry *));
		if (s->buckets == NULL) {
			route_table_free(t);
			return err_set(err, ERR_MEMORY, "no memory for routes");
		}
		s->bucket_count = FIRST_BUCKETS;
	}
	*out = t;
	return 0;
}

void
route_table_free(struct route_table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *s = &t->shards[i];
		struct entry *e;

		for (size_t k = 0; k < s->bucket_count; k++) {
			while ((e = s->buckets[k]) != NULL) {
				s->buckets[k] = e->next;
				entry_free(e);
			}
		}
		free(s->buckets);
		pthread_rwlock_destroy(&s->lock);
	}
	free(t);
}

static uint64_t
hash_of(const struct route_table *t, const struct uuid *uuid)
{
	return siphash(t->key, span_of(uuid->bytes, sizeof(uuid->bytes)));
}

/* Low bits choose the shard, the others the bucket. */
static struct shard *
shard_of(struct route_table *t, uint64_t hash)
{
	return &t->shards[hash & (SHARDS - 1)];
}

static struct entry **
find(const struct shard *s, uint64_t hash, const struct uuid *uuid)
{
	struct entry **at =
	    &s->buckets[(hash / SHARDS) & (s->bucket_count - 1)];

	while (*at != NULL && !uuid_equal(&(*at)->uuid, uuid))
		at = &(*at)->next;
	return at;
}

/* Without memory the chains get longer, which is no reason to fail. */
static void
grow(struct route_table *t, struct shard *s)
{
	size_t count = s->bucket_count * 2;
	struct entry **more = calloc(count, sizeof(struct entry *));
	struct entry *e;

	if (more == NULL)
		return;
	for (size_t i = 0; i < s->bucket_count; i++) {
		while ((e = s->buckets[i]) != NULL) {
			size_t at =
			    (hash_of(t, &e->uuid) / SHARDS) & (count - 1);

			s->buckets[i] = e->next;
			e->next = more[at];
			more[at] = e;
		}
	}
	free(s->buckets);
	s->buckets = more;
	s->bucket_count = count;
}

static bool
same_key(const struct route *a, const struct route *b)
{
	return span_equal(
	    span_of(a->key, sizeof(a->key)), span_of(b->key, sizeof(b->key)));
}

/* Smaller ranks first; among equals, who came first stays first. */
static void
insert_sorted(struct entry *e, const struct route *route)
{
	size_t at = e->count;

	while (at > 0 && e->routes[at - 1].rank > route->rank) {
		e->routes[at] = e->routes[at - 1];
		at--;
	}
	e->routes[at] = *route;
	e->count++;
}

static void
drop_at(struct entry *e, size_t at)
{
	e->count--;
	memmove(&e->routes[at], &e->routes[at + 1],
	    (e->count - at) * sizeof(e->routes[0]));
}

static enum frame_result
place_of(const struct entry *e, const struct route *route)
{
	return handle_equal(e->routes[0].tunnel, route->tunnel)
	    ? FRAME_CLAIM_OK
	    : FRAME_CLAIM_STANDBY;
}

/* A key that is another tenant's by now takes its UUIDs along: they no longer
 * count where they did. */
static enum route_change
moved(const struct route *from, const struct route *to)
{
	if (from->account == NULL || from->account == to->account)
		return ROUTE_MOVED;
	account_give(from->account, ACCOUNT_CLAIMS);
	return ROUTE_NEW;
}

static enum frame_result
add_to_entry(
    struct entry *e, const struct route *route, enum route_change *change)
{
	struct route *more;

	for (size_t i = 0; i < e->count; i++) {
		if (!same_key(&e->routes[i], route))
			continue;
		if (e->routes[i].session > route->session ||
		    (e->count > 1 && route->mode != FRAME_MODE_ORDERED))
			return FRAME_CLAIM_DENIED;
		if (!handle_equal(e->routes[i].tunnel, route->tunnel))
			*change = moved(&e->routes[i], route);
		drop_at(e, i);
		insert_sorted(e, route);
		return place_of(e, route);
	}
	if (route->mode != FRAME_MODE_ORDERED || e->count >= ROUTE_MAX)
		return FRAME_CLAIM_DENIED;
	for (size_t i = 0; i < e->count; i++)
		if (e->routes[i].mode != FRAME_MODE_ORDERED)
			return FRAME_CLAIM_DENIED;
	more = reallocarray(e->routes, e->count + 1, sizeof(*more));
	if (more == NULL)
		return FRAME_CLAIM_DENIED;
	e->routes = more;
	insert_sorted(e, route);
	*change = ROUTE_NEW;
	return place_of(e, route);
}

static struct entry *
entry_new(const struct uuid *uuid, const struct route *route)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->uuid = *uuid;
	e->routes = malloc(sizeof(*e->routes));
	if (e->routes == NULL) {
		free(e);
		return NULL;
	}
	e->routes[0] = *route;
	e->count = 1;
	return e;
}

enum frame_result
route_add(struct route_table *t, const struct uuid *uuid,
    const struct route *route, enum route_change *change)
{
	enum frame_result result = FRAME_CLAIM_DENIED;
	uint64_t hash = hash_of(t, uuid);
	struct shard *s = shard_of(t, hash);
	struct entry **at;

	*change = ROUTE_NONE;
	pthread_rwlock_wrlock(&s->lock);
	at = find(s, hash, uuid);
	if (*at != NULL) {
		result = add_to_entry(*at, route, change);
	} else {
		*at = entry_new(uuid, route);
		if (*at != NULL) {
			result = FRAME_CLAIM_OK;
			*change = ROUTE_NEW;
			s->count++;
			if (s->count > s->bucket_count * LOAD_MAX)
				grow(t, s);
		}
	}
	pthread_rwlock_unlock(&s->lock);
	return result;
}

bool
route_remove(
    struct route_table *t, const struct uuid *uuid, struct handle tunnel)
{
	uint64_t hash = hash_of(t, uuid);
	struct shard *s = shard_of(t, hash);
	struct entry **at, *e;
	bool removed = false;

	pthread_rwlock_wrlock(&s->lock);
	at = find(s, hash, uuid);
	e = *at;
	for (size_t i = 0; e != NULL && i < e->count; i++) {
		if (handle_equal(e->routes[i].tunnel, tunnel)) {
			drop_at(e, i);
			removed = true;
			break;
		}
	}
	if (removed && e->count == 0) {
		*at = e->next;
		entry_free(e);
		s->count--;
	}
	pthread_rwlock_unlock(&s->lock);
	return removed;
}

size_t
route_find(struct route_table *t, const struct uuid *uuid,
    uint32_t capabilities, uint64_t now_ms, struct route out[ROUTE_MAX])
{
	uint64_t hash = hash_of(t, uuid);
	struct shard *s = shard_of(t, hash);
	const struct entry *e;
	size_t n = 0;

	pthread_rwlock_rdlock(&s->lock);
	e = *find(s, hash, uuid);
	for (size_t i = 0; e != NULL && i < e->count; i++) {
		const struct route *r = &e->routes[i];

		if ((r->capabilities & capabilities) != capabilities)
			continue;
		out[n++] = *r;
		if (r->session == e->preferred &&
		    now_ms < e->preferred_until_ms) {
			memmove(&out[1], &out[0], (n - 1) * sizeof(out[0]));
			out[0] = *r;
		}
	}
	pthread_rwlock_unlock(&s->lock);
	return n;
}

void
route_prefer(struct route_table *t, const struct uuid *uuid, uint64_t session,
    uint64_t now_ms)
{
	uint64_t hash = hash_of(t, uuid);
	struct shard *s = shard_of(t, hash);
	struct entry *e;

	pthread_rwlock_wrlock(&s->lock);
	e = *find(s, hash, uuid);
	if (e != NULL) {
		e->preferred = session;
		e->preferred_until_ms = now_ms + ROUTE_PREFER_MS;
	}
	pthread_rwlock_unlock(&s->lock);
}

size_t
route_count(struct route_table *t)
{
	size_t n = 0;

	for (size_t i = 0; i < SHARDS; i++) {
		pthread_rwlock_rdlock(&t->shards[i].lock);
		n += t->shards[i].count;
		pthread_rwlock_unlock(&t->shards[i].lock);
	}
	return n;
}
