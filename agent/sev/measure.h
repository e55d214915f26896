#ifndef AGENT_SEV_MEASURE_H
#define AGENT_SEV_MEASURE_H

#include "agent/sev/hash.h"
#include "agent/sev/session.h"

#define SEV_MEASURE_LEN 32
#define SEV_MEASURE_BLOB_LEN (SEV_MEASURE_LEN + SEV_NONCE_LEN)

/* Firmware of the secure processor, as PLATFORM_STATUS tells it. */
struct sev_build {
	uint8_t api_major;
	uint8_t api_minor;
	uint8_t build_id;
};

/* The blob of LAUNCH_MEASURE. */
struct sev_measure {
	uint8_t mac[SEV_MEASURE_LEN]; /* MEASURE */
	uint8_t nonce[SEV_NONCE_LEN]; /* MNONCE, drawn by the firmware */
};

/** sev_build_compare(a, b): < 0, 0, > 0 as (major, minor, build) tuples. */
int sev_build_compare(const struct sev_build *a, const struct sev_build *b);

/**
 * sev_measure_parse(out, in, err):
 * Split the measurement ${in}, exactly SEV_MEASURE_BLOB_LEN bytes.
 *   errors  ERR_MALFORMED
 */
int sev_measure_parse(struct sev_measure *out, struct span in, struct err *err);

/**
 * sev_measure_compute(out, tik, build, policy, digest, nonce, err):
 * MEASURE = HMAC-SHA256(TIK, 0x04 || API_MAJOR || API_MINOR || BUILD ||
 * POLICY || LD || MNONCE).
 *   shapes  ${tik} SEV_TK_LEN, ${digest} SEV_SHA256_LEN, ${nonce} SEV_NONCE_LEN
 *   errors  ERR_UNSUPPORTED: API older than 0.17, which MACed other inputs;
 *           ERR_INTERNAL
 *   source  55766 6.5, table 52
 */
int sev_measure_compute(uint8_t out[SEV_MEASURE_LEN],
    const uint8_t tik[SEV_TK_LEN], const struct sev_build *build,
    uint32_t policy, const uint8_t digest[SEV_SHA256_LEN],
    const uint8_t nonce[SEV_NONCE_LEN], struct err *err);

/**
 * sev_measure_verify(m, tik, build, policy, digest, err):
 * Compare ${m} with what the arguments demand, in constant time.
 *   returns  0: the guest is the one of ${digest} and ${policy}
 *   errors   ERR_UNTRUSTED: it is not; else as sev_measure_compute()
 */
int sev_measure_verify(const struct sev_measure *m,
    const uint8_t tik[SEV_TK_LEN], const struct sev_build *build,
    uint32_t policy, const uint8_t digest[SEV_SHA256_LEN], struct err *err);

#endif
