#ifndef AGENT_SEV_CHAIN_H
#define AGENT_SEV_CHAIN_H

#include "agent/sev/amd_cert.h"
#include "agent/sev/cert.h"

/* Every place of a chain, in the order of a `sevctl export --full` file. */
enum sev_place {
	SEV_PDH = 0,
	SEV_PEK,
	SEV_OCA,
	SEV_CEK,
	SEV_ASK,
	SEV_ARK,
	SEV_PLACES
};

/* No blob of a chain is longer: PDH, PEK, OCA, CEK, ASK, ARK. */
#define SEV_CHAIN_LEN_MAX (4 * SEV_CERT_LEN + 2 * SEV_AMD_CERT_LEN_MAX)

/* What a platform showed, as spans into the bytes it was read from. */
struct sev_chain {
	struct sev_cert cert[SEV_CEK + 1]; /* by enum sev_place */
	struct sev_amd_cert ask;
	struct sev_amd_cert ark;
	bool has[SEV_PLACES];
};

/**
 * sev_chain_parse(out, in, in_count, err):
 * Sort the certificates of ${in_count} blobs into their places.  Each blob
 * holds one or more certificates in rising order of enum sev_place, told apart
 * by their usage codes: QEMU's pdh and cert-chain, a sevctl export, AMD's
 * ASK+ARK file, or any other split of them.
 *   lifetime  ${out} holds spans into ${in}
 *   errors    ERR_MALFORMED: a certificate that is none, out of order, given
 *             twice with different bytes (but for the signature that AMD left
 *             out of a Naples ARK), or bytes left over; ERR_NOT_FOUND: a blob
 *             that starts with no certificate at all; ${out} is then unusable
 *   source    55766 5.10 (PDH_CERT_EXPORT), appendices B and C
 * Absent certificates are no error here: see ${out}->has.
 */
int sev_chain_parse(struct sev_chain *out, const struct span *in,
    size_t in_count, struct err *err);

/** sev_place_name(place): "PDH" ... "ARK". */
const char *sev_place_name(enum sev_place place);

#endif
