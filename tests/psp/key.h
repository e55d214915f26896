#ifndef PSP_KEY_H
#define PSP_KEY_H

#include <openssl/types.h>

#include "common/err.h"
#include "common/span.h"

/*
 * Asymmetric keys of a platform.  Big numbers are little-endian, padded with
 * zeros at the high end, as in every SEV structure (AMD 55766 C).
 */

#define PSP_EC_FIELD 72 /* a coordinate, r or s in a structure */
#define PSP_RSA_MAX 512 /* bytes of an RSA-4096 number */
#define PSP_ECDH_LEN 48 /* X coordinate on P-384 */

/** psp_key_make_ec(out, err): a fresh P-384 key. */
int psp_key_make_ec(EVP_PKEY **out, struct err *err);

/** psp_key_make_rsa(out, bits, err): a fresh key, exponent 65537. */
int psp_key_make_rsa(EVP_PKEY **out, unsigned bits, struct err *err);

/** psp_key_load(out, path, err): PKCS#8 PEM.  errors ERR_IO, ERR_MALFORMED,
 * ERR_NOT_FOUND: no such file */
int psp_key_load(EVP_PKEY **out, const char *path, struct err *err);

/** psp_key_parse(out, pem, err): PKCS#8 PEM in memory. */
int psp_key_parse(EVP_PKEY **out, struct span pem, struct err *err);

/** psp_key_save(key, path, err): PKCS#8 PEM, mode 0600. */
int psp_key_save(EVP_PKEY *key, const char *path, struct err *err);

/** psp_key_point(qx, qy, key, err): coordinates of a P-384 key. */
int psp_key_point(uint8_t qx[PSP_EC_FIELD], uint8_t qy[PSP_EC_FIELD],
    EVP_PKEY *key, struct err *err);

/** psp_key_from_point(out, qx, qy, err):
 * A public P-384 key.  errors ERR_MALFORMED: too large, or off the curve */
int psp_key_from_point(
    EVP_PKEY **out, struct span qx, struct span qy, struct err *err);

/** psp_key_bits(key): size of an RSA key's modulus. */
unsigned psp_key_bits(EVP_PKEY *key);

/** psp_key_modulus(out, len, key, err): RSA modulus in ${len} bytes. */
int psp_key_modulus(uint8_t *out, size_t len, EVP_PKEY *key, struct err *err);

/** psp_key_sign_ec(r, s, key, sha384, text, err): ECDSA. */
int psp_key_sign_ec(uint8_t r[PSP_EC_FIELD], uint8_t s[PSP_EC_FIELD],
    EVP_PKEY *key, bool sha384, struct span text, struct err *err);

/**
 * psp_key_sign_rsa(out, len, key, text, err):
 * RSASSA-PSS with a salt as long as the digest: SHA-256 under a 2048-bit key,
 * SHA-384 under a 4096-bit one; ${len} is the size of the modulus.
 *   source  AMD 55766, Appendix B
 */
int psp_key_sign_rsa(
    uint8_t *out, size_t len, EVP_PKEY *key, struct span text, struct err *err);

/** psp_key_ecdh(z, own, peer, err):
 * The shared X coordinate, big-endian unlike all else, zeros kept. */
int psp_key_ecdh(
    uint8_t z[PSP_ECDH_LEN], EVP_PKEY *own, EVP_PKEY *peer, struct err *err);

#endif
