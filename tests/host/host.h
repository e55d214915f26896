#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "tests/host/guest.h"
#include "tests/host/messages.h"
#include "tests/host/post.h"

/* One host at work: its connection, its secure processor, its counts. */
struct host {
	const struct options *o;
	struct machine *m; /* shared, not changed */
	struct http *http;
	struct psp *psp;
	struct tally tally;
	struct http_answer answer; /* the last one */
};

/** host_open(h, m, o, err): HOST_OK or HOST_USAGE. */
enum outcome host_open(struct host *h, struct machine *m,
    const struct options *o, struct err *err);
void host_close(struct host *h);

/** host_ask_launch(out, h, uuid, request, err): POST /launch; the body sent
 * goes to ${request}, if not NULL. */
enum outcome host_ask_launch(struct launch_answer *out, struct host *h,
    const char *uuid, struct secret *request, struct err *err);

/** host_ask_validate(out, h, uuid, session, measurement, err): the second
 * POST. */
enum outcome host_ask_validate(struct validate_answer *out, struct host *h,
    const char *uuid, const struct launch_answer *session,
    struct span measurement, struct err *err);

/** host_launch(secret, h, uuid, err): a whole launch, its secret opened;
 * ${secret} stays empty if the owner registered none. */
enum outcome host_launch(
    struct secret *secret, struct host *h, const char *uuid, struct err *err);

/** host_cross(h, uuid, expect, err): two guests of one UUID without
 * session-id, their answers exchanged: each secret opens only in its own. */
enum outcome host_cross(struct host *h, const char *uuid,
    const struct secret *expect, struct err *err);

#endif
