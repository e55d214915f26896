#ifndef RELAY_PATH_H
#define RELAY_PATH_H

#include "common/frame.h"
#include "common/span.h"
#include "common/uuid.h"

/*
 * The fixed list of resources (docs/protocol.md 2); pure.  What is not on it
 * does not exist, and nothing of a path is sent on that was not parsed.
 */

enum path_kind {
	PATH_NONE,
	PATH_LAUNCH,
	PATH_VALIDATE,
	PATH_KBS_AUTH,
	PATH_KBS_ATTEST,
	PATH_KBS_RESOURCE,
	PATH_WELL_KNOWN,
	PATH_AGENT,
	PATH_ENROL,
	PATH_KINDS
};

enum path_side { PATH_PUBLIC, PATH_INTERNAL };

struct path {
	enum path_kind kind;
	struct uuid uuid; /* of the host's paths */
	/* What the agent is asked, "/vm/UUID/...": lower case, with a NUL. */
	char forward[FRAME_PATH_MAX + 1];
};

/**
 * path_route(out, allow, base, side, method, path, has_query):
 * Which resource is meant?  Returns 0, or the status that refuses it: 400 a
 * query string, 404 not on the list, a UUID that is none, or the other
 * listener's; 405 another method, then *${allow} is the Allow field.
 */
unsigned path_route(struct path *out, const char **allow, const char *base,
    enum path_side side, struct span method, struct span path, bool has_query);

/** path_name(kind): for logs. */
const char *path_name(enum path_kind kind);

/** path_is_kbs(kind): needs FRAME_CAP_KBS, may carry cookies. */
bool path_is_kbs(enum path_kind kind);

/** path_body_max(kind): bytes of a body, both ways (docs/protocol.md 3, 11). */
size_t path_body_max(enum path_kind kind);

#endif
