#ifndef AGENT_SEV_HASH_TABLE_H
#define AGENT_SEV_HASH_TABLE_H

#include "agent/sev/hash.h"
#include "common/err.h"
#include "common/span.h"

#define SEV_HASH_TABLE_LEN 176 /* 168 and 8 bytes of padding, measured too */
#define SEV_HASH_TABLE_CMDLINE 0
#define SEV_HASH_TABLE_INITRD 1
#define SEV_HASH_TABLE_KERNEL 2

/* What QEMU measures of a direct boot with kernel-hashes=on: SHA-256 each. */
struct sev_kernel_hashes {
	uint8_t cmdline[SEV_SHA256_LEN]; /* of the text and its NUL */
	uint8_t initrd[SEV_SHA256_LEN];  /* of the file; of nothing if none */
	uint8_t kernel[SEV_SHA256_LEN];  /* of the file */
};

/** sev_hash_table_build(out, in): QEMU's table.  source QEMU target/i386/sev.c */
void sev_hash_table_build(
    uint8_t out[SEV_HASH_TABLE_LEN], const struct sev_kernel_hashes *in);

/**
 * sev_hash_table_cmdline(out, cmdline, err):
 * SHA-256 of ${cmdline} and a NUL; no command line is an empty one.
 *   errors  ERR_MALFORMED: ${cmdline} has a NUL inside; ERR_INTERNAL
 */
int sev_hash_table_cmdline(
    uint8_t out[SEV_SHA256_LEN], struct span cmdline, struct err *err);

#endif
