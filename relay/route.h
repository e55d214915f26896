#ifndef RELAY_ROUTE_H
#define RELAY_ROUTE_H

#include "common/err.h"
#include "common/frame.h"
#include "common/uuid.h"
#include "relay/slab.h"

/*
 * UUID -> the live tunnels that serve it, best first.  Safe from every thread:
 * shards with a reader-writer lock each, and a keyed hash, as the UUIDs are
 * chosen by strangers.
 */

#define ROUTE_MAX 8 /* tunnels of one UUID */
#define ROUTE_PREFER_MS (30u * 60 * 1000)

struct account;

struct route {
	struct handle tunnel;
	uint64_t session;          /* of the tunnel; higher is newer */
	struct account *account;   /* of its tenant; NULL: another relay's */
	uint8_t key[UUID_KEY_LEN]; /* of the agent */
	uint32_t capabilities;
	uint8_t mode; /* enum frame_mode */
	uint16_t rank;
};

enum route_change {
	ROUTE_NONE,  /* denied, or this tunnel had it already */
	ROUTE_MOVED, /* from an older tunnel of the same key */
	ROUTE_NEW    /* one more than before */
};

struct route_table;

/** route_table_new(out, err): errors ERR_MEMORY, ERR_INTERNAL */
int route_table_new(struct route_table **out, struct err *err);
void route_table_free(struct route_table *t);

/**
 * route_add(t, uuid, route, fresh):
 * Serve ${uuid} by ${route}.  A newer tunnel of the same key takes over what
 * an older one holds, at once; an agent with another key is denied unless all
 * of them claim in the ordered mode.  ${change} tells what the table did; what
 * another tenant's account counted until now, it counts no longer.
 * Denied too: no memory, more than ROUTE_MAX.
 *   source  docs/protocol.md 12.3, 12.5
 */
enum frame_result route_add(struct route_table *t, const struct uuid *uuid,
    const struct route *route, enum route_change *change);

/** route_remove(t, uuid, tunnel): false: it was not (any more) there. */
bool route_remove(
    struct route_table *t, const struct uuid *uuid, struct handle tunnel);

/**
 * route_find(t, uuid, capabilities, now_ms, out):
 * The tunnels of ${uuid} that have all ${capabilities}, in the order in which
 * they are to be asked.  Returns their number.
 */
size_t route_find(struct route_table *t, const struct uuid *uuid,
    uint32_t capabilities, uint64_t now_ms, struct route out[ROUTE_MAX]);

/**
 * route_prefer(t, uuid, session, now_ms):
 * The tunnel ${session} made the last launch session: it is asked first for
 * ROUTE_PREFER_MS, as only it can know that session.
 */
void route_prefer(struct route_table *t, const struct uuid *uuid,
    uint64_t session, uint64_t now_ms);

/** route_count(t): UUIDs that are served. */
size_t route_count(struct route_table *t);

#endif
