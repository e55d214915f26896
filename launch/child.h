#ifndef LAUNCH_CHILD_H
#define LAUNCH_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"

/*
 * A QEMU of ours, and the socket to it.  The kernel kills it when we die, so
 * that no failure of ours leaves a guest behind.
 */
struct child {
	pid_t pid; /* 0: none, or reaped */
	int fd;    /* our end of its QMP socket; -1 once handed on */
};

/** child_socket(pair, err): {ours, QEMU's}; both close on exec. errors ERR_IO */
int child_socket(int pair[2], struct err *err);

/**
 * child_start(c, argv, pair, files, quiet, err):
 * Run ${argv}[0] (found by PATH) with pair[1] and the descriptors in ${files}
 * (ended by -1; NULL: none) open, and pair[0] as ${c}->fd.  ${quiet}: stdin
 * and stdout are /dev/null.  ${pair} is ours from now on, ${files} are not.
 *   errors  ERR_IO: it could not be started
 */
int child_start(struct child *c, char *const *argv, const int pair[2],
    const int *files, bool quiet, struct err *err);

/** child_kill(c): end it, and see it gone.  Twice is harmless. */
void child_kill(struct child *c);

/** child_hold_signals(): from now on SIGTERM, SIGINT, SIGHUP and SIGCHLD wait
 * for child_wait(), so that none is missed in between. */
void child_hold_signals(void);

/**
 * child_wait(c):
 * After child_hold_signals(): until it ends; SIGTERM, SIGINT and SIGHUP to us
 * become SIGTERM to it.  Returns its exit status, or 128 and the signal.
 */
int child_wait(struct child *c);

#endif
