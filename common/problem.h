#ifndef COMMON_PROBLEM_H
#define COMMON_PROBLEM_H

#include "common/err.h"
#include "common/span.h"

/*
 * The problem types of docs/protocol.md 9 and their bodies (RFC 9457).  All
 * words are fixed: nothing of a request is echoed.
 */

#define PROBLEM_MEDIA_TYPE "application/problem+json"
#define PROBLEM_BODY_MAX 1024 /* bytes, enough for every body */
#define PROBLEM_POINTER_MAX 128

enum problem {
	PROBLEM_BAD_REQUEST,
	PROBLEM_HOST_UNAUTHENTICATED,
	PROBLEM_REFUSED,
	PROBLEM_ENROLMENT_REFUSED,
	PROBLEM_MEASUREMENT_MISMATCH,
	PROBLEM_NOT_FOUND,
	PROBLEM_HTTP_405,
	PROBLEM_HTTP_411,
	PROBLEM_HTTP_413,
	PROBLEM_HTTP_414,
	PROBLEM_HTTP_415,
	PROBLEM_HTTP_417,
	PROBLEM_HTTP_431,
	PROBLEM_HTTP_501,
	PROBLEM_HTTP_505,
	PROBLEM_LAUNCH_BLOB_REUSED,
	PROBLEM_IN_PROGRESS,
	PROBLEM_SESSION_CLOSED,
	PROBLEM_WRONG_RELAY,
	PROBLEM_SCHEME_UNSUPPORTED,
	PROBLEM_IDEMPOTENCY_MISMATCH,
	PROBLEM_INVALID_FIELD,
	PROBLEM_TOO_EARLY,
	PROBLEM_RATE_LIMITED,
	PROBLEM_TOO_MANY_OPEN_SESSIONS,
	PROBLEM_TUNNEL_LOST,
	PROBLEM_AGENT_PROTOCOL,
	PROBLEM_AGENT_UNAVAILABLE,
	PROBLEM_APPROVAL_PENDING,
	PROBLEM_AGENT_STORAGE,
	PROBLEM_CEK_UNAVAILABLE,
	PROBLEM_OVERLOADED,
	PROBLEM_DRAINING,
	PROBLEM_AGENT_TIMEOUT,
	PROBLEM_UPGRADE_REQUIRED, /* 426, the tunnel's path only */
	PROBLEM_COUNT
};

enum problem_origin { PROBLEM_OF_RELAY, PROBLEM_OF_AGENT };

struct problem_type {
	const char *name;
	unsigned status;
	const char *title;
	const char *detail;
	bool retry;             /* sending the same again may help */
	unsigned retry_after_s; /* default of Retry-After; 0: no header */
};

/** problem_get(p): its row; never NULL. */
const struct problem_type *problem_get(enum problem p);

/**
 * problem_of_status(status):
 * The type for a status that a head or a resource was refused with (400, 404,
 * 405, 411, 413, 414, 415, 417, 425, 426, 431, 501, 505); others give
 * PROBLEM_BAD_REQUEST.
 */
enum problem problem_of_status(unsigned status);

/**
 * problem_wait_s(p, random):
 * Retry-After in seconds, within a fifth of the default and at least 1, as
 * ${random} falls: those refused at once do not come back at once
 * (docs/protocol.md 9).  0: no header.
 */
unsigned problem_wait_s(enum problem p, uint32_t random);

/**
 * problem_write(w, p, origin, instance, pointer):
 * The body.  ${instance} is a request id ([A-Za-z0-9._-]{1,64}) or
 * "urn:uuid:..." and is left out if it is anything else.  ${pointer} (RFC 6901)
 * is for PROBLEM_INVALID_FIELD, of [A-Za-z0-9/_-]; {NULL, 0} for all others.
 */
void problem_write(struct writer *w, enum problem p, enum problem_origin origin,
    struct span instance, struct span pointer);

#endif
