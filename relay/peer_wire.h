#ifndef RELAY_PEER_WIRE_H
#define RELAY_PEER_WIRE_H

#include "common/conn.h"
#include "common/tunnel.h"

/*
 * Frames between relays (docs/protocol.md 16.3): a TLS connection, and in front
 * of each frame its length, 16 bits.
 */

/**
 * peer_wire_next(rest, frame, err):
 * The next whole frame of *${rest}, which then begins behind it.
 *   returns  1; 0: more bytes are needed
 *   errors   -1: ERR_MALFORMED, a length that no frame has
 */
int peer_wire_next(struct span *rest, struct span *frame, struct err *err);

/** peer_wire_put(c, head, body): one frame. */
void peer_wire_put(struct conn *c, struct span head, struct span body);

/**
 * peer_wire_take(t, c, bytes, now_ms, err):
 * Hand all whole frames of ${bytes} to ${t}; stop when ${c} closes.  Returns
 * the bytes taken.
 *   errors  -1: those of peer_wire_next()
 */
int64_t peer_wire_take(struct tunnel *t, const struct conn *c,
    struct span bytes, uint64_t now_ms, struct err *err);

#endif
