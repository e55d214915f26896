#include "relay/keyring.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct keyring_entry {
	uint8_t key[UUID_KEY_LEN];
	struct handle tunnel; /* generation 0: none now */
	struct account *account;
	uint64_t joins_ms[KEYRING_FLAPS_MAX]; /* the last ones, as a ring */
	unsigned join_at;
	bool idle; /* in the list of those without a tunnel */
	uint64_t left_ms;
	TAILQ_ENTRY(keyring_entry) link;
};

struct keyring {
	pthread_mutex_t lock;
	void *tree; /* of struct keyring_entry, by tsearch(3) */
	TAILQ_HEAD(, keyring_entry) idle; /* who left first, first */
};

static int
compare(const void *a, const void *b)
{
	const struct keyring_entry *x = a, *y = b;

	return memcmp(x->key, y->key, sizeof(x->key));
}

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
	*out = k;
	return 0;
}

void
keyring_free(struct keyring *k)
{
	if (k == NULL)
		return;
	tdestroy(k->tree, free);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* Whoever may choose keys, as agents with tokens or certificates do, could
 * fill the tree; a key without a tunnel stays as long as its flaps count. */
static void
forget_idle(struct keyring *k, uint64_t now_ms)
{
	struct keyring_entry *e;

	while ((e = TAILQ_FIRST(&k->idle)) != NULL &&
	    now_ms - e->left_ms > KEYRING_FLAPS_MS) {
		TAILQ_REMOVE(&k->idle, e, link);
		tdelete(e, &k->tree, compare);
		free(e);
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
	struct keyring_entry want, *const *found, *e;

	memcpy(want.key, key, sizeof(want.key));
	found = tfind(&want, &k->tree, compare);
	if (found != NULL)
		return *found;
	if (!make)
		return NULL;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	memcpy(e->key, key, sizeof(e->key));
	if (tsearch(e, &k->tree, compare) == NULL) {
		free(e);
		return NULL;
	}
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
