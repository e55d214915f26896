#include "tests/bench/driver/commands.h"

#include "tests/bench/driver/talk.h"
#include "tests/bench/driver/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * What stands behind the peers: an HTTP server that answers every POST at once,
 * and knows of HTTP as much as that takes.
 */

struct client {
	struct wire *wire;
	struct loop_grave grave;
	struct loop *loop;
};

struct backend {
	struct loop *loop;
	struct ssl_ctx_st *ctx; /* NULL: plain */
	int fd;
	struct loop_fd watch;
};

static void
on_open(void *arg)
{
	(void)arg;
}

static void
answer(struct client *c, struct span head)
{
	static const char ok[] =
	    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	    "Content-Length: 4096\r\n\r\n";
	static const char no[] =
	    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
	uint8_t body[TALK_ANSWER_LEN];
	const uint8_t *end = memchr(head.ptr, '\r', head.len);

	if (!talk_answer(body, span_of(head.ptr, (size_t)(end - head.ptr)))) {
		wire_write(c->wire, span_str(no));
		return;
	}
	wire_write(c->wire, span_of(ok, sizeof(ok) - 1));
	wire_write(c->wire, span_of(body, sizeof(body)));
}

static size_t
on_data(void *arg, const uint8_t *ptr, size_t len)
{
	struct client *c = arg;
	size_t took = 0;

	for (;;) {
		struct span rest = span_of(ptr + took, len - took);
		const uint8_t *end = memmem(rest.ptr, rest.len, "\r\n\r\n", 4);
		size_t head_len;

		if (end == NULL)
			return took;
		head_len = (size_t)(end - rest.ptr) + 4;
		if (rest.len < head_len + TALK_REQUEST_LEN)
			return took;
		answer(c, span_of(rest.ptr, head_len));
		took += head_len + TALK_REQUEST_LEN;
	}
}

static void
on_gone(void *arg, const char *why)
{
	struct client *c = arg;

	(void)why;
	loop_bury(c->loop, &c->grave, free, c);
}

static const struct wire_ops client_ops = {
	.open = on_open,
	.data = on_data,
	.gone = on_gone,
};

static void
on_accept(void *arg, unsigned events)
{
	struct backend *b = arg;
	struct client *c;
	int fd;

	(void)events;
	while ((fd = accept4(
		    b->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		c = calloc(1, sizeof(*c));
		if (c == NULL) {
			close(fd);
			continue;
		}
		c->loop = b->loop;
		if (wire_accept(&c->wire, b->loop, b->ctx, fd, &client_ops, c,
			NULL) != 0)
			free(c);
	}
}

int
command_backend(const struct options *o, struct loop *loop, struct err *err)
{
	struct backend b = { .loop = loop };
	struct sockaddr_in at = o->to;
	socklen_t len = sizeof(at);

	if (o->cert != NULL &&
	    (b.ctx = wire_server_ctx(o->cert, o->key, err)) == NULL)
		return -1;
	b.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (b.fd < 0 || bind(b.fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    listen(b.fd, 4096) != 0 ||
	    getsockname(b.fd, (struct sockaddr *)&at, &len) != 0)
		return err_set(err, ERR_IO, "listen: %s", strerror(errno));
	if (loop_fd_init(&b.watch, loop, b.fd, on_accept, &b, err) != 0)
		return -1;
	loop_fd_want(&b.watch, LOOP_READ);
	printf("{\"event\":\"ready\",\"port\":%u}\n", ntohs(at.sin_port));
	fflush(stdout);
	return loop_run(loop, err);
}
