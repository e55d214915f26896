#ifndef EMULATOR_ARGS_H
#define EMULATOR_ARGS_H

#include "common/err.h"
#include "tests/mock_qemu/line.h"

/*
 * The command lines of libvirt 9: what they say of the guest, and what is left
 * of them for a QEMU that knows no SEV.
 */
struct args {
	struct line line;
	bool run;            /* a guest, with its monitor on ${monitor} */
	int monitor;         /* listening descriptor of libvirt */
	const char *probe;   /* or a probe, with its monitor on this path */
	const char *pidfile; /* of a probe */
	char **argv;         /* for the real QEMU; ended by NULL */
	int argc;
	char files[4][512]; /* what ${line} borrows */
};

/**
 * args_read(out, argv, qmp):
 * ${qmp} is the listening descriptor that the real QEMU gets for its monitor.
 * Neither run nor probe: argv is as it was.
 *   errors  ERR_USAGE, ERR_MEMORY
 */
int args_read(struct args *out, char **argv, int qmp, struct err *err);

#endif
