#ifndef COMMON_CONN_IO_H
#define COMMON_CONN_IO_H

#include "common/span.h"

#include <stdbool.h>

/* Bytes of a connection, through TLS, or without it if ${ssl} is NULL. */

struct ssl_st;

/**
 * conn_io_fill(ssl, fd, ptr, cap, more, fatal, clean):
 * One round: fill ${ptr} as far as the socket gives.  Returns the bytes read;
 * *${more} says whether to come again, *${fatal} that nothing more comes, and
 * *${clean} that the peer has said so.
 */
size_t conn_io_fill(struct ssl_st *ssl, int fd, uint8_t *ptr, size_t cap,
    bool *more, bool *fatal, bool *clean);

/** conn_io_send(ssl, fd, bytes, n): 1: ${n} bytes were taken; 0: later; -1: the
 * connection is lost. */
int conn_io_send(struct ssl_st *ssl, int fd, struct span bytes, size_t *n);

/** conn_io_cork(fd, on): what is sent stays with the kernel until the cork is
 * taken out, but for whole packets. */
void conn_io_cork(int fd, bool on);

/** conn_io_fault(eof): words, constant, for a handshake that failed. */
const char *conn_io_fault(bool eof);

#endif
