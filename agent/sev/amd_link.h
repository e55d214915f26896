#ifndef AGENT_SEV_AMD_LINK_H
#define AGENT_SEV_AMD_LINK_H

#include "agent/sev/amd_cert.h"
#include "agent/sev/cert.h"

/* What an RSA key of AMD's signs.  Inside agent/sev only. */

/**
 * sev_amd_link_verify(parent, child, err):
 * ARK over itself or over its ASK: key ids, sizes and signature.
 *   errors  ERR_UNTRUSTED; ERR_MALFORMED: ${parent} has no RSA key
 *   source  55766 appendix B
 */
int sev_amd_link_verify(const struct sev_amd_cert *parent,
    const struct sev_amd_cert *child, struct err *err);

/**
 * sev_amd_link_cek(ask, cek, err):
 * Some slot of ${cek} holds a good signature of ${ask}.
 *   errors  as above
 */
int sev_amd_link_cek(const struct sev_amd_cert *ask, const struct sev_cert *cek,
    struct err *err);

#endif
