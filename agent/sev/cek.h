#ifndef AGENT_SEV_CEK_H
#define AGENT_SEV_CEK_H

#include "agent/sev/cert.h"
#include "agent/sev/roots.h"

/**
 * sev_cek_verify(generation, cek, roots, root_count, err):
 * Is ${cek} a CEK that AMD, or one of ${root_count} operator's ${roots}, has
 * signed?  What tells a certificate of the key server from anything else,
 * before any platform shows its key.
 *   errors  ERR_UNTRUSTED: nobody has signed it, or it is no CEK;
 *           ERR_INTERNAL
 *   source  55766 2.2 and appendices B, C
 */
int sev_cek_verify(enum sev_generation *generation, const struct sev_cert *cek,
    const struct sev_root *roots, size_t root_count, struct err *err);

#endif
