#ifndef AGENT_SEV_HASH_H
#define AGENT_SEV_HASH_H

#include "common/err.h"
#include "common/span.h"

#define SEV_SHA256_LEN 32

/** sev_hash_sha256(out, in, err): errors ERR_INTERNAL: no SHA-256 */
int sev_hash_sha256(
    uint8_t out[SEV_SHA256_LEN], struct span in, struct err *err);

/*
 * SHA-256 of bytes that come in pieces.  new, add ..., peek, free;
 * sev_hash_free(NULL) does nothing.
 *   errors  ERR_MEMORY, ERR_INTERNAL
 */
struct sev_hash;

int sev_hash_new(struct sev_hash **out, struct err *err);
int sev_hash_add(struct sev_hash *h, struct span in, struct err *err);
/** sev_hash_peek(out, h, err): the digest so far; ${h} can go on. */
int sev_hash_peek(
    uint8_t out[SEV_SHA256_LEN], const struct sev_hash *h, struct err *err);
void sev_hash_free(struct sev_hash *h);

/** sev_hash_hmac(out, key, in, err): HMAC-SHA256.  errors ERR_INTERNAL */
int sev_hash_hmac(uint8_t out[SEV_SHA256_LEN], struct span key, struct span in,
    struct err *err);

#endif
