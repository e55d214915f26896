#ifndef HOST_LOAD_H
#define HOST_LOAD_H

#include "tests/host/host.h"

/**
 * load_run(m, o, expect, err):
 * The hosts of ${o}, each with its launches one after another, all UUIDs in
 * turn; prints one JSON object.  With a rate, launch number k begins at k /
 * rate, on whatever host is free, and its latency counts from then; "late" are
 * those for which none was.  HOST_OK: every launch opened its own secret.
 */
enum outcome load_run(struct machine *m, const struct options *o,
    const struct secret *expect, struct err *err);

#endif
