#ifndef PSP_GUEST_H
#define PSP_GUEST_H

#include "tests/psp/psp.h"

/* Inside of the secure processor; for psp.c and launch.c alone. */

struct psp_guest {
	struct psp_guest_state s;
	EVP_MD_CTX *running; /* launch digest so far; NULL once measured */
};

struct psp {
	struct psp_platform *platform; /* borrowed */
	psp_random_fn *random;
	void *ctx;
	enum psp_platform_state state;
	struct psp_guest guests[PSP_GUESTS_MAX]; /* handle - 1 is the index */
};

/** psp_guest_new(handle, psp): a free slot with a fresh digest. */
enum psp_status psp_guest_new(uint32_t *handle, struct psp *psp);

/** psp_guest_get(out, psp, handle): a guest that is not UNINIT. */
enum psp_status psp_guest_get(
    struct psp_guest **out, struct psp *psp, uint32_t handle);

/** psp_guest_wipe(g): back to UNINIT. */
void psp_guest_wipe(struct psp_guest *g);

#endif
