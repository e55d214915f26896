#ifndef RELAY_HOP_H
#define RELAY_HOP_H

#include "relay/worker.h"

/*
 * The accepting end of a link between relays (docs/protocol.md 16.3): requests
 * whose agent is here and whose host is there.  They go to that one agent or
 * back: none goes on to a third relay.
 */

/** hop_accept(w, fd, source, port): a connection of another relay, for which
 * worker_peer_gone() is called at its end; takes ${fd}.  -1: it is closed. */
int hop_accept(
    struct worker *w, int fd, const struct peer *peer, uint16_t port);

/** hop_job_back(w, job): an answer came; takes it. */
void hop_job_back(struct worker *w, struct job *job);

/** hop_pending(w, m): the agent asks for time. */
void hop_pending(struct worker *w, const struct message_pending *m);

/** hops_drain(w): GOAWAY to all relays. */
void hops_drain(struct worker *w);

/** hops_close(w): now. */
void hops_close(struct worker *w);

#endif
