#ifndef RELAY_METRICS_H
#define RELAY_METRICS_H

#include "relay/relay.h"

/**
 * metrics_text(r, len, err):
 * What the relay has done and holds, for Prometheus (text format 0.0.4); the
 * names are in docs/operations.md.  No UUID, key or address is in it.  Main.
 *   lifetime  the caller frees; NULL: ERR_MEMORY
 */
char *metrics_text(struct relay *r, size_t *len, struct err *err);

#define METRICS_MEDIA_TYPE "text/plain; version=0.0.4; charset=utf-8"

/** metrics_ready(r): may new work come here?  What /readyz answers. */
bool metrics_ready(const struct relay *r);

#endif
