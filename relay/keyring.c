#include "relay/keyring.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct keyring_entry {
	uint8_t key[UUID_KEY_LEN];
	struct handle tunnel; /* generation 0: none now */
	size_t tenant;
	uint64_t joins_ms[KEYRING_FLAPS_MAX]; /* the last ones, as a ring */
	unsigned join_at;
};

struct keyring {
	pthread_mutex_t lock;
	void *tree; /* of struct keyring_entry, by tsearch(3) */
	size_t tenants;
	uint32_t *live; /* owned; by tenant */
};

static int
compare(const void *a, const void *b)
{
	const struct keyring_entry *x = a, *y = b;

	return memcmp(x->key, y->key, sizeof(x->key));
}

int
keyring_new(struct keyring **out, size_t tenants, struct err *err)
{
	struct keyring *k;

	*out = NULL;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return err_set(err, ERR_MEMORY, "no memory for keys");
	k->tenants = tenants;
	k->live = calloc(tenants + 1, sizeof(*k->live));
	if (k->live == NULL) {
		free(k);
		return err_set(err, ERR_MEMORY, "no memory for keys");
	}
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
	free(k->live);
	free(k);
}

/* Keys are those of the configuration, so entries may stay for good. */
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
	e = find(k, key, true);
	if (e == NULL) {
		err_set(err, ERR_MEMORY, "no memory for keys");
		goto out;
	}
	if (e->tunnel.generation == 0) {
		if (k->live[join->tenant] >= join->tenant_max) {
			err_set(err, ERR_LIMIT,
			    "the tenant has %u tunnels, its limit",
			    join->tenant_max);
			goto out;
		}
		k->live[join->tenant]++;
		e->tenant = join->tenant;
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
keyring_leave(
    struct keyring *k, const uint8_t key[UUID_KEY_LEN], struct handle tunnel)
{
	struct keyring_entry *e;

	pthread_mutex_lock(&k->lock);
	e = find(k, key, false);
	if (e != NULL && e->tunnel.generation != 0 &&
	    handle_equal(e->tunnel, tunnel)) {
		e->tunnel = (struct handle){ 0 };
		k->live[e->tenant]--;
	}
	pthread_mutex_unlock(&k->lock);
}
