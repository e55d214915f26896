#ifndef LAUNCH_REQUEST_H
#define LAUNCH_REQUEST_H

#include <jansson.h>

#include "common/secret.h"

/*
 * Bodies of the two POSTs, from an object of what the hypervisor reported.
 * Beside the names of docs/protocol.md 4 and 5 those of QEMU and libvirt are
 * taken (cpu0-id, sev-measurement, sev-api-major ...), so that a manager can
 * hand on what virNodeGetSEVInfo() or virDomainGetLaunchSecurityInfo() gave.
 * `uuid` may stand in it and is not sent; any other name is an error, since a
 * misspelt one would silently be missing.
 */

/** request_launch(out, in, err):
 *   errors  ERR_USAGE: a member is missing, unknown, or not what it must be;
 *           ERR_MEMORY, ERR_INTERNAL */
int request_launch(struct secret *out, json_t *in, struct err *err);

/** request_validate(out, in, err): errors as above. */
int request_validate(struct secret *out, json_t *in, struct err *err);

#endif
