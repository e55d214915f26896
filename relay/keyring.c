#include "relay/keyring.h"

#include "common/secret.h"
#include "common/siphash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define FIRST_BUCKETS 256 /* power of two */
#define LOAD_MAX 2        /* entries a bucket before there are more */
#define BLOCK_LEN 128     /* entries */

struct keyring_entry {
	struct keyring_entry *next; /* of its bucket, or not in use */
	uint8_t key[UUID_KEY_LEN];
	struct handle tunnel; /* generation 0: none now */
	struct account *account;
	uint64_t joins_ms[KEYRING_FLAPS_MAX]; /* the last ones, as a ring */
	unsigned join_at;
	bool idle; /* in the list of those without a tunnel */
	uint64_t left_ms;
	TAILQ_ENTRY(keyring_entry) link;
};

/*
 * Entries outlive their tunnels: one by one, each would hold a page of what
 * its tunnel had.
 */
struct block {
	struct block *next;
	struct keyring_entry entries[BLOCK_LEN];
};

struct keyring {
	pthread_mutex_t lock;
	uint8_t secret[SIPHASH_KEY_LEN]; /* strangers choose keys */
	struct keyring_entry **buckets;  /* owned */
	size_t bucket_count;
	size_t count;
	struct block *blocks; /* owned; as many as were ever needed */
	struct keyring_entry *unused;
	TAILQ_HEAD(, keyring_entry) idle; /* who left first, first */
};

int
keyring_new(struct keyring **out, struct err *err)
{
	struct keyring *k;

	*out = NULL;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return err_set(err, ERR_MEMORY, "no memory for keys");
	TAILQ_INIT(&k->idle);
	pthread_mutex_init(&k->lock, NULL);
	k->bucket_count = FIRST_BUCKETS;
	k->buckets = calloc(k->bucket_count, sizeof(struct keyring_entry *));
	if (k->buckets == NULL) {
		keyring_free(k);
		return err_set(err, ERR_MEMORY, "no memory for keys");
	}
	if (secret_random(k->secret, sizeof(k->secret), err) != 0) {
		keyring_free(k);
		return -1;
	}
	*out = k;
	return 0;
}

void
keyring_free(struct keyring *k)
{
	struct block *b;

	if (k == NULL)
		return;
	while ((b = k->blocks) != NULL) {
		k->blocks = b->next;
		free(b);
	}
	free(k->buckets);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* Where the entry of ${key} hangs, or would. */
static struct keyring_entry **
place_of(const struct keyring *k, const uint8_t key[UUID_KEY_LEN])
{
	uint64_t hash = siphash(k->secret, span_of(key, UUID_KEY_LEN));
	struct keyring_entry **at = &k->buckets[hash & (k->bucket_count - 1)];

	while (*at != NULL && memcmp((*at)->key, key, UUID_KEY_LEN) != 0)
		at = &(*at)->next;
	return at;
}

/* Without memory the chains get longer, which is no reason to fail. */
static void
grow(struct keyring *k)
{
	struct keyring_entry **old = k->buckets, *e;
	size_t count = k->bucket_count;
	struct keyring_entry **more =
	    calloc(2 * count, sizeof(struct keyring_entry *));

	if (more == NULL)
		return;
	k->buckets = more;
	k->bucket_count = 2 * count;
	for (size_t i = 0; i < count; i++) {
		while ((e = old[i]) != NULL) {
			old[i] = e->next;
			e->next = NULL;
			*place_of(k, e->key) = e;
		}
	}
	free(old);
}

static struct keyring_entry *
take_unused(struct keyring *k)
{
	struct keyring_entry *e;
	struct block *b;

	if (k->unused == NULL) {
		b = calloc(1, sizeof(*b));
		if (b == NULL)
			return NULL;
		b->next = k->blocks;
		k->blocks = b;
		for (size_t i = 0; i < BLOCK_LEN; i++) {
			b->entries[i].next = k->unused;
			k->unused = &b->entries[i];
		}
	}
	e = k->unused;
	k->unused = e->next;
	*e = (struct keyring_entry){ 0 };
	return e;
}

static void
forget(struct keyring *k, struct keyring_entry *e)
{
	*place_of(k, e->key) = e->next;
	k->count--;
	e->next = k->unused;
	k->unused = e;
}

/* Whoever may choose keys, as agents with tokens or certificates do, could
 * fill it; a key without a tunnel stays as long as its flaps count. */
static void
forget_idle(struct keyring *k, uint64_t now_ms)
{
	struct keyring_entry *e;

	while ((e = TAILQ_FIRST(&k->idle)) != NULL &&
	    now_ms - e->left_ms > KEYRING_FLAPS_MS) {
		TAILQ_REMOVE(&k->idle, e, link);
		forget(k, e);
	}
}

static void
set_idle(struct keyring *k, struct keyring_entry *e, bool idle)
{
	if (e->idle && !idle)
		TAILQ_REMOVE(&k->idle, e, link);
	if (!e->idle && idle)
		TAILQ_INSERT_TAIL(&k->idle, e, link);
	e->idle = idle;
}

static struct keyring_entry *
find(struct keyring *k, const uint8_t key[UUID_KEY_LEN], bool make)
{
	struct keyring_entry **at = place_of(k, key), *e = *at;

	if (e != NULL || !make)
		return e;
	e = take_unused(k);
	if (e == NULL)
		return NULL;
	memcpy(e->key, key, sizeof(e->key));
	*at = e;
	if (++k->count > k->bucket_count * LOAD_MAX)
		grow(k);
	return e;
}

static bool
note_join(struct keyring_entry *e, uint64_t now_ms)
{
	uint64_t oldest = e->joins_ms[e->join_at];

	e->joins_ms[e->join_at] = now_ms;
	e->join_at = (e->join_at + 1) % KEYRING_FLAPS_MAX;
	return oldest != 0 && now_ms - oldest < KEYRING_FLAPS_MS;
}

int
keyring_join(struct keyring *k, const uint8_t key[UUID_KEY_LEN],
    const struct keyring_join *join, struct handle *old, bool *flaps,
    struct err *err)
{
	struct keyring_entry *e;
	int rc = -1;

	*old = (struct handle){ 0 };
	*flaps = false;
	pthread_mutex_lock(&k->lock);
	forget_idle(k, join->now_ms);
	e = find(k, key, true);
	if (e == NULL) {
		err_set(err, ERR_MEMORY, "no memory for keys");
		goto out;
	}
	if (e->tunnel.generation == 0) {
		if (!account_take(join->account, ACCOUNT_TUNNELS)) {
			if (!e->idle)
				e->left_ms = join->now_ms;
			set_idle(k, e, true);
			err_set(err, ERR_LIMIT,
			    "the tenant has as many tunnels as it may");
			goto out;
		}
		e->account = join->account;
		set_idle(k, e, false);
	} else if (e->account != join->account) {
		/* Now known as another tenant's. */
		if (!account_take(join->account, ACCOUNT_TUNNELS)) {
			err_set(err, ERR_LIMIT,
			    "the tenant has as many tunnels as it may");
			goto out;
		}
		account_give(e->account, ACCOUNT_TUNNELS);
		e->account = join->account;
	}
	*old = e->tunnel;
	e->tunnel = join->tunnel;
	*flaps = note_join(e, join->now_ms);
	rc = 0;
out:
	pthread_mutex_unlock(&k->lock);
	return rc;
}

void
keyring_leave(struct keyring *k, const uint8_t key[UUID_KEY_LEN],
    struct handle tunnel, uint64_t now_ms)
{
	struct keyring_entry *e;

	pthread_mutex_lock(&k->lock);
	e = find(k, key, false);
	if (e != NULL && e->tunnel.generation != 0 &&
	    handle_equal(e->tunnel, tunnel)) {
		e->tunnel = (struct handle){ 0 };
		account_give(e->account, ACCOUNT_TUNNELS);
		e->left_ms = now_ms;
		set_idle(k, e, true);
	}
	pthread_mutex_unlock(&k->lock);
}
