#ifndef PSP_CRYPTO_H
#define PSP_CRYPTO_H

#include "common/err.h"
#include "common/span.h"

/* The symmetric primitives that the secure processor uses. */

#define PSP_SHA256_LEN 32
#define PSP_AES_LEN 16 /* key, IV and block */

/** psp_crypto_sha256(out, in, err): errors ERR_INTERNAL */
int psp_crypto_sha256(
    uint8_t out[PSP_SHA256_LEN], struct span in, struct err *err);

/** psp_crypto_hmac(out, key, text, err): HMAC-SHA256.  errors ERR_INTERNAL */
int psp_crypto_hmac(uint8_t out[PSP_SHA256_LEN], struct span key,
    struct span text, struct err *err);

/**
 * psp_crypto_kdf(out, key, label, context, err):
 * 16 bytes by NIST SP 800-108 in counter mode with HMAC-SHA256; counter and
 * length are little-endian.
 *   shapes  ${label} and ${context} of at most 64 bytes each
 *   source  AMD 55766, chapter "Keys"
 */
int psp_crypto_kdf(uint8_t out[PSP_AES_LEN], struct span key, const char *label,
    struct span context, struct err *err);

/**
 * psp_crypto_ctr(out, key, iv, in, err):
 * AES-128-CTR of ${in} into ${out}, which is as long; ${iv} is the first
 * counter block, big-endian.  Its own inverse.
 */
int psp_crypto_ctr(uint8_t *out, const uint8_t key[PSP_AES_LEN],
    const uint8_t iv[PSP_AES_LEN], struct span in, struct err *err);

#endif
