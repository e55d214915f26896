#ifndef AGENT_SEV_HASH_H
#define AGENT_SEV_HASH_H

#include "common/err.h"
#include "common/span.h"

#define SEV_SHA256_LEN 32

/** sev_hash_sha256(out, in, err): errors ERR_INTERNAL: no SHA-256 */
int sev_hash_sha256(
    uint8_t out[SEV_SHA256_LEN], struct span in, struct err *err);

/** sev_hash_hmac(out, key, in, err): HMAC-SHA256.  errors ERR_INTERNAL */
int sev_hash_hmac(uint8_t out[SEV_SHA256_LEN], struct span key, struct span in,
    struct err *err);

#endif
