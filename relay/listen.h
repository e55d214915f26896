#ifndef RELAY_LISTEN_H
#define RELAY_LISTEN_H

#include "relay/inherit.h"
#include "relay/relay.h"

/*
 * Listening sockets.  The main thread accepts and deals each connection to the
 * worker with the fewest, as closing one of many SO_REUSEPORT sockets would
 * reset what is queued on it.
 */

struct listeners;

/**
 * listeners_open(out, relay, inherit, ready, cap, err):
 * Take what is in ${inherit}, or bind and listen; not yet accept.  ${ready}
 * becomes the words of the ready line: "public A:P, internal A:P" with the
 * ports that were chosen.
 *   errors  ERR_IO, ERR_MEMORY
 */
int listeners_open(struct listeners **out, struct relay *relay,
    struct inherit *inherit, char *ready, size_t cap, struct err *err);

/** listeners_address(out, cap, l, kind): "IP:PORT" of the first one; "" if
 * there is none. */
void listeners_address(
    char *out, size_t cap, const struct listeners *l, enum inherit_kind kind);

/** listeners_start(l, loop, err): get ready to accept on ${loop}, the main
 * thread's. */
int listeners_start(struct listeners *l, struct loop *loop, struct err *err);

/** listeners_accept(l, kind, on): accept on the sockets of ${kind}, or let
 * connections wait in the kernel's queue. */
void listeners_accept(struct listeners *l, enum inherit_kind kind, bool on);

/** listeners_fds(l, out): the sockets, which stay ours.  Returns how many. */
size_t listeners_fds(
    const struct listeners *l, struct inherit_one out[INHERIT_MAX]);

/** listeners_close(l): accept no more and release.  NULL is fine. */
void listeners_close(struct listeners *l);

#endif
