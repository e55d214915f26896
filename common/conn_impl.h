#ifndef COMMON_CONN_IMPL_H
#define COMMON_CONN_IMPL_H

#include "common/conn.h"

/* What conn.c and conn_dial.c share. */

/** conn_begin(out, loop, ctx, fd, name, settings, ops, arg, err): take ${fd},
 * also after a failure; begin a handshake as a server, or, with ${name}, as a
 * client of a server with that DNS name. */
int conn_begin(struct conn **out, struct loop *loop, struct ssl_ctx_st *ctx,
    int fd, const char *name, const struct conn_settings *settings,
    const struct conn_ops *ops, void *arg, struct err *err);

#endif
