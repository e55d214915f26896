#ifndef AGENT_VAULT_STORE_SEAL_H
#define AGENT_VAULT_STORE_SEAL_H

#include "common/err.h"
#include "common/secret.h"
#include "common/span.h"

#define STORE_SEAL_KEY_LEN 32
#define STORE_SEAL_IV_LEN 12
#define STORE_SEAL_TAG_LEN 16
#define STORE_SEAL_OVERHEAD (STORE_SEAL_IV_LEN + STORE_SEAL_TAG_LEN)

/**
 * store_seal(out, key, aad, in, err):
 * AES-256-GCM: IV (random) || ciphertext || tag.
 *   shapes  ${key} STORE_SEAL_KEY_LEN bytes.  Random IVs are sound for 2^32
 *           values under one key (NIST SP 800-38D 8.3)
 *   errors  ERR_MEMORY, ERR_INTERNAL
 */
int store_seal(struct secret *out, struct span key, struct span aad,
    struct span in, struct err *err);

/**
 * store_unseal(out, key, aad, in, err):
 *   errors  ERR_UNTRUSTED: another key, another row, or altered
 */
int store_unseal(struct secret *out, struct span key, struct span aad,
    struct span in, struct err *err);

#endif
