#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include "common/err.h"
#include "common/span.h"

/* RFC 4648 section 4, standard alphabet, padded. */

/** base64_len(len): characters of ${len} bytes, without a NUL. */
size_t base64_len(size_t len);

/**
 * base64_encode(out, cap, in):
 * Write ${in} without line breaks and with a NUL.  ${cap} must be at least
 * base64_len(in.len) + 1; less is our own bug and aborts.  Returns ${out}.
 */
char *base64_encode(char *out, size_t cap, struct span in);

/**
 * base64_decode(out, cap, len, in, err):
 * Decode ${in}; CR, LF and spaces at its end are dropped (files of sevctl and
 * QEMU end in one), anything else outside the alphabet is refused, as are
 * missing padding and non-zero bits behind the last byte.
 *   shapes  at most ${cap} bytes go to ${out}, their number to ${len}
 *   errors  ERR_MALFORMED; ERR_LIMIT: more than ${cap} bytes.  ${out} is then
 *           unusable
 *   source  docs/protocol.md 3
 */
int base64_decode(uint8_t *out, size_t cap, size_t *len, struct span in,
    struct err *err);

#endif
