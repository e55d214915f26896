#ifndef RELAY_ACCESS_H
#define RELAY_ACCESS_H

#include "relay/host_impl.h"

/* One answered request: a line of the access log, and its place in the
 * counters.  Neither knows a body. */

/** access_log(h, done): the line of docs/operations.md, "The log". */
void access_log(const struct host *h, const struct http_done *done);

/** access_count(h, done): for metrics. */
void access_count(struct host *h, const struct http_done *done);

#endif
