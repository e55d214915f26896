#ifndef AGENT_NET_DIALER_H
#define AGENT_NET_DIALER_H

#include "agent/key.h"
#include "agent/net/endpoint.h"
#include "agent/net/tunnel_ws.h"
#include "agent/net/worker.h"
#include "agent/times.h"

/*
 * Keeps a tunnel to each address of each relay that the owner names: any of
 * them can then serve any host, and one that is down disturbs no other.
 * Names are looked up again whenever a tunnel ends, and every few minutes.
 */
struct dialer;

#define DIALER_ENDPOINTS_MAX 16 /* addresses of all relays */

/* One relay as the owner names it. */
struct dialer_relay {
	const char *text; /* the URL as written */
	struct ws_options ws;
};

struct dialer_options {
	const struct dialer_relay *relays;
	size_t relay_count;     /* 1..DIALER_ENDPOINTS_MAX */
	const char *relay_name; /* NULL: any */
	bool allow_no_binding;
	const struct key *key;
	struct times clock;
};

/* For `status`; a copy, from any thread. */
struct dialer_status {
	struct endpoint_status relays[DIALER_ENDPOINTS_MAX];
	size_t count;     /* at least 1 */
	size_t best;      /* of them */
	size_t ready;     /* of them */
	uint64_t tunnels; /* dialled since the start */
	uint64_t answers; /* given since the start */
};

/**
 * dialer_new(out, options, err): lifetime: borrows all of ${options}.
 *   errors  those of ws_net_new(), ws_target_new()
 */
int dialer_new(
    struct dialer **out, const struct dialer_options *options, struct err *err);

/** dialer_set_worker(d, w): before dialer_run(). */
void dialer_set_worker(struct dialer *d, struct worker *w);

/** dialer_worker_ops(d): what wakes ${d} when the worker has news. */
struct worker_ops dialer_worker_ops(struct dialer *d);

/**
 * dialer_run(d):
 * Serve until dialer_stop().
 *   returns  0; -1: no relay will have us (dialer_status() says why)
 */
int dialer_run(struct dialer *d);

/** dialer_stop(d): finish what is open for a moment, then end.  Any thread. */
void dialer_stop(struct dialer *d);

/** dialer_get_status(out, d): from any thread. */
void dialer_get_status(struct dialer_status *out, struct dialer *d);

/** dialer_free(d): after dialer_run(). */
void dialer_free(struct dialer *d);

#endif
