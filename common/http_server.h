#ifndef COMMON_HTTP_SERVER_H
#define COMMON_HTTP_SERVER_H

#include "common/buf.h"
#include "common/conn.h"
#include "common/http_head.h"
#include "common/problem.h"

/*
 * HTTP/1.1 over one TLS connection (docs/protocol.md 8): one request at a
 * time, in order; what is sent ahead waits unread.  A request that is not
 * understood for sure is answered with a problem and the connection closed.
 * Every answer gets request-id, attest-origin, cache-control and date.
 */

struct http_server;

#define HTTP_ID_MAX 64

struct http_settings {
	struct conn_settings conn;
	uint32_t head_ms;       /* for a head, from its first byte */
	uint32_t body_ms;       /* for a body */
	uint32_t rate_after_ms; /* then a body needs ... */
	uint32_t rate_min;      /* ... so many bytes a second */
	uint32_t idle_ms;       /* between requests */
};

/* What the head op says about a request. */
enum http_verdict {
	HTTP_READ,     /* read the body, then the request op */
	HTTP_ANSWERED, /* http_answer() or http_problem() was called */
	HTTP_TAKEN     /* http_server_take() was called */
};

/* One line of the access log, less what the user knows better. */
struct http_done {
	bool understood; /* the head op saw it */
	const char *method;
	unsigned status;
	const char *origin;
	const char *id;
	const char *why; /* if it was refused for its form; else NULL */
	size_t in_len;   /* bytes of the bodies */
	size_t out_len;
	uint64_t us; /* from the head's end to the answer */
};

struct http_ops {
	/* The TLS handshake is done. */
	void (*open)(void *arg);
	/* A head; ${head} is valid during the call.  *${body_max} may be
	 * lowered or raised: more than that is answered 413. */
	enum http_verdict (*head)(void *arg, struct http_server *s,
	    const struct http_head *head, size_t *body_max);
	/* More of the body arrived: false refuses it with 503. */
	bool (*more)(void *arg, size_t len);
	/* The whole request.  The body may be moved out of ${body}.  Answer
	 * now or later. */
	void (*request)(void *arg, struct http_server *s, struct buf *body);
	/* The answer is queued. */
	void (*done)(void *arg, const struct http_done *done);
	/* The connection is over, the last call.  Not after
	 * http_server_take(). */
	void (*gone)(void *arg, const char *why);
};

struct http_out_field {
	const char *name;
	struct span value;
};

struct http_answer {
	unsigned status;
	const char *origin; /* attest-origin: "agent" or "relay" */
	const struct http_out_field *fields;
	size_t field_count;
	struct span body; /* content-length is made of it */
};

/**
 * http_server_accept(out, loop, ctx, fd, settings, ops, arg, err):
 * As conn_accept().  The server frees itself after ops->gone.
 */
int http_server_accept(struct http_server **out, struct loop *loop,
    struct ssl_ctx_st *ctx, int fd, const struct http_settings *settings,
    const struct http_ops *ops, void *arg, struct err *err);

/**
 * http_answer(s, answer, err):
 * Answer the request under way.
 *   errors  ERR_MALFORMED: a field is no field; nothing was sent
 */
int http_answer(
    struct http_server *s, const struct http_answer *answer, struct err *err);

/**
 * http_problem(s, problem, fields, field_count):
 * Answer with a problem of the relay, with Retry-After where its row has one.
 */
void http_problem(struct http_server *s, enum problem problem,
    const struct http_out_field *fields, size_t field_count);

/** http_close_after(s): the next answer is the connection's last; between
 * requests: close. */
void http_close_after(struct http_server *s);

/** http_last_answer(s): the same, but between requests it stays open for one
 * more. */
void http_last_answer(struct http_server *s);

/**
 * http_leave(s):
 * Between two requests: leave the loop, to go on with http_enter() in another
 * thread, as conn_leave().  Call it in the turn of the answer: idle_ms begins
 * anew there.  False: a request is under way, or the answer not yet written.
 */
bool http_leave(struct http_server *s);
void http_enter(struct http_server *s, struct loop *loop,
    const struct http_settings *settings);

/** http_request_id(s): of the request under way. */
const char *http_request_id(const struct http_server *s);

struct conn *http_conn(struct http_server *s);

/**
 * http_server_take(s):
 * From inside the head op: the connection is the caller's, who must
 * conn_adopt() it before returning HTTP_TAKEN.  ${s} is gone after that.
 */
struct conn *http_server_take(struct http_server *s);

#endif
