#ifndef RELAY_COUNTERS_H
#define RELAY_COUNTERS_H

#include "relay/path.h"

#include <stdatomic.h>
#include <stdint.h>

/*
 * What one thread has seen.  Each thread writes its own only, and a scrape
 * adds them up; so there is no lock, and no processor waits for another.
 */

enum counter_origin { COUNTER_AGENT, COUNTER_RELAY, COUNTER_ORIGINS };

/* Statuses that are counted one by one; the last place is for all others. */
#define COUNTER_STATUSES 32
extern const unsigned counter_statuses[COUNTER_STATUSES];

/* Why tunnels that stood have ended, so that their agents come back. */
enum counter_end {
	END_CLOSED,
	END_DRAINED,
	END_PROTOCOL,
	END_REVOKED,
	END_LIMITS,
	END_TIMEOUT,
	END_SUPERSEDED,
	END_LOST,
	END_KINDS
};
extern const char *const counter_ends[END_KINDS];

/* Who was not let in. */
enum counter_rejection {
	REJECT_CONNECTIONS, /* too many, by address, block or in all */
	REJECT_HANDSHAKE,   /* no TLS came of it */
	REJECT_HELLO,       /* unknown or revoked key, bad signature */
	REJECT_TUNNEL,      /* over a quota, or against the protocol */
	REJECT_HOST,        /* 401 */
	REJECT_OVERLOAD,    /* 503, 429 of ours */
	REJECT_KINDS
};
extern const char *const counter_rejections[REJECT_KINDS];

/* Upper ends of the buckets, in microseconds. */
#define COUNTER_BUCKETS 14
extern const uint64_t counter_bounds_us[COUNTER_BUCKETS];

struct histogram {
	_Atomic uint64_t buckets[COUNTER_BUCKETS + 1]; /* not cumulative */
	_Atomic uint64_t sum_us;
};

struct counters {
	_Atomic uint64_t
	    requests[PATH_KINDS][COUNTER_STATUSES][COUNTER_ORIGINS];
	struct histogram request_us; /* from the head's end to the answer */
	struct histogram wait_us;    /* to the first tunnel that took it */
	_Atomic uint64_t body_in;    /* bytes */
	_Atomic uint64_t body_out;
	_Atomic uint64_t moves;   /* of hosts' connections, to other workers */
	_Atomic uint64_t tunnels; /* made */
	_Atomic uint64_t ends[END_KINDS];
	_Atomic uint64_t rejections[REJECT_KINDS];
};

/** counter_add(c, n): by the one thread that writes it. */
static inline void
counter_add(_Atomic uint64_t *c, uint64_t n)
{
	/* Not atomic_fetch_add(): nobody else writes, and its bus lock costs
	 * more than the rest of the count. */
	atomic_store_explicit(c,
	    atomic_load_explicit(c, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

/** histogram_add(h, us): one of ${us} microseconds. */
void histogram_add(struct histogram *h, uint64_t us);

/** counters_request(c, kind, status, origin, us): one more answer. */
void counters_request(struct counters *c, enum path_kind kind, unsigned status,
    enum counter_origin origin, uint64_t us);

/** counter_end_of(code): for a WebSocket close code of ours. */
enum counter_end counter_end_of(unsigned code);

/** counters_sum(out, in): add ${in}, which may be another thread's. */
void counters_sum(struct counters *out, const struct counters *in);

#endif
