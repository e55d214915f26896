#ifndef AGENT_SEV_AMD_CERT_H
#define AGENT_SEV_AMD_CERT_H

#include "agent/sev/hash.h"
#include "common/err.h"
#include "common/span.h"

#define SEV_AMD_HEAD_LEN 64
#define SEV_AMD_CERT_2048_LEN 832
#define SEV_AMD_CERT_4096_LEN 1600
#define SEV_AMD_ARK_2048_NO_SIG 576 /* the Naples ARK as AMD publishes it */
#define SEV_AMD_CERT_LEN_MAX SEV_AMD_CERT_4096_LEN
#define SEV_AMD_KEY_ID_LEN 16

/* ASK or ARK, as spans into the bytes it was read from. */
struct sev_amd_cert {
	struct span raw;
	struct span body; /* what the signature covers */
	struct span key_id;
	struct span certifying_id;
	uint32_t usage;       /* SEV_USAGE_ARK or SEV_USAGE_ASK */
	uint32_t bits;        /* of the modulus: 2048 or 4096 */
	struct span exponent; /* bits / 8 bytes, little-endian */
	struct span modulus;
	struct span signature; /* empty: a Naples ARK as published */
};

/**
 * sev_amd_cert_take(out, r, err):
 * Decode the ASK or ARK at the head of ${r} and move past it.
 *   lifetime  ${out} holds spans into the bytes of ${r}
 *   errors    ERR_MALFORMED: version, usage, sizes, or too short; ${out} and
 *             ${r} are then unusable
 *   source    55766 appendix B
 * A 2048-bit ARK may end with its body (576 bytes) when nothing follows: AMD's
 * Naples file does.  Only an equal pinned body makes such a one trusted.
 */
int sev_amd_cert_take(
    struct sev_amd_cert *out, struct reader *r, struct err *err);

/** sev_amd_cert_parse(out, in, err): as above, and no byte may be left over. */
int sev_amd_cert_parse(
    struct sev_amd_cert *out, struct span in, struct err *err);

/** sev_amd_cert_fingerprint(out, cert, err): SHA-256 of the body. */
int sev_amd_cert_fingerprint(uint8_t out[SEV_SHA256_LEN],
    const struct sev_amd_cert *cert, struct err *err);

/** sev_amd_cert_algo(cert): 2048 bits sign with SHA-256, 4096 with SHA-384. */
uint32_t sev_amd_cert_algo(const struct sev_amd_cert *cert);

#endif
