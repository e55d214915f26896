#ifndef RELAY_PRIVILEGES_H
#define RELAY_PRIVILEGES_H

#include "common/err.h"

/**
 * privileges_drop(user, err):
 * Started as root: become ${user} and its groups for good.  Else do nothing.
 * In both cases no program that we might be made to start gains any right.
 *   errors  ERR_USAGE: no such user, or it is root; ERR_IO
 */
int privileges_drop(const char *user, struct err *err);

/** privileges_check(user, err): would that find somebody to become?  errors
 * ERR_USAGE */
int privileges_check(const char *user, struct err *err);

/** privileges_raise_files(void): as many descriptors as we may have. */
void privileges_raise_files(void);

#endif
