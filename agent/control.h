#ifndef AGENT_CONTROL_H
#define AGENT_CONTROL_H

#include "agent/state.h"
#include "agent/vault/owner.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/secret.h"
#include "common/span.h"

/*
 * agent.sock of the state folder: how the command line talks to a running
 * agent.  One question a connection:
 *
 *	op:1 length:4 bytes  ->  code:1 length:4 bytes   (big-endian)
 *
 * code is 0 and JSON text follows, or an enum err_code and words do.  Only the
 * user that runs the agent is heard.
 */

#define CONTROL_SOCKET "agent.sock"
#define CONTROL_HEAD_LEN 5
#define CONTROL_WAIT_S 5 /* for a question that was begun */

struct control_head {
	uint8_t op; /* or code */
	uint32_t len;
};

/**
 * control_read_head(out, in, err): CONTROL_HEAD_LEN bytes of a question.
 *   errors  ERR_MALFORMED: another length; ERR_LIMIT: more than OWNER_IN_MAX
 *           bytes would follow; ERR_UNSUPPORTED: no such op
 */
int control_read_head(
    struct control_head *out, struct span in, struct err *err);

/**
 * control_read_question(head, body, fd, err):
 * One whole question from ${fd}; for one that came in, see control_serve().
 *   errors  ERR_CLOSED: it had no more; ERR_IO: it broke off; those of
 *           control_read_head()
 */
int control_read_question(
    struct control_head *head, struct secret *body, int fd, struct err *err);

/** control_write_answer(fd, rc, out, err): ${out} if ${rc} is 0, else the
 * words of ${err}. */
void control_write_answer(
    int fd, int rc, const struct buf *out, const struct err *err);

/**
 * control_ask_fd(out, fd, op, in, err):
 * A question and its answer over ${fd}.  errors as control_ask()
 */
int control_ask_fd(
    struct buf *out, int fd, unsigned op, struct span in, struct err *err);

struct control;

/* Answers one question. */
typedef int control_answer_fn(
    void *arg, unsigned op, struct span in, struct buf *out, struct err *err);

struct control_ops {
	control_answer_fn *answer;
	void (*signalled)(void *arg, int signal); /* SIGTERM, SIGINT, SIGCHLD */
	/* Time goes by; returns ms until it next wants to be called. */
	int (*tick)(void *arg);
	void *arg;
};

/**
 * control_open(out, state, ops, err):
 * Listen on agent.sock, and take SIGTERM, SIGINT and SIGCHLD, which the
 * caller has blocked.
 *   errors  ERR_IO, ERR_INTERNAL
 */
int control_open(struct control **out, const struct state *state,
    const struct control_ops *ops, struct err *err);

/** control_run(c): serve until control_end(). */
void control_run(struct control *c);

/** control_end(c): from a callback of control_run(), or any thread. */
void control_end(struct control *c);

void control_close(struct control *c);

/** control_connect(state, err): to the agent that runs on ${state}.  errors -1
 * and ERR_CLOSED: none runs; ERR_IO */
int control_connect(const struct state *state, struct err *err);

/**
 * control_ask(out, state, op, in, err):
 * Ask the agent that runs on ${state}.
 *   errors  ERR_CLOSED: none runs, or it is ending; ERR_IO; else what it
 *           answered
 */
int control_ask(struct buf *out, const struct state *state, unsigned op,
    struct span in, struct err *err);

#endif
