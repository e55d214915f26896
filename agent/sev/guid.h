#ifndef AGENT_SEV_GUID_H
#define AGENT_SEV_GUID_H

#include "common/err.h"
#include "common/span.h"

#define SEV_GUID_LEN 16
#define SEV_GUID_TEXT_LEN 36 /* without the NUL */

/* A GUID as memory tables hold it: the first three fields little-endian. */
struct sev_guid {
	uint8_t bytes[SEV_GUID_LEN];
};

/**
 * sev_guid_parse(out, in, err):
 * Read 8-4-4-4-12 hex digits of any case, or the alias "luks-key" for the
 * disk passphrase (as virt-qemu-sev-validate has it).
 *   errors  ERR_MALFORMED
 *   source  UEFI 2.10 appendix A; RFC 9562 section 4
 */
int sev_guid_parse(struct sev_guid *out, struct span in, struct err *err);

/** sev_guid_format(out, g): lower case, with a NUL.  Returns ${out}. */
char *sev_guid_format(
    char out[SEV_GUID_TEXT_LEN + 1], const struct sev_guid *g);

bool sev_guid_equal(const struct sev_guid *a, const struct sev_guid *b);

/** sev_guid_is_zero(g): all bytes zero, which Linux takes as deleted. */
bool sev_guid_is_zero(const struct sev_guid *g);

#endif
