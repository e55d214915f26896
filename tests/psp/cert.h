#ifndef PSP_CERT_H
#define PSP_CERT_H

#include "tests/psp/key.h"

/* Certificates as a platform makes them (AMD 55766, Appendices B and C). */

#define PSP_CERT_LEN 2084
#define PSP_CERT_SIGNED_LEN 1044 /* what a signature covers */
#define PSP_CHAIN_LEN (3 * PSP_CERT_LEN)
#define PSP_AMD_CERT_MAX 1600
#define PSP_KEY_ID_LEN 16

enum psp_usage {
	PSP_USAGE_ARK = 0x0000,
	PSP_USAGE_ASK = 0x0013,
	PSP_USAGE_NONE = 0x1000, /* an empty signature slot */
	PSP_USAGE_OCA = 0x1001,
	PSP_USAGE_PEK = 0x1002,
	PSP_USAGE_PDH = 0x1003,
	PSP_USAGE_CEK = 0x1004
};

enum psp_algo {
	PSP_ALGO_NONE = 0x0000,
	PSP_ALGO_RSA_SHA256 = 0x0001,
	PSP_ALGO_ECDSA_SHA256 = 0x0002,
	PSP_ALGO_ECDH_SHA256 = 0x0003,
	PSP_ALGO_RSA_SHA384 = 0x0101,
	PSP_ALGO_ECDSA_SHA384 = 0x0102,
	PSP_ALGO_ECDH_SHA384 = 0x0103
};

/** psp_cert_make(out, usage, algo, api, key, err):
 * An unsigned certificate of the P-384 ${key}; ${api} is major, minor. */
int psp_cert_make(uint8_t out[PSP_CERT_LEN], enum psp_usage usage,
    enum psp_algo algo, const uint8_t api[2], EVP_PKEY *key, struct err *err);

/**
 * psp_cert_sign(cert, slot, usage, key, err):
 * Fill signature ${slot} (0 or 1) with that of ${key}, whose own usage is
 * ${usage}.  A P-384 key signs with SHA-256, an RSA key as
 * psp_key_sign_rsa().
 */
int psp_cert_sign(uint8_t cert[PSP_CERT_LEN], unsigned slot,
    enum psp_usage usage, EVP_PKEY *key, struct err *err);

/** psp_cert_strip(cert): make both signature slots empty. */
void psp_cert_strip(uint8_t cert[PSP_CERT_LEN]);

/** psp_cert_key(out, cert, usage, err):
 * The P-384 key of an ECDH certificate of ${usage}, its signatures unseen.
 *   errors  ERR_MALFORMED: length, version, usage, algorithm, curve, point */
int psp_cert_key(
    EVP_PKEY **out, struct span cert, enum psp_usage usage, struct err *err);

/** psp_cert_api(cert): bytes 4 and 5, the API of the platform; borrowed. */
struct span psp_cert_api(const uint8_t cert[PSP_CERT_LEN]);

/**
 * psp_cert_make_amd(out, len, usage, key, key_id, signer, signer_id, err):
 * An ARK or ASK certificate in at most PSP_AMD_CERT_MAX bytes.
 */
int psp_cert_make_amd(uint8_t out[PSP_AMD_CERT_MAX], size_t *len,
    enum psp_usage usage, EVP_PKEY *key, const uint8_t key_id[PSP_KEY_ID_LEN],
    EVP_PKEY *signer, const uint8_t signer_id[PSP_KEY_ID_LEN], struct err *err);

#endif
