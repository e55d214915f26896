#ifndef RELAY_FOLDER_H
#define RELAY_FOLDER_H

#include "common/err.h"

#include <sys/types.h>

/**
 * folder_make(path, mode, user, err):
 * Make the folder ${path} if it is not there, ours, or as root ${user}'s; what
 * is there is left as it is.  "" is fine: nothing.
 *   errors  ERR_IO; ERR_USAGE: no such user
 */
int folder_make(
    const char *path, mode_t mode, const char *user, struct err *err);

#endif
