#ifndef COMMON_HEX_H
#define COMMON_HEX_H

#include "common/err.h"
#include "common/span.h"

/**
 * hex_encode(out, cap, in):
 * Write ${in} as lower-case hex with a NUL.  ${cap} must be at least
 * 2 * in.len + 1; less is our own bug and aborts.  Returns ${out}.
 */
char *hex_encode(char *out, size_t cap, struct span in);

/**
 * hex_decode(out, out_len, in, err):
 * Decode ${in}, which must be exactly 2 * ${out_len} digits of any case.
 *   errors  ERR_MALFORMED: another length or character; ${out} is unusable
 */
int hex_decode(uint8_t *out, size_t out_len, struct span in, struct err *err);

#endif
