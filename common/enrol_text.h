#ifndef COMMON_ENROL_TEXT_H
#define COMMON_ENROL_TEXT_H

#include "common/span.h"

#define ENROL_TEXT_LEN 119
#define ENROL_HASH_LEN 32

/**
 * enrol_text(w, binding, exporter, token_hash, key):
 * The bytes that an enrolment signs (docs/protocol.md 12.3), for signer and
 * verifier: ENROL_TEXT_LEN of them, whatever the values.  ${exporter} is 32
 * bytes, ignored (zeros are signed) if ${binding} is 0; ${token_hash} is the
 * SHA-256 of the token's text, ${key} the Ed25519 public key.
 */
void enrol_text(struct writer *w, uint8_t binding, struct span exporter,
    struct span token_hash, struct span key);

#endif
