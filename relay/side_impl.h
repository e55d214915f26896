#ifndef RELAY_SIDE_IMPL_H
#define RELAY_SIDE_IMPL_H

#include "common/log.h"
#include "common/tunnel.h"
#include "common/ws.h"
#include "relay/queue.h"
#include "relay/tunnel_side.h"

/*
 * What tunnel_side.c (the connection), side_hello.c (who is it, and for whom),
 * side_job.c (requests on it) and side_end.c (its end) share.
 */

/* CLAIMs that are with the directory: they are answered in their order. */
struct side_asked {
	uint32_t numbers[TUNNEL_CLAIMS_OPEN_MAX]; /* oldest first */
	size_t count;
	struct directory_op
	    *back[TUNNEL_CLAIMS_OPEN_MAX]; /* owned; NULL: not */
};

/* What the directory granted of a CLAIM: bit i is of its name i. */
struct side_grant {
	uint64_t yes;
	uint64_t
	    fresh; /* bound there just now: given back if it stays unused */
};

_Static_assert(FRAME_NAMES_MAX <= 64, "a bit for each name");

struct side_claim {
	struct uuid uuid;
	bool certified; /* made of the agent's key: a label was shown */
};

/* What every request touches comes first: with a thousand tunnels, each line of
 * the processor's cache that it does not touch counts. */
struct side {
	struct worker *worker;
	struct conn *conn;     /* NULL: over */
	struct tunnel *tunnel; /* owned */
	struct queue *queue;   /* owned; NULL: nothing was ever queued */
	struct job_list open;
	bool leaving; /* no route leads here any more */
	bool joined;
	bool agent_leaves;      /* by a GOAWAY of its own */
	uint64_t stay_until_ms; /* drained, for the agent to leave; 0: not */
	struct loop_timer timer;
	struct ws ws;
	struct loop_task pump; /* open what is queued */

	TAILQ_ENTRY(side) link;
	struct peer peer;
	struct loop_grave grave;
	struct log_subject subject;
	struct handle handle;
	unsigned close_code; /* when drained */
	uint32_t window_ms;  /* told with our GOAWAY */

	/* Who it is, once welcome. */
	uint8_t nonce[FRAME_NONCE_LEN];
	uint8_t key[FRAME_KEY_LEN];
	struct account *account; /* its tenant's */
	uint8_t *token;    /* owned; hash of the bearer token shown, or NULL */
	char *certificate; /* owned; name in the one shown, or NULL */
	struct tls_peer *shown; /* owned; the certificate, once joined */
	uint64_t until_ms; /* of the wall clock: the token's end; 0: none */
	uint64_t session;
	uint64_t since_ms;                 /* of the wall clock */
	STAILQ_HEAD(, first_claim) firsts; /* CLAIMs that wait for the disk */
	struct side_claim *claims;         /* owned */
	uint32_t claim_count;
	uint32_t claim_cap;
	unsigned claims_told;
	struct side_asked *asked; /* owned; NULL without a directory */
	uint8_t boot[FRAME_BOOT_ID_LEN];
	uint16_t slot;
};

/** side_hello(arg, hello): op of the tunnel: verify, and welcome or close. */
void side_hello(void *arg, const struct frame_hello *hello);
void side_claim(void *arg, uint32_t number, const struct frame_claim *claim);
void side_unclaim(void *arg, const struct frame_unclaim *unclaim);

/** side_known_as(s, why): the tenant of its key, token or certificate, by what
 * is known now.  NULL: of none, *${why} tells the log.  Notes how long that
 * holds. */
struct account *side_known_as(struct side *s, const char **why);

/** side_check_end(s): send it away if what let it in has ended. */
void side_check_end(struct side *s);

/** side_forget(s, uuid): no route of it leads here any more.  False: none did. */
bool side_forget(struct side *s, const struct uuid *uuid);
/* The directory's part (side_cluster.c).
 * side_ask(s, number, claim): a CLAIM is judged there first;
 * side_claim_granted() follows.  side_withdraw(s, uuid): a name is given back;
 * NULL: none waits any more.  side_unbind(w, key, uuid): it is not bound to the
 * key there any more. */
void side_ask(struct side *s, uint32_t number, const struct frame_claim *claim);
void side_withdraw(struct side *s, const struct uuid *uuid);
void side_unbind(struct worker *w, const uint8_t key[FRAME_KEY_LEN],
    const struct uuid *uuid);
void side_asked_free(struct side *s);
void side_claim_granted(struct side *s, uint32_t number,
    const struct frame_claim *claim, const struct side_grant *grant);

/** side_first(s, number, claim, grant): true: it has names that are bound on
 * the disk first, or waits behind such a one; side_claim_bound() follows. */
bool side_first(struct side *s, uint32_t number,
    const struct frame_claim *claim, const struct side_grant *grant);
void side_claim_bound(struct side *s, uint32_t number,
    const struct frame_claim *claim, const struct side_grant *grant);
/** side_first_leave(s): what waits for the disk is given back. */
void side_first_leave(struct side *s);
void side_first_free(struct side *s);

/** side_leave(s): no new request finds the way here. */
void side_leave(struct side *s);

/** side_touch(s): after anything that may have moved the tunnel's deadline. */
void side_touch(struct side *s);

/* Ops of the tunnel about its end. */
void side_goaway(void *arg, const struct frame_goaway *goaway);
void side_drained(void *arg);

/** side_close_drained(s): no stream is open, and nobody is waited for. */
void side_close_drained(struct side *s);

/* Ops of the tunnel about streams. */
void side_response(void *arg, uint32_t stream, void *user,
    const struct frame_response *response, bool end);
void side_data(
    void *arg, uint32_t stream, void *user, struct span bytes, bool end);
void side_reset(
    void *arg, uint32_t stream, void *user, uint32_t code, struct span text);
void side_writable(void *arg, uint32_t stream, void *user);
void side_pending(void *arg, uint32_t stream, void *user,
    const struct frame_pending *pending);

/** side_pump(s): open queued requests as far as there is room. */
void side_pump(void *arg);

/** side_return_queued(s): what was not sent goes home to be sent elsewhere. */
void side_return_queued(struct side *s);

#endif
