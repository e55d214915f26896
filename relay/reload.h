#ifndef RELAY_RELOAD_H
#define RELAY_RELOAD_H

#include "relay/relay.h"

/**
 * reload_run(relay, said):
 * Main: load relay->file again and let all threads use it: certificates,
 * tenants, tokens, limits, timeouts, log.  What is wrong is logged, told in
 * *${said} (FILE:LINE:COLUMN each), and everything stays as it was; after a
 * good one *${said} tells what only a restart changes, or is NULL.  Every worker
 * judges by the new one then, but one that is busy for seconds: that is logged.
 *   lifetime  *${said} is the caller's to free
 *   errors    -1: see *${said}, which is NULL without memory
 */
int reload_run(struct relay *relay, char **said);

#endif
