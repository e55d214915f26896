#ifndef RELAY_KEYRING_H
#define RELAY_KEYRING_H

#include "common/err.h"
#include "common/uuid.h"
#include "relay/account.h"
#include "relay/slab.h"

/*
 * The newest tunnel of each agent's key (docs/protocol.md 12.5: the newer one
 * wins).  Safe from every thread.
 */

#define KEYRING_FLAPS_MAX 3 /* joins of one key in KEYRING_FLAPS_MS */
#define KEYRING_FLAPS_MS 60000

struct keyring;

struct keyring_join {
	struct handle tunnel;
	uint64_t session;
	struct account *account; /* charged with a tunnel for each key */
	uint64_t now_ms;
};

int keyring_new(struct keyring **out, struct err *err);
void keyring_free(struct keyring *k);

/**
 * keyring_join(k, key, join, old, flaps, err):
 * The tunnel is the newest of ${key}.  The one before, if it lives, goes to
 * *${old}, generation 0 if none; *${flaps}: more joins than KEYRING_FLAPS_MAX.
 *   errors  ERR_LIMIT: the tenant has its most already; ERR_MEMORY
 */
int keyring_join(struct keyring *k, const uint8_t key[UUID_KEY_LEN],
    const struct keyring_join *join, struct handle *old, bool *flaps,
    struct err *err);

/** keyring_leave(k, key, tunnel, now_ms): the tunnel is over; if a newer one has
 * joined, nothing happens. */
void keyring_leave(struct keyring *k, const uint8_t key[UUID_KEY_LEN],
    struct handle tunnel, uint64_t now_ms);

#endif
