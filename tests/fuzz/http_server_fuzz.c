#include "common/http_server.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A peer of the HTTP server that does anything, over a real socket: each input
 * is a list of commands, most of them bytes to send.  What must hold: one
 * request at a time, each with the body that its head announced, one answer to
 * each, and no callback after the end.
 */

enum state { NO_REQUEST, READING, TO_ANSWER, OVER };

struct run {
	struct loop *loop;
	struct http_server *server; /* NULL: over */
	struct loop_task task;
	struct span rest; /* of the commands */
	int fd;           /* the peer's end; -1: closed */
	enum state state;
	bool later;       /* the next request is answered by a command */
	size_t announced; /* bytes of the body */
	size_t asked, answered;
	bool ending;
};

static const uint8_t zeros[60000];

static uint8_t
take(struct run *r)
{
	uint8_t c;

	if (r->rest.len == 0)
		return 0;
	c = r->rest.ptr[0];
	r->rest = span_of(r->rest.ptr + 1, r->rest.len - 1);
	return c;
}

static void
answer(struct run *r, unsigned status, size_t len)
{
	struct http_answer a = {
		.status = status, .origin = "relay", .body = span_of(zeros, len)
	};
	size_t before = r->answered;

	r->state = NO_REQUEST;
	MUST(http_answer(r->server, &a, NULL) == 0);
	MUST(r->answered == before + 1);
}

static void
on_open(void *arg)
{
	struct run *r = arg;

	MUST(r->state == NO_REQUEST);
}

static enum http_verdict
on_head(void *arg, struct http_server *s, const struct http_head *head,
    size_t *body_max)
{
	struct run *r = arg;

	r->server = s;
	MUST(r->state == NO_REQUEST && r->asked == r->answered);
	*body_max = 4096;
	r->asked++;
	r->announced = (size_t)head->length;
	if (head->close) {
		answer(r, head->has_query ? 503 : 404, 10);
		return HTTP_ANSWERED;
	}
	/* 413 is the server's to say, and so is the next head's place. */
	r->state = r->announced > *body_max ? NO_REQUEST : READING;
	return HTTP_READ;
}

static bool
on_more(void *arg, size_t len)
{
	struct run *r = arg;

	MUST(r->state == READING && len <= r->announced);
	if (len == 13) {
		r->state = NO_REQUEST;
		return false;
	}
	return true;
}

static void
on_request(void *arg, struct http_server *s, struct buf *body)
{
	struct run *r = arg;

	(void)s;
	MUST(r->state == READING && buf_len(body) == r->announced);
	r->state = TO_ANSWER;
	if (!r->later)
		answer(r, 200, r->announced % 7 == 0 ? sizeof(zeros) : 3);
}

static void
on_done(void *arg, const struct http_done *done)
{
	struct run *r = arg;

	MUST(r->state != OVER && done->status >= 200);
	/* A head that is none gets an answer, too. */
	if (!done->understood)
		r->asked++;
	r->answered++;
	MUST(r->asked == r->answered);
}

static void
on_gone(void *arg, const char *why)
{
	struct run *r = arg;

	MUST(r->state != OVER && why != NULL);
	r->state = OVER;
	r->server = NULL;
}

static const struct http_ops ops = {
	.open = on_open,
	.head = on_head,
	.more = on_more,
	.request = on_request,
	.done = on_done,
	.gone = on_gone,
};

static void
send_some(struct run *r, size_t len)
{
	if (len > r->rest.len)
		len = r->rest.len;
	if (r->fd >= 0 && len > 0)
		(void)send(
		    r->fd, r->rest.ptr, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	r->rest = span_of(r->rest.ptr + len, r->rest.len - len);
}

static void
command(struct run *r)
{
	uint8_t c = take(r), bytes[4096];

	switch (c % 16) {
	case 0:
		if (r->state == TO_ANSWER)
			answer(r, c & 0x10 ? 429 : 200, c == 0 ? 50000 : 1);
		break;
	case 1:
		r->later = !r->later;
		break;
	case 2:
		if (r->fd >= 0)
			shutdown(r->fd, SHUT_WR);
		break;
	case 3:
		while (r->fd >= 0 &&
		    recv(r->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0 &&
		    c != 3)
			;
		break;
	case 4:
		if (r->server != NULL && c & 0x10)
			http_close_after(r->server);
		else if (r->server != NULL)
			http_last_answer(r->server);
		break;
	case 5:
		if (c == 5 && r->fd >= 0) {
			close(r->fd);
			r->fd = -1;
		}
		break;
	default:
		send_some(r, (size_t)(c >> 4) * (c % 16 == 6 ? 100 : 8) + 1);
		break;
	}
}

/* One command, and what follows of it; in the end, what is open is closed. */
static void
on_task(void *arg)
{
	struct run *r = arg;

	if (r->rest.len > 0) {
		command(r);
	} else if (!r->ending) {
		r->ending = true;
	} else {
		if (r->server != NULL)
			conn_close(http_conn(r->server), "the end");
		MUST(r->state == OVER);
		loop_stop(r->loop);
		return;
	}
	/* A turn for each: what was sent is read before the next. */
	loop_slowly(r->loop, &r->task);
}

static void
no_mail(void *arg, struct mail *mail)
{
	(void)arg;
	(void)mail;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct http_settings settings = {
		.conn = { .handshake_ms = 60000,
		    .stall_ms = 60000,
		    .linger_ms = 60000,
		    .in_max = 2 * HTTP_HEAD_MAX,
		    .out_max = 100000,
		    .out_low = 4096 },
		.head_ms = 60000,
		.body_ms = 60000,
		.rate_after_ms = 60000,
		.idle_ms = 60000,
	};
	struct run r = { .rest = span_of(data, size), .state = NO_REQUEST };
	int small = 1, fds[2];

	MUST(loop_new(&r.loop, no_mail, NULL, NULL) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	r.fd = fds[1];
	MUST(http_server_accept(&r.server, r.loop, NULL, fds[0], &settings,
		 &ops, &r, NULL) == 0);
	loop_task_init(&r.task, on_task, &r);
	loop_slowly(r.loop, &r.task);
	MUST(loop_run(r.loop, NULL) == 0);
	if (r.fd >= 0)
		close(r.fd);
	loop_free(r.loop);
	return 0;
}
