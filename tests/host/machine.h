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

/** machine_chain(out, cap, len, m, form, err): the chain to be sent. */
int machine_chain(uint8_t *out, size_t cap, size_t *len,
    const struct machine *m, enum chain_form form, struct err *err);

/** machine_psp(m, err): a running secure processor, or NULL. */
struct psp *machine_psp(struct machine *m, struct err *err);

#endif
