#ifndef AGENT_NET_WORKER_H
#define AGENT_NET_WORKER_H

#include "agent/door.h"
#include "agent/net/service.h"
#include "common/loop.h"

/*
 * net's side of the door: a thread that turns what hosts ask into messages,
 * gives them to the process `vault` as fast as it takes them, and turns its
 * replies into answers, in whatever order they come.
 */
struct worker;

/* A host's request on its way through.  The poster owns it again when it
 * comes to worker_take(); release it by worker_job_free(). */
struct worker_job {
	struct mail mail; /* first: for a poster with a loop */
	struct worker_job *next;
	/* Takes the job, and notes of it (extend_ms), in place of
	 * worker_take(); from the worker's thread.  NULL: worker_take(). */
	void (*answered)(void *arg, struct worker_job *job);
	void *arg;
	uint64_t id;        /* of the worker */
	uint32_t source;    /* whom it counts for, worker_post() */
	uint64_t link;      /* which tunnel; for the poster */
	uint32_t stream;    /* and which stream of it */
	uint32_t extend_ms; /* not 0: no answer yet, it waits so long */
	bool cancelled;     /* of the worker: not told to the vault yet */
	struct service_request in; /* spans into ${bytes} */
	struct service_answer out;
	uint8_t cpu_id[VAULT_CPU_ID_LEN]; /* that a /launch named, if one did */
	uint8_t *bytes;                   /* owned */
};

/** worker_job_new(in): a deep copy of ${in}; NULL: no memory. */
struct worker_job *worker_job_new(const struct service_request *in);
void worker_job_free(struct worker_job *job);

/* One VM to be claimed. */
struct worker_name {
	struct uuid vm;
	char label[REGISTRATION_NAME_MAX + 1];
	bool shared;
	uint16_t rank; /* 0 unless shared */
};

struct worker_ops {
	/* All from the worker's thread: make the other thread look. */
	void (*answered)(void *arg);   /* worker_take() has something */
	void (*registered)(void *arg); /* worker_names() has changed */
	void (*lost)(void *arg);       /* the vault is gone */
	void *arg;
	/* The vault lacks the signed CEK of this chip; NULL: nobody fetches. */
	void (*wants_cek)(void *arg, const uint8_t cpu_id[VAULT_CPU_ID_LEN]);
	void *cek_arg;
};

/**
 * worker_open(out, fd, err):
 * Greet the vault at the other end of ${fd} and learn what is registered.
 *   errors  ERR_CLOSED: no vault answers; ERR_INTERNAL, ERR_MEMORY
 */
int worker_open(struct worker **out, int fd, struct err *err);

/**
 * worker_start(w, ops, err):
 * A thread that alone uses the pair until worker_stop().  errors ERR_INTERNAL
 */
int worker_start(
    struct worker *w, const struct worker_ops *ops, struct err *err);

/** worker_stop(w): give the vault what is queued, wait a moment for its
 * replies, end the thread, release. */
void worker_stop(struct worker *w);

/** worker_public(w): the agent's public key, UUID_KEY_LEN bytes. */
const uint8_t *worker_public(const struct worker *w);

/**
 * worker_sign(signature, w, hello, err):
 * Have the vault sign the text of a hello.  Any other thread; waits.
 *   errors  ERR_CLOSED: no vault; ERR_UNTRUSTED: it is no such text;
 *           ERR_LIMIT: over DOOR_SIGN_MAX bytes
 */
int worker_sign(uint8_t signature[KEY_SIG_LEN], struct worker *w,
    struct span hello, struct err *err);

/**
 * worker_put_cek(w, cpu_id, cert, err):
 * vault_put_cek() in the vault.  Any other thread; waits.
 *   errors  ERR_CLOSED: no vault; ERR_UNTRUSTED: it does not take it
 */
int worker_put_cek(struct worker *w, const uint8_t cpu_id[VAULT_CPU_ID_LEN],
    struct span cert, struct err *err);

/* Requests between worker_post() and worker_take().  A relay that cancels its
 * streams has used up none of them, so streams alone are no limit. */
#define WORKER_QUEUE_MAX 1024
/* Of one source: an address of a relay, or our own listener.  No other's
 * requests keep it from having WORKER_SHARE_MIN, at 16 addresses and the
 * listener. */
#define WORKER_SHARE_MAX 256
#define WORKER_SHARE_MIN 60

/**
 * worker_post(w, job): takes ${job} in every case.  Any thread.
 *   errors  -1: too many are on their way, or too many of ${job}->source;
 *           nothing was done
 */
int worker_post(struct worker *w, struct worker_job *job);

/** worker_cancel(w, link, stream): the host of that job went away.  If the
 * vault has it, its answer comes all the same; else the job is gone.  Any
 * thread. */
void worker_cancel(struct worker *w, uint64_t link, uint32_t stream);

/** worker_take(w): all jobs answered so far, a list, and among them notes of
 * those that wait (extend_ms); any thread. */
struct worker_job *worker_take(struct worker *w);

/** worker_names(w, count): what is registered; caller frees.  NULL with
 * *${count} 0: none, or no memory. */
struct worker_name *worker_names(struct worker *w, size_t *count);

#endif
