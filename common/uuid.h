#ifndef COMMON_UUID_H
#define COMMON_UUID_H

#include "common/err.h"
#include "common/span.h"

#define UUID_TEXT_LEN 36 /* without the NUL */
#define UUID_KEY_LEN  32 /* Ed25519 public key */

struct uuid {
	uint8_t bytes[16]; /* in the order of the text */
};

/**
 * uuid_parse(out, in, err):
 * Read 8-4-4-4-12 hex digits of any case; no braces, no other form.
 *   errors  ERR_MALFORMED
 *   source  RFC 9562 section 4; docs/protocol.md 2
 */
int uuid_parse(struct uuid *out, struct span in, struct err *err);

/** uuid_format(out, u): lower case, with a NUL.  Returns ${out}. */
char *uuid_format(char out[UUID_TEXT_LEN + 1], const struct uuid *u);

bool uuid_equal(const struct uuid *a, const struct uuid *b);

/** uuid_v4(out, random): version and variant bits over 16 ${random} bytes. */
void uuid_v4(struct uuid *out, const uint8_t random[16]);

/**
 * uuid_self_certifying(out, key, label, err):
 * The UUIDv8 that only the holder of ${key} can claim: its 122 free bits are
 * the head of SHA-256("attest-relay.vm" || 0 || key || label).
 *   shapes  ${key} UUID_KEY_LEN bytes; ${label} at most 64 bytes
 *   errors  ERR_INTERNAL: SHA-256 is not available
 *   source  docs/protocol.md 12.3; RFC 9562 section 5.8
 */
int uuid_self_certifying(struct uuid *out, const uint8_t key[UUID_KEY_LEN],
    struct span label, struct err *err);

#endif
