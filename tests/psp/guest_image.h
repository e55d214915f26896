#ifndef PSP_GUEST_IMAGE_H
#define PSP_GUEST_IMAGE_H

#include "tests/psp/psp.h"

/*
 * What QEMU submits to the secure processor for one guest: firmware, kernel
 * hash table, one save area a vCPU.  Sources: QEMU target/i386/sev.c,
 * hw/i386/pc_sysfw_ovmf.c; OvmfPkg/ResetVector; AMD 55766 6.3 and 6.4.
 */

#define GUEST_IMAGE_HASHES_LEN 176 /* with its 8 bytes of padding */

struct guest_image {
	struct span firmware;
	bool kernel_hashes; /* QEMU kernel-hashes=on with a kernel */
	struct span kernel;
	struct span initrd;  /* empty: none */
	struct span cmdline; /* empty: none */
	unsigned vcpus;      /* SEV-ES only */
	uint32_t cpu_sig;    /* CPUID Fn1 EAX of the guest's CPU model */
	bool init2;          /* VM made by KVM_SEV_INIT2 */
};

struct guest_image_area {
	uint32_t base,
	    size; /* guest-physical, bytes; 0: the firmware has none */
};

/** Fields that the firmware publishes at its end. */
struct guest_image_ovmf {
	uint32_t reset; /* SEV-ES reset vector of further vCPUs; 0: none */
	struct guest_image_area secret, hashes;
};

/** guest_image_ovmf(out, firmware, err):
 * Zeros where the firmware says nothing.
 *   errors  ERR_MALFORMED: a broken table */
int guest_image_ovmf(
    struct guest_image_ovmf *out, struct span firmware, struct err *err);

/** guest_image_hashes(out, image, err): the kernel hash table. */
int guest_image_hashes(uint8_t out[GUEST_IMAGE_HASHES_LEN],
    const struct guest_image *image, struct err *err);

/** guest_image_vmsa(out, image, reset): a save area; ${reset} is 0xfffffff0
 * for the first vCPU, and the firmware's value for others. */
void guest_image_vmsa(
    uint8_t out[PSP_VMSA_LEN], const struct guest_image *image, uint32_t reset);

/**
 * guest_image_submit(psp, handle, image, err):
 * LAUNCH_UPDATE_DATA for firmware and hashes, LAUNCH_UPDATE_VMSA for each
 * vCPU if the guest's policy asks for SEV-ES.
 *   errors  ERR_UNSUPPORTED: what QEMU refuses; ERR_CLOSED: the secure
 *           processor refused, by the status in the message
 */
int guest_image_submit(struct psp *psp, uint32_t handle,
    const struct guest_image *image, struct err *err);

#endif
