#ifndef RELAY_WORKER_H
#define RELAY_WORKER_H

#include "relay/relay.h"

#include <pthread.h>

/*
 * A thread that serves: its setup, its loop, its TLS contexts, its
 * connections.  Only messages reach it from other threads.
 */

struct host;
struct busy;
struct host_cache;
struct hop_link;
struct peer_link;
struct side;

TAILQ_HEAD(host_list, host);
TAILQ_HEAD(side_list, side);

struct worker {
	struct relay *relay;
	uint32_t index;
	struct loop *loop;           /* owned */
	struct relay_setup *setup;   /* held; changes between turns only */
	struct ssl_ctx_st *public;   /* owned */
	struct ssl_ctx_st *internal; /* owned */
	/* Of the setup; connections point here, and see a reload at once. */
	struct http_settings host_settings; /* hosts, and agents at first */
	struct conn_settings tunnel_settings;
	pthread_t thread;
	clockid_t clock;     /* the thread's processor time */
	struct busy *others; /* owned; of all workers, as seen from here */
	struct slab hosts;   /* requests under way -> struct host */
	struct slab tunnels; /* -> struct side */
	struct host_list all_hosts;
	struct host_list held;    /* those that wait for an agent */
	struct host_list errands; /* requests of the relay before us */
	struct side_list all_sides;
	/* In a cluster; nothing of it is used by a relay that stands alone. */
	struct ssl_ctx_st *cluster; /* owned */
	struct conn_settings link_settings;
	LIST_HEAD(, peer_link) links;    /* to other relays */
	LIST_HEAD(, hop_link) hop_links; /* from them */
	struct host_cache *cache;        /* owned; what the directory said */
	struct loop_timer search_timer;
	struct mail *own; /* messages to ourselves, newest first */
	struct loop_task own_task;
	struct loop_timer drain_timer;
	bool draining;
	bool drained_told;
	bool moving; /* agents are to move to another relay */
	bool moved_told;
	struct counters counters;
	_Atomic bool wake_sent; /* a MESSAGE_ROUTES is on its way */
	_Atomic uint32_t load;  /* connections and errands */
	_Atomic uint64_t beat;  /* the last MESSAGE_BEAT seen */
};

/** worker_new(out, relay, index, err): does not run yet. */
int worker_new(
    struct worker **out, struct relay *relay, uint32_t index, struct err *err);

/** worker_tls(public, internal, relay, setup, err): contexts for one worker. */
int worker_tls(struct ssl_ctx_st **public, struct ssl_ctx_st **internal,
    const struct relay *relay, const struct relay_setup *setup,
    struct err *err);

/** worker_start(w, err): once all workers are made.  errors ERR_IO, ERR_MEMORY */
int worker_start(struct worker *w, struct err *err);

/** worker_join(w): after MESSAGE_QUIT. */
void worker_join(struct worker *w);

void worker_free(struct worker *w);

/** worker_peer_gone(w): one of its connections is over. */
void worker_peer_gone(struct worker *w);

#endif
