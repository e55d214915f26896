#ifndef HOST_GUEST_H
#define HOST_GUEST_H

#include "tests/host/answers.h"
#include "tests/host/machine.h"

/* One guest in a secure processor. */
struct guest {
	struct psp *psp; /* owned by the caller */
	uint32_t handle; /* 0: none */
	uint8_t measurement[PSP_MEASUREMENT_LEN];
};

/**
 * guest_start(g, psp, m, answer, o, err):
 * LAUNCH_START with what the owner sent, the image, LAUNCH_MEASURE.
 * HOST_PSP: the secure processor refused; HOST_USAGE: as QEMU would, before.
 */
enum outcome guest_start(struct guest *g, struct psp *psp,
    const struct machine *m, const struct launch_answer *answer,
    const struct options *o, struct err *err);

/**
 * guest_inject(secret, status, g, m, answer, o, err):
 * LAUNCH_SECRET into the firmware's area, then read the table as the guest.
 * HOST_WRONG: no such secret there.  ${status} is the firmware's.
 */
enum outcome guest_inject(struct secret *secret, enum psp_status *status,
    struct guest *g, const struct machine *m,
    const struct validate_answer *answer, const struct options *o,
    struct err *err);

/** guest_end(g): DECOMMISSION. */
void guest_end(struct guest *g);

#endif
