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

/** file_read_fd(out, fd, max, err): the same of an open descriptor. */
int file_read_fd(struct secret *out, int fd, size_t max, struct err *err);

#endif
