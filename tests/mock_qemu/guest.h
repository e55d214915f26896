#ifndef MOCK_GUEST_H
#define MOCK_GUEST_H

#include "common/secret.h"
#include "tests/mock_qemu/line.h"
#include "tests/psp/guest_image.h"

/* A guest in the software secure processor, as QEMU drives it. */
struct guest {
	struct psp_platform platform;
	struct psp *psp;
	uint32_t handle; /* 0: none */
	uint32_t policy;
	struct guest_image_ovmf ovmf;
	uint8_t measurement[PSP_MEASUREMENT_LEN];
	struct secret memory; /* the firmware's secret area ... */
	uint64_t address;     /* ... and where it lies */
	bool running;
};

/** guest_host(g, err): the platform of $MOCK_QEMU_PLATFORM. */
int guest_host(struct guest *g, struct err *err);

/** guest_launch(g, l, err): up to LAUNCH_MEASURE.  errors ERR_CLOSED: the
 * secure processor refused, in QEMU's words */
int guest_launch(struct guest *g, const struct line *l, struct err *err);

/** guest_inject(g, header, payload, address, err): ${address} 0: where the
 * firmware says.  errors ERR_CLOSED: in QEMU's words */
int guest_inject(struct guest *g, struct span header, struct span payload,
    uint64_t address, struct err *err);

#endif
