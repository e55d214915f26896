#ifndef AGENT_DIALER_H
#define AGENT_DIALER_H

#include "agent/key.h"
#include "agent/times.h"
#include "agent/tunnel_ws.h"
#include "agent/worker.h"

/*
 * Keeps a tunnel to the relay: when to dial, when to dial again, when a new
 * one takes over, and when to give up (docs/protocol.md 12.5).
 */
struct dialer;

struct dialer_options {
	struct ws_options ws;
	const char *relay_name; /* NULL: any */
	bool allow_no_binding;
	const struct key *key;
	struct times clock;
};

enum dialer_state {
	DIALER_WAITING,    /* until the next try */
	DIALER_CONNECTING, /* TCP, TLS, WebSocket, hello, claims */
	DIALER_READY,
	DIALER_STOPPED /* for good: the relay will not have us */
};

/* For `status`; a copy, from any thread. */
struct dialer_status {
	enum dialer_state state;
	char relay_name[256];
	char tenant[65];
	bool binding;
	uint64_t session_number;
	int64_t skew_ms;
	int64_t since_wall_ms; /* of the state */
	uint32_t retry_ms;     /* WAITING: until the next try, when it began */
	size_t claimed, denied, standby;
	uint64_t tunnels; /* dialled since the start */
	uint64_t answers; /* given since the start */
	char last_error[200];
};

/**
 * dialer_new(out, options, err): lifetime: borrows all of ${options}.
 *   errors  those of ws_net_new()
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
 *   returns  0; -1: the relay will not have us (dialer_status() says why)
 */
int dialer_run(struct dialer *d);

/** dialer_stop(d): finish what is open for a moment, then end.  Any thread. */
void dialer_stop(struct dialer *d);

/** dialer_get_status(out, d): from any thread. */
void dialer_get_status(struct dialer_status *out, struct dialer *d);

const char *dialer_state_name(enum dialer_state s);

/** dialer_free(d): after dialer_run(). */
void dialer_free(struct dialer *d);

#endif
