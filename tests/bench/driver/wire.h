#ifndef TESTS_BENCH_DRIVER_WIRE_H
#define TESTS_BENCH_DRIVER_WIRE_H

#include "common/err.h"
#include "common/loop.h"
#include "common/span.h"

#include <netinet/in.h>

/*
 * A connection of the driver, either end, with TLS or without: as little work
 * as can be, so that what is measured is the other side.  What a turn writes
 * goes out at its end in one go.
 */

struct wire;
struct ssl_ctx_st;
struct ssl_st;

struct wire_ops {
	void (*open)(void *arg);
	/* Returns how many bytes it took; the rest comes again with more. */
	size_t (*data)(void *arg, const uint8_t *ptr, size_t len);
	/* The last call, once, and not after wire_close(). */
	void (*gone)(void *arg, const char *why);
};

/** wire_client_ctx(err): TLS 1.3, without verification, which would be paid
 * for by the processor that the relay shares; ${cert} and ${key}, PEM files,
 * may be NULL. */
struct ssl_ctx_st *wire_client_ctx(
    const char *cert, const char *key, struct err *err);
struct ssl_ctx_st *wire_server_ctx(
    const char *cert, const char *key, struct err *err);
void wire_ctx_free(struct ssl_ctx_st *ctx);

/** wire_dial(out, loop, ctx, to, ops, arg, err): ${ctx} NULL: no TLS. */
int wire_dial(struct wire **out, struct loop *loop, struct ssl_ctx_st *ctx,
    const struct sockaddr_in *to, const struct wire_ops *ops, void *arg,
    struct err *err);

/** wire_accept(...): the accepted ${fd}, ours from then on. */
int wire_accept(struct wire **out, struct loop *loop, struct ssl_ctx_st *ctx,
    int fd, const struct wire_ops *ops, void *arg, struct err *err);

void wire_write(struct wire *w, struct span bytes);

/** wire_close(w): no call follows; NULL is fine. */
void wire_close(struct wire *w);

/** wire_ssl(w): NULL without TLS. */
struct ssl_st *wire_ssl(struct wire *w);

/** wire_address(out, text, err): of "127.0.0.1:80". */
int wire_address(struct sockaddr_in *out, const char *text, struct err *err);

#endif
