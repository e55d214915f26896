#include "common/http_server.h"

#include "common/clock.h"
#include "common/hex.h"
#include "common/secret.h"
#include "common/stamp.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_HEAD_MAX 20480 /* an agent's fields fit one frame */
#define RATE_TICK_MS 1000
#define SKIP_MAX                                                               \
	65536 /* bytes of a refused body; a new connection costs more */

enum state {
	IDLE, /* between requests */
	HEAD, /* some bytes of one */
	JUDGING,
	SKIP, /* its answer is given, its body still comes */
	BODY,
	BUSY /* the answer is the user's to give */
};

struct http_server {
	struct loop *loop;
	struct conn *conn; /* NULL: taken or gone */
	enum state state;
	bool close_after;
	bool is_head; /* the method: no body goes back */
	bool understood;
	bool awaited; /* the body comes after a 100 only */
	struct http_scan scan;
	char method[HTTP_METHOD_MAX + 1];
	char id[HTTP_ID_MAX + 1];
	uint8_t ids[12]; /* of the ids that we make: 8 random bytes, a count */
	struct buf body;
	size_t body_len;      /* of the request, as announced */
	size_t skip;          /* bytes of a body that nobody wants */
	uint64_t began_us;    /* the request's head was complete */
	uint64_t body_due_ms; /* when the body must be complete */
	size_t rate_mark;     /* bytes there at the last look */
	struct loop_timer timer;
	struct loop_grave grave;
	const struct http_settings *settings;
	const struct http_ops *ops;
	void *arg;
};

static void
release(void *arg)
{
	struct http_server *s = arg;

	loop_timer_free(&s->timer);
	buf_free(&s->body);
	free(s);
}

static void
on_timer(void *arg)
{
	struct http_server *s = arg;
	size_t have = buf_len(&s->body);

	switch (s->state) {
	case IDLE:
		conn_close(s->conn, "idle");
		break;
	case HEAD:
		conn_close(s->conn, "request head too slow");
		break;
	case SKIP:
		conn_close(s->conn, "request body too slow");
		break;
	case BODY:
		if (clock_ms() >= s->body_due_ms ||
		    have - s->rate_mark < s->settings->rate_min) {
			conn_close(s->conn, "request body too slow");
			break;
		}
		s->rate_mark = have;
		loop_timer_set(&s->timer, RATE_TICK_MS);
		break;
	default:
		break;
	}
}

static void
on_open(void *arg)
{
	struct http_server *s = arg;

	/* A new connection owes its first head at once. */
	loop_timer_set(&s->timer, s->settings->head_ms);
	s->ops->open(s->arg);
}

static void
on_closed(void *arg, const char *why)
{
	struct http_server *s = arg;

	s->conn = NULL;
	loop_timer_free(&s->timer);
	s->ops->gone(s->arg, why);
	loop_bury(s->loop, &s->grave, release, s);
}

/*
 * An id of ours.  Drawn once for a connection, as random bytes cost more than
 * all else that is done for a head, and counted up.  Without random bytes it
 * is an id all the same, if not a unique one.
 */
static void
make_id(struct http_server *s)
{
	size_t at = sizeof(s->ids) - 1;

	if (s->ids[at] == 0 && s->ids[at - 1] == 0)
		secret_random(s->ids, 8, NULL);
	while (++s->ids[at] == 0 && at > 8)
		at--;
	hex_encode(s->id, sizeof(s->id), span_of(s->ids, sizeof(s->ids)));
}

/* request-id: the host's if it is harmless, else ours (protocol.md 8). */
static void
name_request(struct http_server *s, const struct http_head *head)
{
	static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz0123456789._-";
	struct span id = { NULL, 0 };
	bool good = head != NULL && http_get(head, "request-id", &id) == 1 &&
	    id.len >= 1 && id.len <= HTTP_ID_MAX;

	for (size_t i = 0; good && i < id.len; i++)
		good = id.ptr[i] != '\0' && strchr(ok, id.ptr[i]) != NULL;
	if (good) {
		memcpy(s->id, id.ptr, id.len);
		s->id[id.len] = '\0';
		return;
	}
	make_id(s);
}

static void
report(struct http_server *s, const struct http_answer *answer, const char *why)
{
	struct http_done done = {
		.understood = s->understood,
		.method = s->method[0] != '\0' ? s->method : "-",
		.status = answer->status,
		.origin = answer->origin,
		.id = s->id,
		.why = why,
		.in_len = s->state >= BODY ? s->body_len : 0,
		.out_len = answer->body.len,
		.us = s->began_us != 0 ? clock_us() - s->began_us : 0,
	};

	s->ops->done(s->arg, &done);
}

/*
 * Who is told to come again shall not need a new connection for it: under a
 * flood, handshakes would then cost more than all that is served.
 */
static size_t
to_skip(const struct http_server *s, unsigned status)
{
	if (s->state != JUDGING || s->close_after || s->awaited ||
	    s->body_len > SKIP_MAX || (status != 429 && status != 503))
		return 0;
	return s->body_len;
}

static int
answer_request(struct http_server *s, const struct http_answer *a,
    const char *why, struct err *err)
{
	uint8_t head[ANSWER_HEAD_MAX];
	struct writer w = writer_of(head, sizeof(head));

	/* A body that was announced and not read would be taken for the next
	 * head. */
	s->skip = to_skip(s, a->status);
	if (s->state < BUSY && s->body_len > 0 && s->skip == 0)
		s->close_after = true;
	http_put_status(&w, a->status);
	for (size_t i = 0; i < a->field_count; i++)
		http_put_field(&w, a->fields[i].name, a->fields[i].value);
	/* RFC 9110 8.6: these never have one. */
	if (a->status != 204 && a->status != 304)
		http_put_number(&w, "content-length", a->body.len);
	http_put_field(&w, "request-id", span_str(s->id));
	http_put_field(&w, "attest-origin", span_str(a->origin));
	http_put_field(&w, "cache-control", span_str("no-store"));
	writer_put(&w, span_str(loop_stamp(s->loop)->date));
	if (s->close_after)
		http_put_field(&w, "connection", span_str("close"));
	http_put_end(&w);
	if (!writer_ok(&w))
		return err_set(err, ERR_MALFORMED,
		    "a field of the answer is no HTTP field");
	report(s, a, why);
	conn_write(s->conn, writer_span(&w));
	if (!s->is_head)
		conn_write(s->conn, a->body);
	s->state = s->skip > 0 ? SKIP : IDLE;
	s->scan = (struct http_scan){ 0 };
	s->began_us = 0;
	s->body_len = 0;
	s->method[0] = '\0';
	s->is_head = false;
	s->understood = false;
	buf_free(&s->body);
	if (s->close_after) {
		loop_timer_cancel(&s->timer);
		conn_finish(s->conn, "answered");
		return 0;
	}
	loop_timer_set(&s->timer,
	    s->skip > 0 ? s->settings->body_ms : s->settings->idle_ms);
	conn_resume(s->conn);
	return 0;
}

int
http_answer(
    struct http_server *s, const struct http_answer *answer, struct err *err)
{
	return answer_request(s, answer, NULL, err);
}

static void
answer_problem(struct http_server *s, enum problem problem,
    const struct http_out_field *fields, size_t field_count, const char *why)
{
	const struct problem_type *type = problem_get(problem);
	struct http_out_field all[8];
	uint8_t body[PROBLEM_BODY_MAX];
	struct writer w = writer_of(body, sizeof(body));
	struct http_answer a = {
		.status = type->status, .origin = "relay", .fields = all
	};
	uint32_t random = 0;
	char seconds[12];
	size_t n = 0;

	problem_write(&w, problem, PROBLEM_OF_RELAY, span_str(s->id),
	    (struct span){ NULL, 0 });
	a.body = writer_span(&w);
	all[n++] = (struct http_out_field){ "content-type",
		span_str(PROBLEM_MEDIA_TYPE) };
	if (type->retry_after_s != 0) {
		secret_random(&random, sizeof(random), NULL);
		snprintf(seconds, sizeof(seconds), "%u",
		    problem_wait_s(problem, random));
		all[n++] =
		    (struct http_out_field){ "retry-after", span_str(seconds) };
	}
	for (size_t i = 0; i < field_count && n < 8; i++)
		all[n++] = fields[i];
	a.field_count = n;
	answer_request(s, &a, why, NULL);
}

void
http_problem(struct http_server *s, enum problem problem,
    const struct http_out_field *fields, size_t field_count)
{
	answer_problem(s, problem, fields, field_count, NULL);
}

/* What was sent behind bytes we did not understand is not looked at. */
static void
refuse(struct http_server *s, unsigned status, const char *why)
{
	s->close_after = true;
	if (s->id[0] == '\0')
		name_request(s, NULL);
	answer_problem(s, problem_of_status(status), NULL, 0, why);
}

static void
begin_body(struct http_server *s, const struct http_head *head)
{
	s->state = BODY;
	s->rate_mark = 0;
	s->body_due_ms = clock_ms() + s->settings->body_ms;
	loop_timer_set(&s->timer, s->settings->rate_after_ms);
	if (head->expect_continue && s->body_len > 0)
		conn_write(s->conn, span_str("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* Returns false if the connection is not ours any more. */
static bool
on_head(struct http_server *s, struct span bytes)
{
	struct http_head head;
	unsigned status = 400;
	struct err err;
	size_t max = SIZE_MAX;

	s->state = JUDGING;
	s->began_us = clock_us();
	s->id[0] = '\0';
	s->body_len = 0;
	if (http_head_parse(&head, bytes, &status, &err) != 0) {
		refuse(s, status, err.msg);
		return false;
	}
	name_request(s, &head);
	memcpy(s->method, head.method.ptr, head.method.len);
	s->method[head.method.len] = '\0';
	s->is_head = span_is(head.method, "HEAD");
	s->body_len = (size_t)head.length;
	s->understood = true;
	s->awaited = head.expect_continue;
	if (head.close)
		s->close_after = true;
	switch (s->ops->head(s->arg, s, &head, &max)) {
	case HTTP_READ:
		break;
	case HTTP_ANSWERED:
		return s->conn != NULL && !conn_closing(s->conn);
	case HTTP_TAKEN:
		return false;
	}
	if (s->body_len > max) {
		refuse(s, 413, "body over the limit");
		return false;
	}
	buf_init(&s->body, max, false);
	begin_body(s, &head);
	return s->conn != NULL;
}

/* Returns the bytes taken of ${in}. */
static size_t
on_body(struct http_server *s, struct span in)
{
	size_t want = s->body_len - buf_len(&s->body);
	struct buf body;

	if (in.len > want)
		in.len = want;
	if (in.len > 0 &&
	    (!s->ops->more(s->arg, in.len) ||
		buf_append(&s->body, in, NULL) != 0)) {
		s->close_after = true;
		answer_problem(s, PROBLEM_OVERLOADED, NULL, 0, "no memory");
		return in.len;
	}
	if (in.len < want)
		return in.len;
	loop_timer_cancel(&s->timer);
	s->state = BUSY;
	body = s->body;
	buf_init(&s->body, 0, false);
	s->ops->request(s->arg, s, &body);
	buf_free(&body);
	return in.len;
}

/* Returns the bytes taken. */
static size_t
on_skip(struct http_server *s, size_t len)
{
	size_t took = len < s->skip ? len : s->skip;

	s->skip -= took;
	if (s->skip == 0) {
		s->state = IDLE;
		loop_timer_set(&s->timer, s->settings->idle_ms);
	}
	return took;
}

static size_t
on_data(void *arg, uint8_t *ptr, size_t len)
{
	struct http_server *s = arg;
	size_t took = 0, head_len;

	while (s->conn != NULL && !conn_closing(s->conn)) {
		struct span rest = span_of(ptr + took, len - took);
		unsigned status = 400;
		struct err err;

		if (s->state == BUSY)
			break;
		if (s->state == SKIP) {
			took += on_skip(s, rest.len);
			if (s->state == SKIP)
				break;
			continue;
		}
		if (s->state == BODY) {
			took += on_body(s, rest);
			if (s->state == BODY)
				break;
			continue;
		}
		if (rest.len == 0)
			break;
		if (conn_congested(s->conn)) {
			/* Who does not take answers gets no more of them. */
			conn_pause(s->conn);
			break;
		}
		if (s->state == IDLE) {
			s->state = HEAD;
			loop_timer_set(&s->timer, s->settings->head_ms);
		}
		switch (http_scan(&s->scan, rest, &head_len, &status, &err)) {
		case HTTP_SCAN_MORE:
			return took;
		case HTTP_SCAN_BAD:
			s->id[0] = '\0';
			refuse(s, status, err.msg);
			return len;
		case HTTP_SCAN_DONE:
			took += head_len;
			if (!on_head(s, span_of(rest.ptr, head_len)))
				return took;
			break;
		}
	}
	return took;
}

static void
on_drained(void *arg)
{
	struct http_server *s = arg;

	conn_resume(s->conn);
}

static const struct conn_ops server_ops = {
	.open = on_open,
	.data = on_data,
	.drained = on_drained,
	.closed = on_closed,
};

int
http_server_accept(struct http_server **out, struct loop *loop,
    struct ssl_ctx_st *ctx, int fd, const struct http_settings *settings,
    const struct http_ops *ops, void *arg, struct err *err)
{
	struct http_server *s;

	*out = NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		close(fd);
		return err_set(err, ERR_MEMORY, "no memory for a connection");
	}
	s->loop = loop;
	s->settings = settings;
	s->ops = ops;
	s->arg = arg;
	loop_timer_init(&s->timer, loop, on_timer, s);
	if (conn_accept(&s->conn, loop, ctx, fd, &settings->conn, &server_ops,
		s, err) != 0) {
		release(s);
		return -1;
	}
	*out = s;
	return 0;
}

void
http_close_after(struct http_server *s)
{
	s->close_after = true;
	/* What comes of a body that nobody wants is behind the answer. */
	if ((s->state == IDLE || s->state == SKIP) && s->conn != NULL)
		conn_finish(s->conn, "draining");
}

void
http_last_answer(struct http_server *s)
{
	s->close_after = true;
}

bool
http_leave(struct http_server *s)
{
	if (s->state != IDLE || s->close_after || s->conn == NULL ||
	    !conn_leave(s->conn))
		return false;
	loop_timer_free(&s->timer);
	s->loop = NULL;
	return true;
}

void
http_enter(struct http_server *s, struct loop *loop,
    const struct http_settings *settings)
{
	s->loop = loop;
	s->settings = settings;
	loop_timer_init(&s->timer, loop, on_timer, s);
	loop_timer_set(&s->timer, settings->idle_ms);
	conn_enter(s->conn, loop, &settings->conn);
}

const char *
http_request_id(const struct http_server *s)
{
	return s->id;
}

struct conn *
http_conn(struct http_server *s)
{
	return s->conn;
}

struct conn *
http_server_take(struct http_server *s)
{
	struct conn *c = s->conn;

	s->conn = NULL;
	loop_timer_free(&s->timer);
	loop_bury(s->loop, &s->grave, release, s);
	return c;
}
