#ifndef HOST_REPORT_H
#define HOST_REPORT_H

#include "tests/host/options.h"
#include "tests/psp/status.h"

/* Words for a person; silent unless --transcript was given. */

/** report(o, who, fmt, ...): one line, "   psp | text". */
void report(const struct options *o, const char *who, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** report_bytes(o, who, what, data): the same, ending in hex. */
void report_bytes(const struct options *o, const char *who, const char *what,
    struct span data);

/** report_secret(o, uuid, secret): what the guest now holds; the one place
 * where a passphrase is printed, since this program plays the guest. */
void report_secret(
    const struct options *o, const char *uuid, struct span secret);

/** report_refused(o, uuid, status): another guest's packet, not opened. */
void report_refused(
    const struct options *o, const char *uuid, enum psp_status status);

#endif
