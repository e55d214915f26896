#ifndef RELAY_TUNNEL_SIDE_H
#define RELAY_TUNNEL_SIDE_H

#include "common/http_server.h"
#include "common/log.h"
#include "relay/worker.h"

/*
 * One agent's tunnel (docs/protocol.md 12): upgrade, hello, claims, and the
 * requests that travel on it.
 */

/**
 * side_upgrade(w, http, head, peer, subject, current):
 * Judge the upgrade of a connection that came to the tunnel's path; answer it,
 * or make it a tunnel, which then owns the account ${peer}.  ${current}: its
 * certificate was judged by the worker's present setup.
 */
enum http_verdict side_upgrade(struct worker *w, struct http_server *http,
    const struct http_head *head, const struct peer *peer,
    const struct log_subject *subject, bool current);

/** side_submit(w, job): send the job on its tunnel, now or from its queue, or
 * back; takes it. */
void side_submit(struct worker *w, struct job *job);

/** side_cancel(w, m): the job is not wanted any more. */
void side_cancel(struct worker *w, const struct message_cancel *m);

/** side_supersede(w, tunnel): a newer tunnel of its key is here. */
void side_supersede(struct worker *w, struct handle tunnel);

/** side_move_all(w): ask all to move to the relay that takes our place. */
void side_move_all(struct worker *w);

/** side_quota(w, tunnel): requests for its tenant are refused. */
void side_quota(struct worker *w, struct handle tunnel);

/** side_list_all(w, m): a row for each tunnel that stands; without memory for
 * them, none. */
void side_list_all(struct worker *w, struct message_tunnels *m);

/** side_judge_all(w, old): the worker's setup is another than ${old}, or the
 * registry has changed (NULL): send away who is not known any more, and take
 * from the others what is not theirs any more. */
void side_judge_all(struct worker *w, const struct relay_setup *old);

/** side_unsettle(w, tunnel): what it claimed may be another's: its agent has
 * to claim anew. */
void side_unsettle(struct worker *w, struct handle tunnel);

/** side_drain_all(w): GOAWAY to all. */
void side_drain_all(struct worker *w);

/** side_close_all(w): close all now. */
void side_close_all(struct worker *w);

/** side_free_all(w): the loop is over. */
void side_free_all(struct worker *w);

#endif
