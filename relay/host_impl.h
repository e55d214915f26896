#ifndef RELAY_HOST_IMPL_H
#define RELAY_HOST_IMPL_H

#include "common/log.h"
#include "relay/host_side.h"

/*
 * What host_side.c (the connection and its heads), host_errand.c (requests
 * without one) and host_job.c (a request on its way) share.
 */

struct host {
	TAILQ_ENTRY(host) link;
	TAILQ_ENTRY(host) held_link;
	struct worker *worker;
	struct http_server *http;      /* NULL: over, or an errand */
	struct message_errand *errand; /* owned; NULL: none */
	enum path_side side;
	struct peer peer;
	struct log_subject subject;
	uint64_t setup_number; /* by which the certificate was judged */
	bool disowned;         /* and is no good any more */
	char identity[ADMIT_IDENTITY_MAX + 1];

	/* The request under way. */
	struct path path;
	struct handle handle; /* generation 0: none */
	struct job *job;      /* owned; NULL: with the tunnel, or none */
	struct handle tunnel; /* that has it */
	size_t charged;       /* bytes of memory */
	uint64_t began_ms;
	uint64_t due_ms;        /* when we give up */
	uint64_t answer_due_ms; /* ... on the agent that has it */
	uint64_t wait_due_ms; /* ... to wait for an agent; 0: not waited yet */
	bool held;
	bool elsewhere; /* an agent said that it is another's */
	struct host_search
	    *search; /* owned; NULL: the directory was not asked */
	uint64_t tried[ROUTE_MAX]; /* sessions */
	size_t tried_count;
	struct loop_timer timer;

	/* Which worker's tunnels it asks for, and how often in a row. */
	uint32_t near;
	unsigned near_count;
	struct loop_task move;

	struct loop_grave grave;
};

/** host_begin(h, head, err): make the job, less its body. */
int host_begin(struct host *h, const struct http_head *head, struct err *err);

/** host_send_to(h, route): the job goes to that tunnel. */
void host_send_to(struct host *h, const struct route *route);

/** host_was_tried(h, session): did its tunnel get the job before? */
bool host_was_tried(const struct host *h, uint64_t session);

/** host_wait(h): no tunnel is left to ask: wait for one, or answer. */
void host_wait(struct host *h);

/** host_dispatch(h): send the job to a tunnel, or wait for one. */
void host_dispatch(struct host *h);

/** host_end(h): the request is answered or abandoned: tell the tunnel with
 * ${code} if it still works on it, release all. */
void host_end(struct host *h, enum frame_reset code);

/** host_fail(h, problem, code): answer with a problem of ours; host_end(). */
void host_fail(struct host *h, enum problem problem, enum frame_reset code);

/** host_errand_over(h, problem, job): the errand is answered, by ${job}, which
 * it takes, or by a problem if that is NULL; ${h} is gone then. */
void host_errand_over(struct host *h, enum problem problem, struct job *job);

/** host_enrol_head(h, head, body_max): an agent wants to be known. */
enum http_verdict host_enrol_head(
    struct host *h, const struct http_head *head, size_t *body_max);

/** host_enrol(h, body): judge it, and answer now or later. */
void host_enrol(struct host *h, struct span body);

/** host_routed(h, to): a request goes to a tunnel of the worker ${to}. */
void host_routed(struct host *h, uint32_t to);

/** host_settle(h): its request is answered: shall it move to another worker?
 * Then it does so at the end of the turn, by host_move(). */
void host_settle(struct host *h);
void host_move(void *arg);

/** host_drain(h, idle_too): as host_drain_all(), of one. */
void host_drain(struct host *h, bool idle_too);

/** host_drain_held(w): nobody they could wait for will come here any more. */
void host_drain_held(struct worker *w);

/** host_timer(h): the timer of the request. */
void host_timer(void *arg);

#endif
