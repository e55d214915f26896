#ifndef AGENT_FILE_H
#define AGENT_FILE_H

#include "common/err.h"
#include "common/secret.h"

/**
 * file_read(out, path, max, err):
 * All of a file that the owner named, at most ${max} bytes.
 *   errors  ERR_IO, ERR_LIMIT, ERR_MEMORY
 */
int file_read(
    struct secret *out, const char *path, size_t max, struct err *err);

/**
 * file_read_private(out, path, max, err):
 * The same of a file that is a secret of the owner's.
 *   errors  ERR_USAGE: others of the machine may read it, or any but its owner
 *           write it
 */
int file_read_private(
    struct secret *out, const char *path, size_t max, struct err *err);

/** file_check_private(path, err): the same judgement, for what a library reads
 * by itself.  errors ERR_IO, ERR_USAGE */
int file_check_private(const char *path, struct err *err);

/** file_read_fd(out, fd, max, err): the same of an open descriptor. */
int file_read_fd(struct secret *out, int fd, size_t max, struct err *err);

/**
 * file_create(path, err):
 * A new file (0600) to write to; never one that is there.
 *   returns  its descriptor; -1: errors ERR_CONFLICT, ERR_IO
 */
int file_create(const char *path, struct err *err);

/** file_write(fd, path, in, err): all of ${in}, on the disk with its name when
 * it returns.  errors ERR_IO */
int file_write(int fd, const char *path, struct span in, struct err *err);

#endif
