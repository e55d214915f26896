#ifndef LAUNCH_FILE_H
#define LAUNCH_FILE_H

#include "common/err.h"
#include "common/secret.h"

/**
 * file_read(out, path, max, err):
 * All of a file, at most ${max} bytes; "-" is stdin.
 *   errors  ERR_IO, ERR_LIMIT, ERR_MEMORY
 */
int file_read(
    struct secret *out, const char *path, size_t max, struct err *err);

/**
 * file_read_token(out, path, err):
 * A bearer token: one line of visible ASCII, in a file that only its owner
 * (and a group, to read) may open.
 *   errors  ERR_IO, ERR_USAGE, ERR_MEMORY
 */
int file_read_token(struct secret *out, const char *path, struct err *err);

/**
 * file_memory(fd, name, data, err):
 * A file without a place in any folder, so that nobody else opens it and a
 * killed launcher leaves none; a child reads it as /proc/self/fd/N.
 *   lifetime  caller: close(); it closes on exec
 *   errors    ERR_IO
 */
int file_memory(int *fd, const char *name, struct span data, struct err *err);

#endif
