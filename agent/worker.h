#ifndef AGENT_WORKER_H
#define AGENT_WORKER_H

#include "agent/owner.h"
#include "agent/service.h"

/*
 * The vault's thread.  All that is queued is taken at once and committed in
 * one transaction, so that many launches share one sync of the disk; answers
 * are handed out after it.
 */
struct worker;

/* A host's request on its way through.  The poster owns it again when it
 * comes to worker_take(); release it by worker_job_free(). */
struct worker_job {
	struct worker_job *next;
	uint64_t link;             /* which tunnel; for the poster */
	uint32_t stream;           /* and which stream of it */
	struct service_request in; /* spans into ${bytes} */
	struct service_answer out;
	uint8_t *bytes; /* owned */
};

/** worker_job_new(in): a deep copy of ${in}; NULL: no memory. */
struct worker_job *worker_job_new(const struct service_request *in);
void worker_job_free(struct worker_job *job);

/* One VM to be claimed. */
struct worker_name {
	struct uuid vm;
	char label[REGISTRATION_NAME_MAX + 1];
};

struct worker_ops {
	/* Both from the worker's thread: make the other thread look. */
	void (*answered)(void *arg);   /* worker_take() has something */
	void (*registered)(void *arg); /* worker_names() has changed */
	void *arg;
};

/**
 * worker_start(out, v, ops, err):
 * A thread that alone uses ${v} until worker_stop().  errors ERR_INTERNAL
 */
int worker_start(struct worker **out, struct vault *v,
    const struct worker_ops *ops, struct err *err);

/** worker_stop(w): do what is queued, end the thread, release. */
void worker_stop(struct worker *w);

/* Requests between worker_post() and worker_take().  A relay that cancels its
 * streams has used up none of them, so streams alone are no limit. */
#define WORKER_QUEUE_MAX 1024

/**
 * worker_post(w, job): takes ${job} in every case.  Any thread.
 *   errors  -1: WORKER_QUEUE_MAX are on their way; nothing was done
 */
int worker_post(struct worker *w, struct worker_job *job);

/** worker_take(w): all jobs answered so far, a list; any thread. */
struct worker_job *worker_take(struct worker *w);

/** worker_ask(w, op, in, out, err): owner_handle() in the worker's thread,
 * committed when it returns.  Any other thread; waits. */
int worker_ask(struct worker *w, unsigned op, struct span in, struct buf *out,
    struct err *err);

/** worker_names(w, count): what is registered; caller frees.  NULL with
 * *${count} 0: none, or no memory. */
struct worker_name *worker_names(struct worker *w, size_t *count);

#endif
