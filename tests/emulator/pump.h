#ifndef EMULATOR_PUMP_H
#define EMULATOR_PUMP_H

#include <sys/types.h>

#include "tests/mock_qemu/guest.h"

struct pump {
	int listener; /* libvirt connects to it, perhaps again */
	int qmp;      /* address of the real QEMU's monitor: see pump.c */
	int child;    /* pidfd of the real QEMU */
	pid_t pid;    /* and its pid */
	bool once;    /* a probe: ends with the connection */
	struct guest *guest; /* SEV commands are answered from it */
};

/** pump_socket(out, err): a listening socket without a place in any folder.
 *   errors  ERR_IO */
int pump_socket(int *out, struct err *err);

/** pump_run(p): lines both ways until the real QEMU ends, or the probe. */
void pump_run(struct pump *p);

#endif
