#ifndef COMMON_CONN_IMPL_H
#define COMMON_CONN_IMPL_H

#include "common/conn.h"

/* What conn.c, conn_dial.c and conn_move.c share. */

enum conn_state {
	CONN_HANDSHAKE,
	CONN_OPEN,
	CONN_FINISHING,
	CONN_LINGERING,
	CONN_CLOSED
};

struct conn {
	struct loop *loop;
	struct ssl_st *ssl; /* owned; NULL: without TLS */
	int fd;             /* owned */
	enum conn_state state;
	bool paused;
	bool eof;
	bool congested;
	bool reading; /* inside the data op */
	bool write_blocked;
	bool overrun;     /* more was written than we keep: close it */
	bool lost;        /* writing failed: close it */
	size_t dropped;   /* bytes, while lingering */
	struct buf in;    /* received, not taken */
	struct buf out;   /* to be written */
	size_t out_first; /* bytes it had last time */
	struct loop_fd watch;
	struct loop_timer timer; /* handshake, stall or linger */
	struct loop_task flush;
	struct loop_task read; /* a handshake's step; what SSL still holds */
	struct loop_grave grave;
	const char *why;
	const struct conn_settings *settings;
	const struct conn_ops *ops;
	void *arg;
};

/** conn_watch(c): for the events that its state wants. */
void conn_watch(struct conn *c);

/** conn_begin(out, loop, ctx, fd, name, settings, ops, arg, err): take ${fd},
 * also after a failure; begin a handshake as a server, or, with ${name}, as a
 * client of a server with that DNS name. */
int conn_begin(struct conn **out, struct loop *loop, struct ssl_ctx_st *ctx,
    int fd, const char *name, const struct conn_settings *settings,
    const struct conn_ops *ops, void *arg, struct err *err);

#endif
