#ifndef RELAY_CONFINE_H
#define RELAY_CONFINE_H

#include "relay/config.h"

/**
 * confine(c, file, err):
 * Give up all that a serving relay does not need, as sandbox.* says; what it
 * may still read is where ${file} and the paths in ${c} lie.  Before the first
 * thread is made.  A kernel without Landlock is warned of.
 *   errors  ERR_IO
 */
int confine(const struct relay_config *c, const char *file, struct err *err);

#endif
