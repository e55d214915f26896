#ifndef AGENT_SEV_DIGEST_H
#define AGENT_SEV_DIGEST_H

#include "agent/sev/hash.h"
#include "agent/sev/hash_table.h"
#include "agent/sev/vmsa.h"

#define SEV_CPUS_MAX 4096

/* Where the vCPU save areas of an SEV-ES guest come from. */
enum sev_vcpu_source {
	SEV_VCPU_NONE = 0,  /* not told; fine without policy bit 2 */
	SEV_VCPU_SIGNATURE, /* built from ${signature} and ${variant} */
	SEV_VCPU_FILES      /* given as ${vmsa0}, and ${vmsa1} for 2 or more */
};

struct sev_vcpus {
	enum sev_vcpu_source source;
	uint32_t count; /* 1..SEV_CPUS_MAX */
	uint32_t signature;
	enum sev_vmsa_variant variant;
	struct span vmsa0; /* SEV_VMSA_LEN each */
	struct span vmsa1;
};

/* Everything that is measured before a guest runs. */
struct sev_launch {
	struct span firmware;                   /* pflash unit 0, whole */
	const struct sev_kernel_hashes *kernel; /* NULL: no hash table */
	uint32_t policy; /* bit 2 set: the vCPUs are measured */
	struct sev_vcpus vcpus;
};

/**
 * sev_digest_launch(out, in, err):
 * SHA-256(firmware || kernel hash table || VMSA of cpu 0, 1, ...).
 *   errors  ERR_UNSUPPORTED: a kernel for a firmware without a hash area, or
 *           SEV-ES without vCPUs or reset vector; ERR_MALFORMED: firmware or
 *           VMSA lengths; ERR_LIMIT: vCPU count; ERR_INTERNAL
 *   source  55766 6.3 to 6.5; QEMU docs/system/i386/amd-memory-encryption.rst
 */
int sev_digest_launch(
    uint8_t out[SEV_SHA256_LEN], const struct sev_launch *in, struct err *err);

/**
 * sev_digest_launches(out, in, counts, count, err):
 * sev_digest_launch() for each vCPU count of ${counts}, in any order, reading
 * the firmware once; ${in}->vcpus.count is not read.
 *   shapes  ${out} holds ${count} digests
 */
int sev_digest_launches(uint8_t (*out)[SEV_SHA256_LEN],
    const struct sev_launch *in, const uint32_t *counts, size_t count,
    struct err *err);

#endif
