#ifndef AGENT_SEV_KEY_H
#define AGENT_SEV_KEY_H

#include <openssl/evp.h>

#include "agent/sev/amd_cert.h"
#include "agent/sev/cert.h"

/*
 * Wire keys and signatures, as OpenSSL wants them.  Inside agent/sev only.
 * Nothing here leaves an error in OpenSSL's queue of the thread.
 */

#define SEV_KEY_POINT_LEN 97 /* 0x04, X, Y: an uncompressed P-384 point */

/**
 * sev_key_point(out, cert, err):
 * The public point of ${cert} in the form of SEC 1.
 *   errors  ERR_MALFORMED: another curve, or a number over 384 bits
 */
int sev_key_point(uint8_t out[SEV_KEY_POINT_LEN], const struct sev_cert *cert,
    struct err *err);

/**
 * sev_key_ec(out, cert, err), sev_key_rsa(out, cert, err):
 * The public key of ${cert}; free with EVP_PKEY_free().
 *   errors  ERR_MALFORMED: no point of P-384; a modulus that is short or even,
 *           an exponent other than 65537; ERR_INTERNAL
 */
int sev_key_ec(EVP_PKEY **out, const struct sev_cert *cert, struct err *err);
int sev_key_rsa(
    EVP_PKEY **out, const struct sev_amd_cert *cert, struct err *err);

/**
 * sev_key_verify(key, algo, text, sig, err):
 * ECDSA, or RSASSA-PSS with MGF1 of the same hash and a salt as long as the
 * digest.  ${sig} is a signature field as it lies in a certificate; what
 * stands behind the numbers in it is not read.
 *   returns  0: ${sig} is of ${text}
 *   errors   ERR_UNTRUSTED: it is not; ERR_INTERNAL
 *   source   55766 appendices B, C; RFC 8017 8.1
 */
int sev_key_verify(EVP_PKEY *key, uint32_t algo, struct span text,
    struct span sig, struct err *err);

#endif
