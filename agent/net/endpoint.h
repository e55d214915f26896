#ifndef AGENT_NET_ENDPOINT_H
#define AGENT_NET_ENDPOINT_H

#include "agent/net/link.h"
#include "agent/net/resolver.h"

/*
 * One address of a relay, and the tunnel to it: when to dial, when to dial
 * again, when a new tunnel takes over from the old one, and when to give up
 * (docs/protocol.md 12.5).  Endpoints know nothing of each other, so that one
 * relay that is down disturbs no other's tunnel.
 */
struct endpoint;

enum endpoint_state {
	ENDPOINT_WAITING,    /* until the next try */
	ENDPOINT_CONNECTING, /* TCP, TLS, WebSocket, hello, claims */
	ENDPOINT_READY,
	ENDPOINT_PARKED, /* 4409: a newer tunnel of our key is at this relay */
	ENDPOINT_STOPPED /* for good: this relay will not have us */
};

/* For `status`. */
struct endpoint_status {
	enum endpoint_state state;
	char url[256];
	char address[RESOLVER_TEXT_LEN]; /* "": by name, or none yet */
	struct link_facts facts;         /* of the last tunnel that was ready */
	int64_t since_wall_ms;           /* of the state */
	uint32_t retry_ms; /* WAITING: until the next try, when it began */
	char last_error[200];
};

struct endpoint_options {
	struct ws_target *target;
	const char *url;         /* as the owner wrote it */
	const char *address;     /* numeric, copied; "": by the name */
	struct link_config link; /* copied; callbacks and slot are filled in */
	uint16_t slot;           /* no other endpoint of this process has it */
	uint64_t *last_link;     /* ids for links, shared by all endpoints */
	/* The state or the facts are new.  Never from inside a call. */
	void (*changed)(void *arg, struct endpoint *e);
	void *arg;
};

/** endpoint_new(options, now_ms): dials at its first tick.  NULL: no memory */
struct endpoint *endpoint_new(
    const struct endpoint_options *options, int64_t now_ms);

/** endpoint_free(e): once no link is left (endpoint_is_idle(), or the net is
 * gone).  NULL is fine. */
void endpoint_free(struct endpoint *e);

/** endpoint_set_worker(e, w): instead of options->link's. */
void endpoint_set_worker(struct endpoint *e, struct worker *w);

/** endpoint_tick(e, now_ms): time goes by; returns when it next matters. */
int64_t endpoint_tick(struct endpoint *e, int64_t now_ms);

/** endpoint_claim(e): worker_names() says something new. */
void endpoint_claim(struct endpoint *e);

/** endpoint_link(e, id): NULL: not its, or over. */
struct link *endpoint_link(const struct endpoint *e, uint64_t id);

/** endpoint_wake_up(e): the machine slept; what stood is dead. */
void endpoint_wake_up(struct endpoint *e);

/** endpoint_unpark(e): the tunnel that parked it may be gone: try again. */
void endpoint_unpark(struct endpoint *e);

/** endpoint_stop(e): finish what is open, dial no more. */
void endpoint_stop(struct endpoint *e);

const struct endpoint_status *endpoint_status(const struct endpoint *e);

/** endpoint_is_idle(e): no link of it is left. */
bool endpoint_is_idle(const struct endpoint *e);

/** endpoint_is_proven(e): a tunnel of it was ready once. */
bool endpoint_is_proven(const struct endpoint *e);

const char *endpoint_state_name(enum endpoint_state s);

#endif
