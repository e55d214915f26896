#ifndef TESTS_UNIT_COMMON_TUNNEL_PAIR_H
#define TESTS_UNIT_COMMON_TUNNEL_PAIR_H

#include "common/tunnel.h"

#include "tests/unit/common/exact.h"

/*
 * A relay's and an agent's tunnel with a wire in memory between them, and a
 * clock that the test turns.  What an end was told is kept as text, one word an
 * event, e.g. "response 1 200 3 end;".
 */

#define PAIR_LOG_MAX 8192

struct pair_message {
	struct pair_message *next;
	size_t len;
	uint8_t bytes[];
};

struct pair_end {
	struct pair *pair;
	struct pair_end *peer;
	struct tunnel *tunnel;
	struct pair_message *head, **tail; /* to be delivered to this end */
	char log[PAIR_LOG_MAX];
	size_t log_len;
	size_t sent;       /* messages */
	uint8_t last_type; /* of the message sent last */
	uint64_t body_sum; /* bytes of bodies received */
	bool hold;         /* do not answer HELLO or CHALLENGE at once */
	bool eat;          /* give credit back as soon as bytes come */
};

struct pair {
	struct pair_end relay, agent;
	uint64_t now_ms;
};

/** pair_open(p, config): both ends, nothing said yet.  The role in ${config}
 * is ignored. */
void pair_open(struct pair *p, const struct tunnel_config *config);

/** pair_ready(p, config): both ends, greeted; logs empty. */
void pair_ready(struct pair *p, const struct tunnel_config *config);

void pair_close(struct pair *p);

/** pair_run(p): deliver until nothing moves. */
void pair_run(struct pair *p);

/** pair_deliver(e): deliver one message to ${e}; false: none was there. */
bool pair_deliver(struct pair_end *e);

/** pair_inject(e, f): a frame as if the peer of ${e} had sent it. */
void pair_inject(struct pair_end *e, const struct frame *f);

/** pair_data(id, len, end): a DATA frame of zeros. */
struct frame pair_data(uint32_t id, size_t len, bool end);

/** pair_log(e, want): what ${e} was told since the last call. */
void pair_log(struct pair_end *e, const char *want);

/** pair_start(p), pair_hello(p), pair_welcome(p): steps of the greeting. */
void pair_start(struct pair *p);
void pair_hello(struct pair *p);
void pair_welcome(struct pair *p);

/** pair_request(p, len): open a stream with a body of ${len} bytes, all at
 * hand; its id.  pair_respond(p, id, len): the same for its answer.  Both give
 * back what was not taken in ${left}, which may be NULL. */
uint32_t pair_request(struct pair *p, size_t len, size_t *left);
void pair_respond(struct pair *p, uint32_t id, size_t len, size_t *left);

#endif
