#ifndef AGENT_SEV_GUEST_POLICY_H
#define AGENT_SEV_GUEST_POLICY_H

#include "common/err.h"
#include "common/span.h"

/* 55766 section 3.  Set bits forbid or demand. */
#define SEV_POLICY_NODBG 0x0001u
#define SEV_POLICY_NOKS 0x0002u
#define SEV_POLICY_ES 0x0004u
#define SEV_POLICY_NOSEND 0x0008u
#define SEV_POLICY_DOMAIN 0x0010u
#define SEV_POLICY_SEV 0x0020u
#define SEV_POLICY_RESERVED 0xffc0u
#define SEV_POLICY_TEXT_LEN_MAX 160

struct sev_policy_bit {
	uint32_t mask;
	const char *name;
	const char *about;
};

/** sev_guest_policy_bits(count): the table of named bits. */
const struct sev_policy_bit *sev_guest_policy_bits(size_t *count);

/** sev_guest_policy_find(out, name, err): mask of "nodbg"; ERR_NOT_FOUND */
int sev_guest_policy_find(uint32_t *out, struct span name, struct err *err);

/**
 * sev_guest_policy_format(out, policy):
 * Like "0x18000003 nodbg,noks,api>=0.24".  Returns ${out}.
 */
char *sev_guest_policy_format(
    char out[SEV_POLICY_TEXT_LEN_MAX], uint32_t policy);

/**
 * sev_guest_policy_check(policy, err):
 * Refuse what no owner can want: debugging allowed (the host could read the
 * guest's memory) or reserved bits set.  The session takes any value.
 *   errors  ERR_UNTRUSTED: NODBG is clear; ERR_USAGE: reserved bits
 */
int sev_guest_policy_check(uint32_t policy, struct err *err);

/** sev_guest_policy_min_api(major, minor, policy): the platform's least API. */
void sev_guest_policy_min_api(uint8_t *major, uint8_t *minor, uint32_t policy);

#endif
