#ifndef RELAY_HOST_SIDE_H
#define RELAY_HOST_SIDE_H

#include "relay/path.h"
#include "relay/worker.h"

/*
 * One host's connection, and its request from head to answer or deadline
 * (docs/protocol.md 2, 8, 9).  An agent's connection starts here too and
 * leaves with its upgrade.
 */

/** host_accept(w, fd, side, peer, port): takes ${fd}; -1: closed already, and
 * ${peer} is still the caller's. */
int host_accept(struct worker *w, int fd, enum path_side side,
    const struct peer *peer, uint16_t port);

/** host_job_back(w, job): a job comes home; takes it. */
void host_job_back(struct worker *w, struct job *job);

/** host_pending(w, m): the agent asks for more time. */
void host_pending(struct worker *w, const struct message_pending *m);

/** host_wake_held(w): UUIDs have come. */
void host_wake_held(struct worker *w);

/** host_errand(w, m): serve a request that another relay handed us. */
void host_errand(struct worker *w, struct message_errand *m);

/** host_errand_cancel(w, m): it is not wanted any more. */
void host_errand_cancel(struct worker *w, const struct message_errand *m);

/** host_errands_end(w): now. */
void host_errands_end(struct worker *w);

/** host_arrive(w, m): the connection in ${m} is served here from now on. */
void host_arrive(struct worker *w, struct message_host *m);

/** host_drain_all(w, idle_too): answers are the last ones of their
 * connections; end at once those that are idle, if ${idle_too}. */
void host_drain_all(struct worker *w, bool idle_too);

/** host_close_all(w, why): now. */
void host_close_all(struct worker *w, const char *why);

/** host_free_all(w): the loop is over. */
void host_free_all(struct worker *w);

#endif
