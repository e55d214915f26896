#ifndef RELAY_JOB_H
#define RELAY_JOB_H

#include "common/buf.h"
#include "common/frame.h"
#include "common/loop.h"
#include "common/problem.h"
#include "relay/slab.h"
#include "common/tally.h"

/*
 * What threads send each other.  A job is a host's request: it belongs to the
 * worker of the host, is posted to the worker of a tunnel, and comes back with
 * the answer or with the reason why there is none.  Whoever holds it owns it.
 */

#define JOB_BODY_MAX 65536      /* docs/protocol.md 3; both ways */
#define JOB_KBS_BODY_MAX 262144 /* docs/protocol.md 11 */
#define JOB_HEADERS_MAX 4096    /* bytes of the HEADERS of a request */

struct account;
struct host;
struct relay;
struct relay_setup;
struct ssl_ctx_st;
struct worker;

enum message_kind {
	MESSAGE_ACCEPT,    /* main: a new connection */
	MESSAGE_HOST,      /* a host's connection, from another worker */
	MESSAGE_ROUTES,    /* a worker: UUIDs have come */
	MESSAGE_JOB,       /* host to tunnel */
	MESSAGE_JOB_BACK,  /* tunnel to host */
	MESSAGE_CANCEL,    /* host to tunnel: the job is not wanted any more */
	MESSAGE_PENDING,   /* tunnel to host: wait longer */
	MESSAGE_SUPERSEDE, /* to a tunnel: a newer one of its key is here */
	MESSAGE_UNSETTLE,  /* to a tunnel: its claims are to be made anew */
	MESSAGE_DIRECTORY, /* to and from the directory */
	MESSAGE_SETUP,     /* main: another setup */
	MESSAGE_JUDGE,     /* main: who is known, and for what, has changed */
	MESSAGE_QUOTA,     /* to a tunnel: its tenant is over a quota */
	MESSAGE_TUNNELS,   /* main: tell what you have; and the answer */
	MESSAGE_REGISTRY,  /* a struct registry_op comes home */
	MESSAGE_BEAT,      /* main: say that you are there */
	MESSAGE_ERRAND,    /* main: a job of a host of the relay before us */
	MESSAGE_ERRAND_CANCEL, /* main: it is not wanted any more */
	MESSAGE_ERRAND_BACK,   /* to main: answered */
	MESSAGE_MOVE,          /* main: agents are to move to another relay */
	MESSAGE_STAY,          /* main: they are not any more */
	MESSAGE_MOVED,         /* to main: a worker has no tunnel any more */
	MESSAGE_DRAIN,         /* main: finish */
	MESSAGE_QUIT,          /* main: now */
	MESSAGE_DRAINED        /* to main: a worker has finished */
};

struct message {
	struct mail mail; /* first */
	enum message_kind kind;
};

struct message_accept {
	struct message m;
	int fd; /* owned */
	bool public;
	bool relay; /* another relay's */
	struct source source;
	uint16_t port; /* of the peer */
};

/* To who counts it already; workers alone may free one with a host. */
struct message_host {
	struct message m;
	struct host *host; /* owned; NULL: it stays, take it off the count */
};

struct message_cancel {
	struct message m;
	struct handle tunnel;
	struct handle host;
	enum frame_reset code;
};

struct message_pending {
	struct message m;
	struct handle host;
	bool hop; /* as in the job */
	uint32_t extend_ms;
};

struct message_tunnel {
	struct message m;
	struct handle tunnel;
};

struct message_setup {
	struct message m;
	struct relay_setup *setup;   /* held */
	struct ssl_ctx_st *public;   /* owned */
	struct ssl_ctx_st *internal; /* owned */
};

/* One line of a list of tunnels. */
struct tunnel_row {
	struct account *account;
	uint8_t key[FRAME_KEY_LEN];
	struct source source;
	uint64_t session;
	uint64_t since_ms; /* wall clock */
	uint32_t claims;
	uint32_t streams;
	bool leaving;
};

struct message_tunnels {
	struct message m;
	struct handle call;      /* of who asked */
	struct tunnel_row *rows; /* owned */
	size_t count;
};

struct message_beat {
	struct message m;
	uint64_t number;
};

/* Slot and generation are the other relay's name for it. */
struct message_errand {
	struct message m;
	uint32_t slot;
	uint64_t generation;
	struct job *job; /* owned; NULL: a problem, or cancelled */
	enum problem problem;
};

enum job_outcome {
	JOB_ANSWERED,
	JOB_NOT_SENT,  /* the agent did not and will not work on it */
	JOB_NOT_MINE,  /* the agent says: another agent's */
	JOB_LOST,      /* the tunnel ended, and who knows */
	JOB_BREACH,    /* the agent broke the protocol, or says it failed */
	JOB_TOO_LARGE, /* the agent says */
	JOB_LATE,      /* the agent says */
	JOB_BUSY,      /* too many requests are queued for the tunnel */
	JOB_PROBLEM    /* another relay says: job->problem */
};

TAILQ_HEAD(job_list, job);

struct job {
	struct message m; /* first */
	struct handle host;
	struct handle tunnel;
	uint64_t session; /* of the tunnel */
	bool hop;         /* the host is another relay's, and so is the handle
			   * one of a struct hop */
	struct source source;
	struct relay *relay;
	size_t body_max; /* both ways; of its path */
	size_t charged;  /* bytes of its bodies, given back by job_free() */
	struct account *account; /* charged too, and with a stream; or NULL */
	bool over_quota;         /* of it: the last charge failed for that */

	/* The request. */
	const char *method; /* constant */
	char path[FRAME_PATH_MAX + 1];
	uint8_t *headers; /* owned; as in the frame */
	size_t headers_len;
	size_t own_headers_len; /* less what job_aim() added; 0: nothing */
	struct buf body;
	uint64_t due_ms; /* when the host's side gives up */

	/* While the tunnel's worker has it. */
	TAILQ_ENTRY(job) link; /* in a queue, or among the open ones */
	bool open;
	uint32_t stream;
	size_t sent; /* bytes of the body */

	/* The answer. */
	enum job_outcome outcome;
	enum problem problem; /* JOB_PROBLEM */
	bool unheard; /* NOT_SENT: its relay goes away; ask who comes for it */
	uint16_t status;
	uint8_t *answer_headers; /* owned; as in the frame */
	size_t answer_headers_len;
	size_t answer_len; /* as announced */
	struct buf answer;
};

/** job_account(j, account, now_us, problem): charge the tenant with the request,
 * its rate, a stream and the bytes so far, once.  False: over a quota, and what
 * to answer. */
bool job_account(struct job *j, struct account *account, uint64_t now_us,
    enum problem *problem);

/** job_charge(j, len): ${len} bytes more; false: relay_charge() says no, or
 * its tenant's quota does, which j->over_quota tells. */
bool job_charge(struct job *j, size_t len);

/** job_refused(from, account, tunnel): over a quota of the tenant: count it,
 * and let its agent at ${tunnel} hear of it now and then. */
void job_refused(
    struct worker *from, struct account *account, struct handle tunnel);

/** job_headers(j, headers): keep a copy of them; false: no memory. */
bool job_headers(struct job *j, struct span headers);

/* Between relays only: the number of the tunnel that is to get the request. */
#define JOB_TUNNEL_HEADER "relay-tunnel"

/** job_aim(j, session): at a tunnel of another relay.  False: no memory. */
bool job_aim(struct job *j, uint64_t session);
/** job_unaim(j): at one of our own. */
void job_unaim(struct job *j);

/** job_free(j): NULL is fine. */
void job_free(struct job *j);

/** message_free(m): whatever it is, with all that it owns. */
void message_free(struct message *m);

#endif
