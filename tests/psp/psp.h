#ifndef PSP_PSP_H
#define PSP_PSP_H

#include "tests/psp/platform.h"
#include "tests/psp/status.h"

/*
 * A software secure processor: the commands of AMD 55766 that a hypervisor
 * gives it on the way to a running SEV or SEV-ES guest.  Nothing but what the
 * real one returns leaves it, save through psp_guest_save(), which exists so
 * that a test may be several processes.  One struct psp is used by one thread.
 */

#define PSP_SESSION_LEN 128
#define PSP_MEASUREMENT_LEN 48 /* MEASURE 32, MNONCE 16 */
#define PSP_HEADER_LEN 52      /* of a launch secret */
#define PSP_PAYLOAD_MAX 16384
#define PSP_VMSA_LEN 4096
#define PSP_KEY_LEN 16 /* TEK, TIK */
#define PSP_POLICY_ES (1U << 2)
#define PSP_GUESTS_MAX 64

enum psp_platform_state { PSP_UNINIT, PSP_INIT, PSP_WORKING };

enum psp_guest_phase {
	PSP_GUEST_UNINIT,
	PSP_GUEST_LUPDATE,
	PSP_GUEST_LSECRET,
	PSP_GUEST_RUNNING
};

struct psp_platform_status {
	struct psp_api api;
	enum psp_platform_state state;
	bool externally_owned, es;
	uint32_t guest_count;
};

/* A guest's context, secrets included. */
struct psp_guest_state {
	enum psp_guest_phase phase;
	uint32_t policy;
	uint8_t tek[PSP_KEY_LEN], tik[PSP_KEY_LEN];
	uint8_t digest[32], measure[32], mnonce[16]; /* from LSECRET on */
};

struct psp;

/** Fill ${out} with ${len} bytes; 0, or -1 on a fault. */
typedef int psp_random_fn(void *ctx, uint8_t *out, size_t len);

/**
 * psp_new(platform, random, ctx):
 * A secure processor before INIT; ${platform} is borrowed and must live as
 * long.  ${random} draws MNONCE and firmware-made keys; NULL is the system's
 * generator.  NULL if there is no memory.
 */
struct psp *psp_new(
    struct psp_platform *platform, psp_random_fn *random, void *ctx);
/** psp_free(psp): wipes all guests; NULL is fine. */
void psp_free(struct psp *psp);

/** Platform commands (AMD 55766, chapter 5). */
enum psp_status psp_init(struct psp *psp);
enum psp_status psp_shutdown(struct psp *psp);
enum psp_status psp_platform_status(
    struct psp_platform_status *out, const struct psp *psp);
/** psp_pdh_cert_export(pdh, chain, psp):
 * ${chain} is PEK, OCA, CEK; the CEK without AMD's signature. */
enum psp_status psp_pdh_cert_export(uint8_t pdh[PSP_CERT_LEN],
    uint8_t chain[PSP_CHAIN_LEN], const struct psp *psp);
enum psp_status psp_pdh_gen(struct psp *psp);
enum psp_status psp_get_id(uint8_t out[PSP_CHIP_ID_LEN], const struct psp *psp);

/**
 * psp_launch_start(handle, psp, policy, godh, session):
 * A new guest from the owner's certificate and session; both empty: the
 * firmware makes the keys itself, and nobody can attest the guest.
 *   errors  BAD_MEASUREMENT: WRAP_MAC or POLICY_MAC; INVALID_CERTIFICATE:
 *           GODH; POLICY_FAILURE: minimum API, or SEV-ES not at hand;
 *           INVALID_LEN; RESOURCE_LIMIT
 *   source  AMD 55766 6.2
 */
enum psp_status psp_launch_start(uint32_t *handle, struct psp *psp,
    uint32_t policy, struct span godh, struct span session);

/** psp_launch_update_data(psp, handle, data): measure plaintext; its length a
 * multiple of 16, not 0 (AMD 55766 6.3). */
enum psp_status psp_launch_update_data(
    struct psp *psp, uint32_t handle, struct span data);

/** psp_launch_update_vmsa(psp, handle, page): one vCPU's save area; guests
 * without the ES policy bit get UNSUPPORTED (AMD 55766 6.4). */
enum psp_status psp_launch_update_vmsa(
    struct psp *psp, uint32_t handle, struct span page);

/** psp_launch_measure(out, cap, psp, handle): ${cap} below 48: INVALID_LEN
 * and no change (AMD 55766 6.5). */
enum psp_status psp_launch_measure(
    uint8_t *out, size_t cap, struct psp *psp, uint32_t handle);

/**
 * psp_launch_secret(memory, len, psp, handle, address, header, payload):
 * Check the packet and put its plaintext into guest ${memory} of ${len} bytes,
 * which lies at ${address}.
 *   errors  BAD_MEASUREMENT: its MAC; INVALID_LEN: header, payload, or guest
 *           length; INVALID_ADDRESS: not aligned to 16; UNSUPPORTED: flags
 *   source  AMD 55766 6.6
 */
enum psp_status psp_launch_secret(uint8_t *memory, size_t len, struct psp *psp,
    uint32_t handle, uint64_t address, struct span header, struct span payload);

enum psp_status psp_launch_finish(struct psp *psp, uint32_t handle);
enum psp_status psp_decommission(struct psp *psp, uint32_t handle);

/** psp_guest_status(phase, policy, psp, handle): GUEST_STATUS. */
enum psp_status psp_guest_status(enum psp_guest_phase *phase, uint32_t *policy,
    const struct psp *psp, uint32_t handle);

/** psp_guest_save(out, psp, handle): the context of a measured guest. */
enum psp_status psp_guest_save(
    struct psp_guest_state *out, const struct psp *psp, uint32_t handle);

/** psp_guest_restore(handle, psp, state): a guest from its context; in phase
 * LUPDATE nothing is measured yet. */
enum psp_status psp_guest_restore(
    uint32_t *handle, struct psp *psp, const struct psp_guest_state *state);

#endif
