#ifndef AGENT_SEV_VMSA_H
#define AGENT_SEV_VMSA_H

#include "common/err.h"
#include "common/span.h"

#define SEV_VMSA_LEN 4096
#define SEV_VMSA_FEATURES 0x3b0   /* offset of SEV_FEATURES, little-endian */
#define SEV_VMSA_DEBUG_SWAP 0x20u /* that some kernels set on their own */
#define SEV_VMSA_MODELS 5

/*
 * KVM_SEV_ES_INIT leaves the FPU fields zero, KVM_SEV_INIT2 fills them.  QEMU
 * up to 9.0 always, and later by default, does the former.
 */
enum sev_vmsa_variant { SEV_VMSA_LEGACY = 0, SEV_VMSA_INIT2 };

/**
 * sev_vmsa_signature(out, family, model, stepping, err):
 * CPUID Fn1 EAX of the *guest's* CPU model, from display numbers (EPYC-Milan:
 * 25, 1, 1).
 *   errors  ERR_USAGE: family over 270, model over 255, stepping over 15
 *   source  AMD APM volume 3, appendix E.3.2
 */
int sev_vmsa_signature(uint32_t *out, uint32_t family, uint32_t model,
    uint32_t stepping, struct err *err);

/** sev_vmsa_model_name(i): QEMU's EPYC models, ${i} below SEV_VMSA_MODELS. */
const char *sev_vmsa_model_name(size_t i);

/**
 * sev_vmsa_model_find(out, name, err):
 * The signature of QEMU's CPU model ${name}, its version ("-v2") or "-IBPB"
 * left aside, as neither changes it.
 *   errors  ERR_NOT_FOUND
 *   source  QEMU target/i386/cpu.c
 */
int sev_vmsa_model_find(uint32_t *out, struct span name, struct err *err);

/**
 * sev_vmsa_bsp(out, signature, variant), sev_vmsa_ap(out, ..., reset):
 * The save area of the first vCPU, and of every other one, which starts at
 * the ${reset} address of the firmware.
 *   source  QEMU x86_cpu_reset(), Linux arch/x86/kvm/svm; APM 2 appendix B
 */
void sev_vmsa_bsp(uint8_t out[SEV_VMSA_LEN], uint32_t signature,
    enum sev_vmsa_variant variant);
void sev_vmsa_ap(uint8_t out[SEV_VMSA_LEN], uint32_t signature,
    enum sev_vmsa_variant variant, uint32_t reset);

/** sev_vmsa_variant_find(out, name, err): "legacy", "init2"; ERR_NOT_FOUND */
int sev_vmsa_variant_find(
    enum sev_vmsa_variant *out, struct span name, struct err *err);
const char *sev_vmsa_variant_name(enum sev_vmsa_variant variant);

#endif
