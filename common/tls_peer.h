#ifndef COMMON_TLS_PEER_H
#define COMMON_TLS_PEER_H

#include <stdbool.h>
#include <stddef.h>

/* The certificate that the other end of a connection showed. */

#define TLS_PEER_NAME_MAX 255

struct ssl_st;
struct tls_identity;
struct tls_peer;

/**
 * tls_peer_name(ssl, out, cap):
 * The verified peer's first DNS name, else its first URI, else its first IP
 * address, all of the subjectAltName; visible ASCII without white space.
 * False: no certificate, or no such name in it.
 */
bool tls_peer_name(struct ssl_st *ssl, char *out, size_t cap);

/** tls_peer_stands(ssl, id): would the peer's certificate, which was good when
 * the connection was made, be so by the authorities of ${id}, too? */
bool tls_peer_stands(struct ssl_st *ssl, const struct tls_identity *id);

/**
 * tls_peer_take(ssl):
 * Keep what the peer showed in a few hundred bytes, for
 * tls_peer_still_stands(), and let OpenSSL forget it, which has it in 5 KB or
 * more.  The connection then has no name, and a session of TLS 1.2 nothing to
 * export keys from.  NULL: it showed none, or there is no memory, and nothing
 * has changed.
 */
struct tls_peer *tls_peer_take(struct ssl_st *ssl);

/** tls_peer_still_stands(p, id): as tls_peer_stands(). */
bool tls_peer_still_stands(
    const struct tls_peer *p, const struct tls_identity *id);

void tls_peer_free(struct tls_peer *p);

#endif
