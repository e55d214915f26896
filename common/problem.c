#include "common/problem.h"

#include <stdio.h>
#include <string.h>

/* docs/protocol.md 9.  Columns: name, status, title, detail, retry, wait. */
/* clang-format off */
static const struct problem_type types[PROBLEM_COUNT] = {
	[PROBLEM_BAD_REQUEST] = { "bad-request", 400, "Bad request",
	    "The request is malformed.", false, 0 },
	[PROBLEM_HOST_UNAUTHENTICATED] = { "host-unauthenticated", 401,
	    "Host not authenticated",
	    "The relay does not know this host.", false, 0 },
	[PROBLEM_REFUSED] = { "refused", 403, "Refused",
	    "The guest owner does not accept this launch. The reason is in "
	    "the owner's log.", false, 0 },
	[PROBLEM_ENROLMENT_REFUSED] = { "enrolment-refused", 403,
	    "Enrolment refused",
	    "The relay does not take this key. Ask its operator for a new "
	    "token.", false, 0 },
	[PROBLEM_MEASUREMENT_MISMATCH] = { "measurement-mismatch", 403,
	    "Measurement mismatch",
	    "The measurement fits no open session.", false, 0 },
	[PROBLEM_NOT_FOUND] = { "not-found", 404, "Not found",
	    "There is nothing at this path.", false, 0 },
	[PROBLEM_HTTP_405] = { "http-405", 405, "Method not allowed",
	    "The path does not take this method.", false, 0 },
	[PROBLEM_HTTP_411] = { "http-411", 411, "Length required",
	    "The request needs a Content-Length.", false, 0 },
	[PROBLEM_HTTP_413] = { "http-413", 413, "Content too large",
	    "The body is larger than this path takes.", false, 0 },
	[PROBLEM_HTTP_414] = { "http-414", 414, "URI too long",
	    "The request target is too long.", false, 0 },
	[PROBLEM_HTTP_415] = { "http-415", 415, "Unsupported media type",
	    "The body must be application/json.", false, 0 },
	[PROBLEM_HTTP_417] = { "http-417", 417, "Expectation failed",
	    "The only expectation met is 100-continue.", false, 0 },
	[PROBLEM_HTTP_431] = { "http-431", 431, "Header fields too large",
	    "The head of the request is too large.", false, 0 },
	[PROBLEM_HTTP_501] = { "http-501", 501, "Not implemented",
	    "Transfer codings are not supported; send Content-Length.",
	    false, 0 },
	[PROBLEM_HTTP_505] = { "http-505", 505, "HTTP version not supported",
	    "The relay speaks HTTP/1.1.", false, 0 },
	[PROBLEM_LAUNCH_BLOB_REUSED] = { "launch-blob-reused", 409,
	    "Launch blob reused",
	    "A second guest was started from one launch session.", false, 0 },
	[PROBLEM_IN_PROGRESS] = { "in-progress", 409, "In progress",
	    "The same request is being answered.", true, 1 },
	[PROBLEM_SESSION_CLOSED] = { "session-closed", 410, "Session closed",
	    "The session has ended; start again with a launch.", false, 0 },
	[PROBLEM_WRONG_RELAY] = { "wrong-relay", 421, "Wrong relay",
	    "Another relay holds the tunnel of this VM.", true, 0 },
	[PROBLEM_SCHEME_UNSUPPORTED] = { "scheme-unsupported", 422,
	    "Scheme not supported",
	    "The attestation scheme is not supported.", false, 0 },
	[PROBLEM_IDEMPOTENCY_MISMATCH] = { "idempotency-mismatch", 422,
	    "Idempotency mismatch",
	    "The idempotency key was used with another body.", false, 0 },
	[PROBLEM_INVALID_FIELD] = { "invalid-field", 422, "Invalid field",
	    "A member of the body has an unusable value.", false, 0 },
	[PROBLEM_TOO_EARLY] = { "too-early", 425, "Too early",
	    "Early data is not accepted.", true, 0 },
	[PROBLEM_RATE_LIMITED] = { "rate-limited", 429, "Rate limited",
	    "There are too many requests.", true, 5 },
	[PROBLEM_TOO_MANY_OPEN_SESSIONS] = { "too-many-open-sessions", 429,
	    "Too many open sessions",
	    "The VM has too many launch sessions that were not used.",
	    true, 30 },
	[PROBLEM_TUNNEL_LOST] = { "tunnel-lost", 502, "Tunnel lost",
	    "The agent went away after it got the request.", true, 2 },
	[PROBLEM_AGENT_PROTOCOL] = { "agent-protocol", 502, "Agent protocol",
	    "The agent broke the protocol of the tunnel.", false, 0 },
	[PROBLEM_AGENT_UNAVAILABLE] = { "agent-unavailable", 503,
	    "Agent unavailable",
	    "No agent answers for this VM now.", true, 5 },
	[PROBLEM_APPROVAL_PENDING] = { "approval-pending", 503,
	    "Approval pending",
	    "The guest owner has been asked.", true, 10 },
	[PROBLEM_AGENT_STORAGE] = { "agent-storage", 503, "Agent storage",
	    "The agent cannot record its answer.", true, 30 },
	[PROBLEM_CEK_UNAVAILABLE] = { "cek-unavailable", 503,
	    "CEK unavailable",
	    "The certificate of the chip cannot be fetched now.", true, 30 },
	[PROBLEM_OVERLOADED] = { "overloaded", 503, "Overloaded",
	    "The relay is at its limit.", true, 2 },
	[PROBLEM_DRAINING] = { "draining", 503, "Draining",
	    "The relay is being restarted.", true, 1 },
	[PROBLEM_AGENT_TIMEOUT] = { "agent-timeout", 504, "Agent timeout",
	    "The agent did not answer in time.", true, 5 },
	[PROBLEM_UPGRADE_REQUIRED] = { "http-426", 426, "Upgrade required",
	    "This path is for WebSocket version 13.", false, 0 },
};
/* clang-format on */

const struct problem_type *
problem_get(enum problem p)
{
	return &types[p < PROBLEM_COUNT ? p : PROBLEM_BAD_REQUEST];
}

enum problem
problem_of_status(unsigned status)
{
	static const enum problem of[] = { PROBLEM_BAD_REQUEST,
		PROBLEM_HOST_UNAUTHENTICATED, PROBLEM_NOT_FOUND,
		PROBLEM_HTTP_405, PROBLEM_HTTP_411, PROBLEM_HTTP_413,
		PROBLEM_HTTP_414, PROBLEM_HTTP_415, PROBLEM_HTTP_417,
		PROBLEM_TOO_EARLY, PROBLEM_UPGRADE_REQUIRED, PROBLEM_HTTP_431,
		PROBLEM_HTTP_501, PROBLEM_HTTP_505 };

	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++)
		if (types[of[i]].status == status)
			return of[i];
	return PROBLEM_BAD_REQUEST;
}

unsigned
problem_wait_s(enum problem p, uint32_t random)
{
	unsigned wait = problem_get(p)->retry_after_s, fifth = wait / 5;

	return wait - fifth + random % (2 * fifth + 1);
}

static void
put(struct writer *w, const char *s)
{
	writer_put(w, span_str(s));
}

/* Only ${marks}, letters and digits: nothing that JSON would want escaped. */
static bool
is_plain(struct span s, const char *marks, size_t max)
{
	if (s.len == 0 || s.len > max)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		if ((c < '0' || c > '9') && (c < 'A' || c > 'Z') &&
		    (c < 'a' || c > 'z') &&
		    (c == '\0' || strchr(marks, c) == NULL))
			return false;
	}
	return true;
}

void
problem_write(struct writer *w, enum problem p, enum problem_origin origin,
    struct span instance, struct span pointer)
{
	const struct problem_type *t = problem_get(p);
	char status[8];

	snprintf(status, sizeof(status), "%u", t->status);
	put(w, "{\"type\":\"urn:attest-relay:problem:");
	put(w, t->name);
	put(w, "\",\"title\":\"");
	put(w, t->title);
	put(w, "\",\"status\":");
	put(w, status);
	put(w, ",\"detail\":\"");
	put(w, t->detail);
	/* 64 for a request id; "urn:uuid:" and a UUID are shorter. */
	if (is_plain(instance, "._-:", 64)) {
		put(w, "\",\"instance\":\"");
		writer_put(w, instance);
	}
	if (p == PROBLEM_INVALID_FIELD &&
	    is_plain(pointer, "/_-", PROBLEM_POINTER_MAX)) {
		put(w, "\",\"pointer\":\"");
		writer_put(w, pointer);
	}
	put(w, "\",\"origin\":\"");
	put(w, origin == PROBLEM_OF_RELAY ? "relay" : "agent");
	put(w, t->retry ? "\",\"retry\":true}" : "\",\"retry\":false}");
}
