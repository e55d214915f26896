#ifndef COMMON_CONN_H
#define COMMON_CONN_H

#include "common/buf.h"
#include "common/err.h"
#include "common/loop.h"
#include "common/span.h"

/*
 * A TLS connection on a loop, server side, or the dialling one of two equals.  What arrives is read into the
 * loop's shared buffer and handed on; only what the user leaves is kept.  What
 * is written in a turn goes out at its end in one go.  Closing twice is
 * harmless, the first reason counts, and memory is freed between turns.
 */

struct conn;
struct ssl_st;
struct ssl_ctx_st;

struct conn_settings {
	uint32_t handshake_ms; /* for the TLS handshake, from the accept */
	uint32_t stall_ms;     /* without progress of what is queued to write */
	uint32_t linger_ms;    /* for the peer to take our last words */
	size_t in_max;         /* bytes kept for a user who leaves them */
	size_t out_max;        /* bytes queued to write; more closes */
	size_t out_low;        /* below it, after having been above: drained */
};

struct conn_ops {
	/* The handshake is done. */
	void (*open)(void *arg);
	/*
	 * All bytes received and not yet taken.  Returns how many it took;
	 * what it leaves comes again with the next that arrive, or after
	 * conn_resume().  The bytes may be changed.  Calls may be made from
	 * inside; after conn_close() the answer does not matter.
	 */
	size_t (*data)(void *arg, uint8_t *ptr, size_t len);
	/* The queue was over out_low and is so no longer. */
	void (*drained)(void *arg);
	/* The last call, once: closed by us or by the peer. */
	void (*closed)(void *arg, const char *why);
};

/**
 * conn_accept(out, loop, ctx, fd, settings, ops, arg, err):
 * Take the accepted socket ${fd}, which is ours from then on, also after a
 * failure.  A NULL ${ctx} is without TLS: for a Unix socket, whose ends the
 * kernel knows, or one of which every byte is judged as a stranger's.
 * ${settings} and ${ops} must outlive the connection.
 *   errors  ERR_MEMORY, ERR_IO; no callback comes then
 */
int conn_accept(struct conn **out, struct loop *loop, struct ssl_ctx_st *ctx,
    int fd, const struct conn_settings *settings, const struct conn_ops *ops,
    void *arg, struct err *err);

/**
 * conn_dial(out, loop, ctx, address, name, settings, ops, arg, err):
 * Connect to ${address}, "IP:PORT" or "[IP]:PORT", whose certificate must be
 * for the DNS name ${name}.  settings->handshake_ms is for connecting, too.
 * Otherwise as conn_accept().
 *   errors  ERR_USAGE: no address; ERR_MEMORY, ERR_IO
 */
int conn_dial(struct conn **out, struct loop *loop, struct ssl_ctx_st *ctx,
    const char *address, const char *name, const struct conn_settings *settings,
    const struct conn_ops *ops, void *arg, struct err *err);

/** conn_adopt(c, settings, ops, arg): another user from now on, as after an
 * upgrade; it gets what the last one did not take. */
void conn_adopt(struct conn *c, const struct conn_settings *settings,
    const struct conn_ops *ops, void *arg);

/**
 * conn_leave(c):
 * Leave the loop, to go on with conn_enter() in another thread; until then the
 * connection is nobody's, and conn_enter() is the one call that may be made.
 * False: something is under way, or waits to be read or written.
 */
bool conn_leave(struct conn *c);

/** conn_enter(c, loop, settings): go on here.  Without memory for it, the
 * connection is closed from inside. */
void conn_enter(
    struct conn *c, struct loop *loop, const struct conn_settings *settings);

/** conn_write(c, bytes): queue to write; too much closes the connection at the
 * end of the turn, and never from inside this call. */
void conn_write(struct conn *c, struct span bytes);

/** conn_queued(c): bytes waiting to be written. */
size_t conn_queued(const struct conn *c);

/** conn_congested(c): over out_low; the drained op will follow. */
bool conn_congested(const struct conn *c);

/** conn_pause(c): read no more until conn_resume(c), which first hands out
 * what was left. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/** conn_finish(c, why): write what is queued, then close.  The user gets no
 * more data; what still comes is dropped, for a while and up to a limit, as a
 * close on unread bytes would make the peer lose our last words. */
void conn_finish(struct conn *c, const char *why);

/** conn_close(c, why): now.  ${why} must be a constant. */
void conn_close(struct conn *c, const char *why);

/** conn_closing(c): conn_finish() or conn_close() was called. */
bool conn_closing(const struct conn *c);

/** conn_ssl(c): NULL without TLS. */
struct ssl_st *conn_ssl(struct conn *c);

#endif
