#ifndef HOST_FILE_H
#define HOST_FILE_H

#include "common/secret.h"

/** file_read(out, path, err): a whole file.  errors ERR_IO, ERR_MEMORY */
int file_read(struct secret *out, const char *path, struct err *err);

/** file_write(path, data, err): mode 0600, replaced as one; "-" is standard
 * output.  errors ERR_IO */
int file_write(const char *path, struct span data, struct err *err);

#endif
