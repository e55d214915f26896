#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "common/http_server.h"
#include "relay/setup.h"
#include "relay/counters.h"
#include "relay/job.h"
#include "relay/keyring.h"
#include "relay/notify.h"
#include "relay/registry.h"
#include "relay/route.h"
#include "relay/throttle.h"
#include "common/tally.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/*
 * What all threads share.  Tables have their locks, the rest is atomic; but
 * the newest setup is the main thread's, and workers hold their own.
 */

struct worker;
struct directory;

struct relay {
	struct relay_setup *setup; /* held; for the main thread only */
	struct route_table *routes;
	struct keyring *keyring;
	struct accounts *accounts;
	struct throttle enrolments;
	struct registry *registry;
	struct tally *tally;
	struct directory *directory; /* NULL: we stand alone */
	struct loop *main_loop;
	struct worker **workers;
	size_t worker_count;
	_Atomic uint64_t next_session;
	_Atomic uint32_t connections;
	_Atomic uint32_t handshakes[2]; /* under way: hosts', public */
	_Atomic uint32_t held;          /* requests that wait for an agent */
	_Atomic uint64_t memory;        /* bytes charged */
	_Atomic uint64_t watermark;     /* 80 % of limits.memory */
	struct counters counters;       /* of the main thread */
	uint64_t reloads[2];            /* good, bad; main */
	time_t loaded;                  /* the setup; main */
	uint64_t setups;                /* that were used before; main */
	pthread_mutex_t taking_lock;    /* of the two below */
	pthread_cond_t all_taken;
	size_t to_take; /* setups that workers were sent and have not taken */
	_Atomic bool draining;
	_Atomic bool offered;   /* to another relay: the registry is its */
	_Atomic bool successor; /* another relay takes jobs over */
	uint16_t public_port;   /* main; the first one */
	const char *file;       /* of the configuration */
	struct notify notify;   /* main */
	uint8_t ticket_keys[TLS_TICKET_KEYS_LEN]; /* main; kept over reloads */
};

/** relay_init(r, setup, err): without workers.  Holds ${setup}. */
int relay_init(struct relay *r, struct relay_setup *setup, struct err *err);
void relay_fini(struct relay *r);

/** relay_use(r, setup): main: ${setup}, whose hold it takes, is the newest. */
void relay_use(struct relay *r, struct relay_setup *setup);

/** relay_setup_sent(r): main: before a worker is sent another setup. */
void relay_setup_sent(struct relay *r);
/** relay_setup_taken(r): the worker: it judges by that setup from now on. */
void relay_setup_taken(struct relay *r);

/** relay_await_taken(r, ms): main: until every worker has taken what it was
 * sent; false if one has not within ${ms}. */
bool relay_await_taken(struct relay *r, unsigned ms);

/**
 * relay_open_state(r, err):
 * Open the registry, once we are who we stay, and tell the accounts their
 * limits.  errors  those of registry_open()
 */
int relay_open_state(struct relay *r, struct err *err);

/** relay_close_state(r): once no worker runs any more, and while their loops
 * are there: what the registry has in hand is done, and comes home. */
void relay_close_state(struct relay *r);

/** relay_apply_limits(r): tell every account the limits that hold for it now;
 * after each change of the configuration or of a tenant. */
void relay_apply_limits(struct relay *r);

/** relay_judge(r): main, after a change of the registry: limits, and all
 * tunnels, are judged again: who is not known any more goes within a turn of
 * its worker. */
void relay_judge(struct relay *r);

/* A connection is charged as much as an idle tunnel takes. */
#define RELAY_CONNECTION_COST 16384

/**
 * relay_charge(r, len):
 * Charge ${len} bytes of a request's bodies.  False, with nothing charged,
 * from 80 % of limits.memory on: 503.
 */
bool relay_charge(struct relay *r, size_t len);
/** relay_charge_anyway(r, len): the same, over the limit, too. */
void relay_charge_anyway(struct relay *r, size_t len);
/** relay_overloaded(r): would a charge fail? */
bool relay_overloaded(struct relay *r);
void relay_discharge(struct relay *r, size_t len);

/** relay_send(from, to, m): post ${m} to the worker ${to}, which may be the
 * sender ${from}: then it is handled at the end of this turn; or to RELAY_MAIN.
 */
void relay_send(struct worker *from, uint32_t to, struct message *m);

/** relay_next_session(r): the number of a new tunnel: higher than all before
 * it, here and, with a directory, at the relays that share it. */
uint64_t relay_next_session(struct relay *r);

/** relay_routes_changed(from): let the requests that wait look again. */
void relay_routes_changed(struct worker *from);

/*
 * One connection's place in the accounts, from accept to close.
 */
struct peer {
	struct relay *relay;
	struct source source;
	bool public;
	bool handshaking;
	bool counted;
};

/** peer_admit(p, relay, source, public): main, at accept; false: over a limit.
 * On the ${public} side limits come sooner, so that strangers there cannot
 * shut out the hosts. */
bool peer_admit(
    struct peer *p, struct relay *relay, struct source source, bool public);
/** peer_settled(p): its handshake is done. */
void peer_settled(struct peer *p);
/** peer_gone(p): once or more. */
void peer_gone(struct peer *p);

#endif
