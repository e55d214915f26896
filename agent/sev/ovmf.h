#ifndef AGENT_SEV_OVMF_H
#define AGENT_SEV_OVMF_H

#include "common/err.h"
#include "common/span.h"

#define SEV_OVMF_LEN_MAX (64u << 20)

/* An area of guest memory that the firmware names; base 0 means "none". */
struct sev_ovmf_area {
	bool named;    /* the table has an entry, perhaps of zeros */
	uint32_t base; /* guest address */
	uint32_t size; /* bytes */
};

/* The GUID table at the end of an OVMF image. */
struct sev_ovmf {
	bool has_reset;
	uint32_t reset; /* address at which APs of SEV-ES start */
	struct sev_ovmf_area secret;
	struct sev_ovmf_area hashes;
	bool has_snp;
	uint32_t snp_offset; /* of the SNP metadata, from the end of the file */
	size_t entry_count;  /* entries in all, known or not */
};

/**
 * sev_ovmf_parse(out, firmware, err):
 * Walk the GUID table that ends 32 bytes before the end of ${firmware}.
 *   errors  ERR_NOT_FOUND: no footer GUID there; ERR_MALFORMED: a table or
 *           entry of a wrong length, or an entry twice.  ${out} is then zeros
 *   source  edk2 OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm,
 *           QEMU hw/i386/pc_sysfw_ovmf.c
 */
int sev_ovmf_parse(struct sev_ovmf *out, struct span firmware, struct err *err);

/** sev_ovmf_takes_hashes(o): there is room for the kernel hash table. */
bool sev_ovmf_takes_hashes(const struct sev_ovmf *o);

/** sev_ovmf_takes_secret(o): there is an area for the launch secret. */
bool sev_ovmf_takes_secret(const struct sev_ovmf *o);

/**
 * sev_ovmf_check_areas(o, kernel, err):
 * The areas are such that a host can fill them: neither QEMU nor the secure
 * processor looks whether the secret goes over the hashes of a ${kernel}.
 *   errors  ERR_UNSUPPORTED: one ends over 4 GiB, the secret's is not at a
 *           multiple of 16, or they overlap
 *   source  AMD 55766 6.6, QEMU target/i386/sev.c
 */
int sev_ovmf_check_areas(
    const struct sev_ovmf *o, bool kernel, struct err *err);

#endif
