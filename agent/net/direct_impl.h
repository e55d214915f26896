#ifndef AGENT_NET_DIRECT_IMPL_H
#define AGENT_NET_DIRECT_IMPL_H

/* What direct.c (the listener) and direct_host.c (a connection) share. */

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "agent/net/direct.h"
#include "common/address.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/tally.h"

struct direct_host;
TAILQ_HEAD(direct_hosts, direct_host);

struct direct {
	struct direct_options options;
	struct worker *worker;
	struct loop *loop;
	struct ssl_ctx_st *tls;
	struct http_settings settings;
	struct tally *tally;
	int fd; /* listens; -1: closed */
	char where[ADDRESS_TEXT_LEN];
	struct loop_fd watch;
	struct loop_timer pause;
	struct loop_timer deadline;
	struct direct_hosts hosts;
	unsigned connections, handshakes;
	uint64_t last_id;
	bool watching, ending;
	pthread_t thread;
	bool running;
	_Atomic uint64_t answers;
	struct mail end; /* posted by direct_end(), once */
	_Atomic bool end_posted;
};

/** direct_host_accept(d, fd, source, port): takes ${fd}. */
void direct_host_accept(
    struct direct *d, int fd, struct source source, uint16_t port);

/** direct_host_back(d, job): a job of one of our hosts comes home; takes
 * it. */
void direct_host_back(struct direct *d, struct worker_job *job);

/** direct_hosts_drain(d): answers are the last ones. */
void direct_hosts_drain(struct direct *d);

/** direct_hosts_close(d): now. */
void direct_hosts_close(struct direct *d);

/** direct_gone(d): a connection has ended. */
void direct_gone(struct direct *d);

/** direct_answered(arg, job): what jobs say when they are done, from the
 * worker's thread. */
void direct_answered(void *arg, struct worker_job *job);

#endif
