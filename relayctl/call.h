#ifndef RELAYCTL_CALL_H
#define RELAYCTL_CALL_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

/* One request to the relay's admin listener; the door to libcurl. */

struct call_target {
	const char *socket; /* Unix socket, unless ${url} is given */
	const char *url;    /* https://HOST:PORT; NULL: none */
	const char *ca;     /* PEM, for ${url}, as are the others */
	const char *cert;
	const char *key;
};

/**
 * call(out, status, target, method, path, body, err):
 * Send ${body}, NULL for none, and read the answer, a JSON object.
 *   lifetime  caller: json_decref(*out)
 *   errors    ERR_IO: the relay cannot be reached; ERR_MALFORMED: it answers
 *             something else; ERR_MEMORY
 */
int call(json_t **out, long *status, const struct call_target *target,
    const char *method, const char *path, const json_t *body, struct err *err);

#endif
