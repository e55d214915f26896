#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include "common/err.h"
#include "common/secret.h"
#include "common/span.h"

/*
 * The one TLS policy: TLS 1.3 (1.2 by option, AEAD and ECDHE only), no early
 * data, no compression, no renegotiation, ALPN http/1.1, tickets by option, and
 * then stateless.  Nothing turns verification off.
 */

struct ssl_ctx_st;
struct ssl_st;
struct tls_identity;

#define TLS_TICKET_KEYS_LEN 80

/* What a listener shows, read from files once, while we may still read them. */
struct tls_source {
	const char *certificate; /* PEM: the certificate, then its chain */
	const char *key;         /* PEM, unencrypted */
	const char *client_ca;   /* PEM; "": clients' certificates not asked */
};

/* Which part of a struct tls_source an error is about. */
enum tls_part { TLS_PART_CERTIFICATE, TLS_PART_KEY, TLS_PART_CLIENT_CA };

/**
 * tls_identity_load(out, source, part, err):
 * Read and match certificate, key and CA.
 *   errors  ERR_IO, ERR_MALFORMED; ERR_CONFLICT: the key is not the
 *           certificate's.  ${part} says which file is meant
 */
int tls_identity_load(struct tls_identity **out,
    const struct tls_source *source, enum tls_part *part, struct err *err);

void tls_identity_free(struct tls_identity *id);

/** tls_identity_seconds(id): the same in seconds. */
int64_t tls_identity_seconds(const struct tls_identity *id);

/** tls_identity_days(id): days until the certificate ends; negative: over. */
int tls_identity_days(const struct tls_identity *id);

/** tls_identity_pin(id, out, err): SHA-256 of the certificate's public key
 * (SubjectPublicKeyInfo, DER).  errors ERR_INTERNAL */
#define TLS_PIN_LEN 32
int tls_identity_pin(
    const struct tls_identity *id, uint8_t out[TLS_PIN_LEN], struct err *err);

/** tls_identity_clients(id): whose certificates are good, for common/tls_peer;
 * NULL: nobody's. */
struct x509_store_st *tls_identity_clients(const struct tls_identity *id);

/**
 * tls_server(out, id, tls12, ticket_keys, err):
 * A context of its own, for one thread, over the shared ${id}.
 * ${ticket_keys}, TLS_TICKET_KEYS_LEN bytes, let every thread resume what
 * another began, unless its client showed a certificate; empty: no tickets,
 * which most clients never use and each handshake pays for
 * (docs/performance.md).
 *   errors  ERR_INTERNAL, ERR_MEMORY
 */
int tls_server(struct ssl_ctx_st **out, const struct tls_identity *id,
    bool tls12, struct span ticket_keys, struct err *err);

void tls_server_free(struct ssl_ctx_st *ctx);

/**
 * tls_peer(out, id, err):
 * A context for both ends of connections between equals: TLS 1.3, and each
 * end must show a certificate of the CA in ${id}.  tls_server_free() frees it.
 *   errors  ERR_INTERNAL, ERR_MEMORY
 */
int tls_peer(
    struct ssl_ctx_st **out, const struct tls_identity *id, struct err *err);

/** tls_same_clients(a, b): do both trust the same authorities of clients? */
bool tls_same_clients(
    const struct tls_identity *a, const struct tls_identity *b);

/**
 * tls_exporter(ssl, out, len, label, err):
 * Keying material (RFC 8446 7.5) without context.
 *   errors  ERR_INTERNAL; ERR_UNSUPPORTED: no extended master secret
 */
int tls_exporter(struct ssl_st *ssl, uint8_t *out, size_t len,
    const char *label, struct err *err);

/** tls_library(): name and version of the library, for people. */
const char *tls_library(void);

/** tls_error(err, what): ERR_IO with the words of OpenSSL's queue, which is
 * then empty.  Returns -1. */
int tls_error(struct err *err, const char *what);

#endif
