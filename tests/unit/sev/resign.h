#ifndef TESTS_UNIT_SEV_RESIGN_H
#define TESTS_UNIT_SEV_RESIGN_H

#include <openssl/evp.h>

#include "agent/sev/cert.h"

/* Signatures by the public private keys of fixtures/certs/synthetic-a. */

/** resign_key(path): a PEM key of tests/fixtures. */
EVP_PKEY *resign_key(const char *path);

/** resign_slot(cert, slot, usage, algo, field): write a signature slot. */
void resign_slot(uint8_t *cert, size_t slot, uint32_t usage, uint32_t algo,
    const uint8_t field[SEV_CERT_SIG_LEN]);

/** resign_ec(field, key, sha384, text): ECDSA, as it lies on the wire. */
void resign_ec(uint8_t field[SEV_CERT_SIG_LEN], EVP_PKEY *key, bool sha384,
    struct span text);

/**
 * resign_rsa(field, key, padding, salt, sha384, text):
 * RSA with OpenSSL's ${padding} and PSS salt length, little-endian.
 */
void resign_rsa(uint8_t field[SEV_CERT_SIG_LEN], EVP_PKEY *key, int padding,
    int salt, bool sha384, struct span text);

#endif
