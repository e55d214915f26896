#ifndef AGENT_NET_DIRECT_H
#define AGENT_NET_DIRECT_H

#include "agent/net/worker.h"
#include "common/admit.h"
#include "common/err.h"

/*
 * Hosts' requests by HTTPS, without a relay: the agent inside the cloud.  A
 * thread of `net` that stands in the relay's place: the same resources of
 * docs/protocol.md 2, headers (8), problems (9), limits and times, and the
 * same worker behind it.  There is no other resource, and no agent is served.
 */
struct direct;

struct direct_options {
	const char *listen;      /* ADDRESS:PORT */
	const char *base;        /* "" or "/sev" */
	const char *certificate; /* PEM files */
	const char *key;
	const char *client_ca;    /* "": certificates are not asked for */
	struct admit_hosts hosts; /* nobody, if it is all zeros */
};

/**
 * direct_open(out, options, err):
 * Read the files, bind; accept nothing yet.
 *   lifetime  borrows all of ${options}
 *   errors    ERR_IO, ERR_MALFORMED, ERR_CONFLICT, ERR_MEMORY, ERR_INTERNAL
 */
int direct_open(
    struct direct **out, const struct direct_options *options, struct err *err);

/** direct_start(d, w, err): serve, in a thread of its own.  errors
 * ERR_INTERNAL */
int direct_start(struct direct *d, struct worker *w, struct err *err);

/** direct_end(d): accept no more, finish what is under way for a moment.  Any
 * thread; NULL is fine. */
void direct_end(struct direct *d);

/** direct_wait(d): until it has ended.  NULL is fine. */
void direct_wait(struct direct *d);

/** direct_address(d): where it listens, with the true port. */
const char *direct_address(const struct direct *d);

/** direct_answers(d): requests answered by the vault so far.  Any thread. */
uint64_t direct_answers(const struct direct *d);

/** direct_free(d): after the worker was stopped, whose last answers may still
 * come here; NULL is fine. */
void direct_free(struct direct *d);

#endif
