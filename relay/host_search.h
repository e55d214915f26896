#ifndef RELAY_HOST_SEARCH_H
#define RELAY_HOST_SEARCH_H

#include "relay/host_impl.h"

/*
 * A host's request whose agent may be at another relay of the cluster: ask the
 * directory, and choose among the tunnels here and there.
 */

/**
 * host_search(h):
 * Send the job of ${h} to the best tunnel that was not asked yet, here or at
 * another relay; now, or once the directory has answered; or refuse it, if
 * that cannot be asked and no agent is here.  False: there is none, wait.
 * With a directory only.
 */
bool host_search(struct host *h);

/** host_search_over(h, launched): an answer came from the agent that was
 * chosen; ${launched}: it made a session, and is to be preferred. */
void host_search_over(struct host *h, bool launched);

/** host_search_free(h): the request is over. */
void host_search_free(struct host *h);

/** host_search_watch(w): some request waits: look for it again soon. */
void host_search_watch(struct worker *w);

/** host_search_again(w): that timer. */
void host_search_again(void *arg);

/** host_search_init(w, err), host_search_end(w): of a worker. */
int host_search_init(struct worker *w, struct err *err);
void host_search_end(struct worker *w);

#endif
