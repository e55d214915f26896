#ifndef LAUNCH_COMMAND_H
#define LAUNCH_COMMAND_H

#include "common/err.h"
#include "common/span.h"

/* QEMU's command lines; no I/O. */

struct command {
	char **argv; /* owned, with a NULL behind the last */
	size_t count;
};

/* What the owner's answer and the host's firmware make of a guest. */
struct command_sev {
	unsigned cbitpos, reduced_phys_bits;
	uint32_t policy;
	bool kernel_hashes;
	int owner_cert_fd, session_fd; /* base64; -1: a guest nobody owns */
};

/**
 * command_check(argv, count, err):
 * A line that we can make a SEV guest of: it leaves SEV, the paused start and
 * the process to us, and does not ask for TCG.
 *   errors  ERR_USAGE: which word cannot stay
 */
int command_check(char *const *argv, size_t count, struct err *err);

/** command_probe(out, qemu, fd, err): asks the host, starts no guest.
 *   errors  ERR_MEMORY */
int command_probe(
    struct command *out, const char *qemu, int fd, struct err *err);

/** command_guest(out, argv, count, sev, fd, err): the checked line, paused,
 * with SEV, and QMP on ${fd}.  errors ERR_MEMORY */
int command_guest(struct command *out, const char *const *argv, size_t count,
    const struct command_sev *sev, int fd, struct err *err);

void command_free(struct command *c);

#endif
