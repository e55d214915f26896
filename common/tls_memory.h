#ifndef COMMON_TLS_MEMORY_H
#define COMMON_TLS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/**
 * tls_memory():
 * Let each thread keep a few of the buffers that OpenSSL takes for a record
 * and gives back with it (SSL_MODE_RELEASE_BUFFERS): four times for each
 * request.  Call it first of all; false: OpenSSL has memory already, and goes
 * on as it did.
 */
bool tls_memory(void);

/**
 * tls_memory_most(len):
 * OpenSSL gets at most ${len} bytes at a time in this thread from now on; 0: as
 * much as it wants.  For handshakes with strangers: the buffer of a message
 * grows with what came of it, and a ClientHello may have 128 KiB.
 */
void tls_memory_most(size_t len);

/**
 * tls_memory_missed():
 * How often OpenSSL did not get what it wanted in this thread.  If that is more
 * behind a call than before it, its no is not to be taken for one: a signature
 * that could not be checked looks like one that is wrong.
 */
unsigned tls_memory_missed(void);

/** tls_memory_end(): this thread is about to end. */
void tls_memory_end(void);

#endif
