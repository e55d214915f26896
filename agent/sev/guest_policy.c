#include "agent/sev/guest_policy.h"

#include <stdio.h>
#include <string.h>

static const struct sev_policy_bit bits[] = {
	{ SEV_POLICY_NODBG, "nodbg", "debug commands are forbidden" },
	{ SEV_POLICY_NOKS, "noks", "no other guest may share the key" },
	{ SEV_POLICY_ES, "es", "SEV-ES is required" },
	{ SEV_POLICY_NOSEND, "nosend", "may not migrate to another platform" },
	{ SEV_POLICY_DOMAIN, "domain", "may migrate within its owner's only" },
	{ SEV_POLICY_SEV, "sev", "may migrate to SEV platforms only" },
};

const struct sev_policy_bit *
sev_guest_policy_bits(size_t *count)
{
	*count = sizeof(bits) / sizeof(*bits);
	return bits;
}

int
sev_guest_policy_find(uint32_t *out, struct span name, struct err *err)
{
	for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		if (span_is(name, bits[i].name)) {
			*out = bits[i].mask;
			return 0;
		}
	}
	return err_set(err, ERR_NOT_FOUND,
	    "no such policy bit; there are nodbg, noks, es, nosend, domain "
	    "and sev");
}

void
sev_guest_policy_min_api(uint8_t *major, uint8_t *minor, uint32_t policy)
{
	*major = (uint8_t)(policy >> 16);
	*minor = (uint8_t)(policy >> 24);
}

char *
sev_guest_policy_format(char out[SEV_POLICY_TEXT_LEN_MAX], uint32_t policy)
{
	const char *mark = " ";
	uint8_t major, minor;
	int at = snprintf(out, SEV_POLICY_TEXT_LEN_MAX, "0x%x", policy);

	for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		if ((policy & bits[i].mask) == 0)
			continue;
		at += snprintf(out + at, SEV_POLICY_TEXT_LEN_MAX - (size_t)at,
		    "%s%s", mark, bits[i].name);
		mark = ",";
	}
	if ((policy & SEV_POLICY_RESERVED) != 0) {
		at += snprintf(out + at, SEV_POLICY_TEXT_LEN_MAX - (size_t)at,
		    "%sreserved=0x%x", mark, policy & SEV_POLICY_RESERVED);
		mark = ",";
	}
	sev_guest_policy_min_api(&major, &minor, policy);
	if (major != 0 || minor != 0)
		snprintf(out + at, SEV_POLICY_TEXT_LEN_MAX - (size_t)at,
		    "%sapi>=%u.%u", mark, major, minor);
	return out;
}

int
sev_guest_policy_check(uint32_t policy, struct err *err)
{
	if ((policy & SEV_POLICY_RESERVED) != 0)
		return err_set(err, ERR_USAGE,
		    "policy 0x%x has reserved bits 0x%x (55766 3)", policy,
		    policy & SEV_POLICY_RESERVED);
	if ((policy & SEV_POLICY_NODBG) == 0)
		return err_set(err, ERR_UNTRUSTED,
		    "policy 0x%x without nodbg (bit 0): the host could read "
		    "the guest's memory (55766 3)",
		    policy);
	return 0;
}
