#ifndef AGENT_NET_LINK_H
#define AGENT_NET_LINK_H

#include "agent/key.h"
#include "agent/net/tunnel_ws.h"
#include "agent/net/worker.h"
#include "agent/times.h"
#include "common/frame.h"
#include "common/tunnel.h"

/*
 * One tunnel to the relay, from the opened WebSocket to its end: hello,
 * claims, requests in, answers out (docs/protocol.md 12).
 */
struct link;

struct link_facts {
	char relay_name[256];
	char tenant[65];
	bool binding; /* the hello was bound to this TLS connection */
	uint64_t session_number;
	int64_t skew_ms; /* the relay's clock less ours */
	size_t claimed, denied, standby;
};

struct link_config {
	const struct key *key;
	struct worker *worker;
	struct times clock;
	const char *relay_name; /* must be the relay's; NULL: any */
	bool allow_no_binding;
	uint8_t boot_id[FRAME_BOOT_ID_LEN]; /* random for each start */
	uint16_t slot; /* which of our addresses; docs/protocol.md 12.5 */
	/* Callbacks; over is the last one. */
	void (*ready)(void *arg, struct link *l); /* all claims are answered */
	void (*changed)(void *arg, struct link *l); /* claims, after that */
	void (*goaway)(
	    void *arg, struct link *l, const struct frame_goaway *goaway);
	void (*over)(void *arg, struct link *l, unsigned code, const char *why);
	void *arg;
};

/**
 * link_dial(target, address, config, id, err):
 * ${id} names the link in jobs of the worker.  ${config} must outlive it.
 * NULL: errors of ws_dial()
 */
struct link *link_dial(struct ws_target *target, const char *address,
    const struct link_config *config, uint64_t id, struct err *err);

/** link_free(l): only from or after ${config}->over. */
void link_free(struct link *l);

uint64_t link_id(const struct link *l);
bool link_is_ready(const struct link *l);
const struct link_facts *link_facts(const struct link *l);

/** link_ws_ops(): the callbacks that ws_net_new() is to have for links; tick
 * and woken are NULL in it. */
struct ws_ops link_ws_ops(void);

/** link_tick(l): time goes by; returns when it next matters, by the clock's
 * boot time, or INT64_MAX. */
int64_t link_tick(struct link *l);

/** link_claim(l): claim and release what worker_names() says by now. */
void link_claim(struct link *l);

/** link_answer(l, job): send the answer of ${job}, or that it waits, if its
 * stream still is. */
void link_answer(struct link *l, const struct worker_job *job);

/** link_close(l, code, why): end it; over follows. */
void link_close(struct link *l, unsigned code, const char *why);

/** link_retire(l): take no new streams, finish the open ones, then close. */
void link_retire(struct link *l);

#endif
