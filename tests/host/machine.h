#ifndef HOST_MACHINE_H
#define HOST_MACHINE_H

#include "common/secret.h"
#include "tests/host/options.h"
#include "tests/psp/guest_image.h"

/* A compute host's hardware and the files of one VM; shared by all threads
 * once loaded. */
struct machine {
	struct psp_platform platform;
	struct guest_image image; /* spans into the files below */
	struct guest_image_ovmf ovmf;
	struct secret firmware, kernel, initrd;
	struct psp_api reported; /* the API this host claims */
};

/** machine_load(m, o, err): errors ERR_USAGE, ERR_IO, ERR_MALFORMED */
int machine_load(struct machine *m, const struct options *o, struct err *err);
void machine_free(struct machine *m);

/** machine_chain(out, cap, len, psp, m, form): the chain to be sent. */
int machine_chain(uint8_t *out, size_t cap, size_t *len,
    const struct machine *m, enum chain_form form, struct err *err);

struct launch_answer;
struct validate_answer;

/* One guest in a secure processor. */
struct guest {
	struct psp *psp; /* owned by the caller */
	uint32_t handle; /* 0: none */
	uint8_t measurement[PSP_MEASUREMENT_LEN];
};

/** machine_psp(m, err): a running secure processor, or NULL. */
struct psp *machine_psp(struct machine *m, struct err *err);

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
