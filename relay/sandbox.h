#ifndef RELAY_SANDBOX_H
#define RELAY_SANDBOX_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * What the process can still do once it serves: only the system calls of the
 * list in sandbox.c (seccomp), and only files below the folders given here
 * (Landlock).  Nothing of it can be undone.  For all threads made later, so
 * it comes before the workers.
 */

enum sandbox_access {
	SANDBOX_READ,   /* files in the folder of the path, also new ones */
	SANDBOX_FILE,   /* this one file or folder, for reading */
	SANDBOX_STATE,  /* the path is a folder, written in */
	SANDBOX_SOCKET, /* the path is a Unix socket that we make */
	SANDBOX_ACCESSES
};

struct sandbox_path {
	const char *path; /* borrowed; "" is passed over */
	enum sandbox_access access;
};

/**
 * sandbox_files(paths, count, abi, err):
 * Landlock.  Symbolic links are followed now: the folder in which they end
 * counts too.  What does not exist is passed over.  *${abi}: the kernel's
 * version of it; 0: it has none, and nothing was done.
 *   errors  ERR_IO
 */
int sandbox_files(
    const struct sandbox_path *paths, size_t count, int *abi, struct err *err);

/** sandbox_calls(err): seccomp.  errors  ERR_IO: the kernel refuses */
int sandbox_calls(struct err *err);

#endif
