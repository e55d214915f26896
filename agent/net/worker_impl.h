#ifndef AGENT_NET_WORKER_IMPL_H
#define AGENT_NET_WORKER_IMPL_H

/* What worker.c, worker_queue.c and worker_talk.c share; nobody else includes
 * it. */

#include <pthread.h>

#include "agent/net/worker.h"

/* A question of another thread, which waits for the reply. */
struct worker_call {
	struct worker_call *next;
	struct door_message *m; /* the question, then the reply */
	bool sent, done;
};

#define WORKER_SOURCES_MAX 32 /* some of addresses that are gone */

struct worker_share {
	uint32_t source;
	size_t count;    /* 0: nobody's */
	uint64_t served; /* the turn in which it was, last, or came */
};

struct worker {
	int fd;      /* the pair with the vault; of the thread alone */
	int wake_fd; /* eventfd */
	struct worker_ops ops;
	pthread_t thread;
	bool running;
	uint8_t public[UUID_KEY_LEN];
	/* Of the thread alone: */
	struct door_message message; /* scratch */
	uint8_t bytes[DOOR_MAX];
	size_t ready;             /* bytes to be sent; 0: none */
	struct worker_name *page; /* names as they come */
	size_t page_count, page_cap;
	bool want_names;
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t told;  /* something that a thread waits for */
	uint64_t last_id;
	struct worker_job *first, **last; /* posted */
	/* The vault has them, or is about to; changed by the thread alone. */
	struct worker_job *asked, **asked_last;
	struct worker_job *done, **done_last;
	size_t queued; /* posted, asked or done, and not yet taken */
	struct worker_share shares[WORKER_SOURCES_MAX]; /* of them */
	uint64_t turns; /* jobs that were given to the vault */
	size_t cancels; /* asked ones of which the vault is to hear */
	struct worker_call *calls;
	struct worker_name *names; /* owned */
	size_t name_count;
	bool stop, lost;
};

/** worker_wake(w): its thread looks around.  Any thread. */
void worker_wake(struct worker *w);

/** worker_next(w): the next posted job, now among the asked ones; NULL: none.
 * With the lock held. */
struct worker_job *worker_next(struct worker *w);

/** worker_asked(w, id): out of the asked ones, the caller's; NULL: none. */
struct worker_job *worker_asked(struct worker *w, uint64_t id);

/** worker_leave(w, job): it is not on its way any more.  With the lock held. */
void worker_leave(struct worker *w, const struct worker_job *job);

/** worker_encode(w, m): ${m} is next to be sent. */
void worker_encode(struct worker *w, const struct door_message *m);

/** worker_has_work(w): something waits to be encoded. */
bool worker_has_work(struct worker *w);

/** worker_send(w): until the vault takes no more, or there is no more. */
void worker_send(struct worker *w);

/** worker_receive(w): one message into ${w}->message; 1: none is there, or
 * it is none; -1: the vault is gone. */
int worker_receive(struct worker *w);

/** worker_take_message(w): do what ${w}->message says. */
void worker_take_message(struct worker *w);

#endif
