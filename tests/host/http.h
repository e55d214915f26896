#ifndef HOST_HTTP_H
#define HOST_HTTP_H

#include "common/secret.h"
#include "tests/host/options.h"

/* One HTTPS connection of a host, kept alive between requests. */

#define HTTP_BODY_MAX 65536 /* docs/protocol.md 3 */

struct http;

struct http_answer {
	long status;         /* 0: none came */
	long retry_after_s;  /* -1: not said */
	struct secret body;  /* owned */
	char request_id[80]; /* empty: not said */
	bool hopeless;       /* of status 0: trying again cannot help */
	char why[160];       /* of status 0 */
};

/** http_setup(): once, before any thread starts. */
void http_setup(void);

/** http_new(out, o, err): certificates are always verified.
 *   errors  ERR_USAGE, ERR_IO, ERR_INTERNAL */
int http_new(struct http **out, const struct options *o, struct err *err);
void http_free(struct http *h);

/**
 * http_post(out, h, url, body, key, timeout_ms):
 * One try of a POST of JSON; ${key}, if not NULL, goes out as
 * Idempotency-Key.  Whatever ${out} held is released.
 */
void http_post(struct http_answer *out, struct http *h, const char *url,
    struct span body, const char *key, long timeout_ms);

void http_answer_free(struct http_answer *a);

#endif
