#ifndef AGENT_SEV_WRAP_H
#define AGENT_SEV_WRAP_H

#include "common/err.h"
#include "common/span.h"

/**
 * sev_wrap_ctr(out, in, key, iv, err):
 * AES-128-CTR; ${iv} is the first counter block, big-endian.  Both transport
 * keys and launch secrets travel so (55766 6.2, 6.6).  Inside agent/sev only.
 *   shapes  ${out} holds ${in}.len bytes, at most 2^30
 *   errors  ERR_INTERNAL
 */
int sev_wrap_ctr(uint8_t *out, struct span in, const uint8_t key[16],
    const uint8_t iv[16], struct err *err);

#endif
