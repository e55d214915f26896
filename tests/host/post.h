#ifndef HOST_POST_H
#define HOST_POST_H

#include "tests/host/http.h"

/* A request sent until it has a final answer (docs/protocol.md 7). */

#define TALLY_STATUSES 600

struct tally {
	unsigned long statuses[TALLY_STATUSES]; /* [0]: connection lost */
	unsigned long retries;
};

/** post_now_ms(): a clock that only goes forward. */
double post_now_ms(void);

/**
 * post_until(out, tally, h, url, body, o, err):
 * Sent again after connection loss, 502, 503, 504, and 429, each after its
 * Retry-After with jitter, at most for the timeout of ${o}.
 * HOST_OK: status 200.  HOST_REFUSED, HOST_UNREACHABLE: see ${err}.
 */
enum outcome post_until(struct http_answer *out, struct tally *tally,
    struct http *h, const char *url, struct span body, const struct options *o,
    struct err *err);

#endif
