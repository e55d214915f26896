#ifndef RELAY_PEER_LINK_H
#define RELAY_PEER_LINK_H

#include "relay/worker.h"

/*
 * The dialling end of a link to another relay (docs/protocol.md 16.3): to a
 * worker it is one more tunnel that takes jobs, but it leads to a relay instead
 * of an agent.  A worker has one for each relay, made when it is first needed.
 */

/**
 * peer_link(w, node, address, out):
 * The link to the relay ${node}, whose certificate must have that name; jobs
 * for its handle wait until it stands, and come back not sent if it does not.
 * False: it cannot be made now.
 */
bool peer_link(struct worker *w, const char *node, const char *address,
    struct handle *out);

/** peer_links_drain(w): no more requests; those under way are finished. */
void peer_links_drain(struct worker *w);

/** peer_links_close(w): now. */
void peer_links_close(struct worker *w);

/** peer_links_free(w): the loop is over. */
void peer_links_free(struct worker *w);

#endif
