#ifndef LAUNCH_SERVICE_INSIDE_H
#define LAUNCH_SERVICE_INSIDE_H

#include "launch/service.h"

/* For service.c and service_ask.c alone. */

#define SERVICE_URL_MAX 512 /* docs/protocol.md 8 */

struct service {
	void *curl;                 /* of libcurl, whose door is service.c */
	void *fixed;                /* header lines of every request */
	char base[SERVICE_URL_MAX]; /* without a slash at its end */
	unsigned timeout_s;
	char error[256]; /* CURL_ERROR_SIZE */
};

/* Header lines of one request. */
struct service_fields {
	const char *type;
	const char *key; /* or NULL */
};

/** service_perform(out, s, path, body, fields, timeout_ms): one try. */
void service_perform(struct service_answer *out, struct service *s,
    const char *path, struct span body, const struct service_fields *fields,
    uint64_t timeout_ms);

#endif
