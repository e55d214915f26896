#ifndef TESTS_BENCH_DRIVER_HOST_H
#define TESTS_BENCH_DRIVER_HOST_H

#include "tests/bench/driver/wire.h"

/* One compute host: a connection, and one request at a time on it. */

struct host;

enum host_result {
	HOST_OK,
	HOST_WRONG,   /* an answer, but not ours */
	HOST_REFUSED, /* another status than 200 */
	HOST_LOST,    /* no answer */
	HOST_RESULTS
};

struct host_target {
	struct ssl_ctx_st *ctx; /* NULL: plain */
	struct sockaddr_in to;
	const char *base;   /* "/sev" */
	const char *action; /* "launch" */
	const char *token;
	bool fresh; /* a connection for each request */
};

typedef void host_done_fn(void *arg, struct host *h, enum host_result result);

/** host_new(target, loop, done, arg): connects with its first request.
 * ${target} must outlive it.  NULL: no memory. */
struct host *host_new(const struct host_target *target, struct loop *loop,
    host_done_fn *done, void *arg);

/** host_post(h, vm): ask for the VM number ${vm}; ${done} follows, never from
 * inside this call.  The last request must be done. */
void host_post(struct host *h, uint32_t vm);

/** host_vm(h): of the request that is done. */
uint32_t host_vm(const struct host *h);

/** host_status(h): of the last answer; 0: none yet. */
unsigned host_status(const struct host *h);

/** host_free(h): no call follows. */
void host_free(struct host *h);

#endif
