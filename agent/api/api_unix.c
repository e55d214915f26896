#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/api/api_serve.h"
#include "common/http_head.h"
#include "common/log.h"
#include "common/secret.h"

#define REQUEST_MS 10000 /* for all of a request */
#define WRITE_S 10
#define HEAD_OUT_MAX 1024

static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Append what comes, until ${want} bytes are there or the time is up. */
static int
read_more(struct buf *b, int fd, size_t want, int64_t until)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int64_t left = until - now_ms();
	uint8_t *room;
	ssize_t n;

	if (left <= 0 || poll(&p, 1, (int)left) != 1)
		return -1;
	room = buf_reserve(b, want, NULL);
	if (room == NULL)
		return -1;
	n = recv(fd, room, want, 0);
	if (n <= 0)
		return -1;
	buf_commit(b, (size_t)n);
	return 0;
}

/* A head, byte for byte by the rules of the relay's own. */
static int
read_head(struct http_head *head, size_t *head_len, struct buf *b, int fd,
    int64_t until, unsigned *status)
{
	struct http_scan scan = { 0 };

	for (;;) {
		enum http_scan_result got;

		got = http_scan(&scan, buf_span(b), head_len, status, NULL);
		if (got == HTTP_SCAN_BAD)
			return -1;
		if (got == HTTP_SCAN_DONE)
			break;
		*status = 408;
		if (read_more(b, fd, 4096, until) != 0)
			return -1;
	}
	return http_head_parse(
	    head, span_of(buf_span(b).ptr, *head_len), status, NULL);
}

static void
write_all(int fd, struct span in)
{
	while (in.len > 0) {
		ssize_t n = send(fd, in.ptr, in.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		in = span_of(in.ptr + n, in.len - (size_t)n);
	}
}

static void
write_answer(int fd, const struct api_answer *a)
{
	uint8_t head[HEAD_OUT_MAX];
	struct writer w = writer_of(head, sizeof(head));

	http_put_status(&w, a->status);
	http_put_field(&w, "content-type", span_str(a->content_type));
	http_put_number(&w, "content-length", buf_len(&a->body));
	http_put_field(&w, "cache-control", span_str("no-store"));
	http_put_field(&w, "connection", span_str("close"));
	if (a->allow != NULL)
		http_put_field(&w, "allow", span_str(a->allow));
	http_put_end(&w);
	write_all(fd, writer_span(&w));
	write_all(fd, buf_span(&a->body));
}

static void
answer(
    struct api_answer *out, int fd, struct buf *b, api_ask_fn *ask, void *arg)
{
	struct api_request in = { .may_read_files = true };
	int64_t until = now_ms() + REQUEST_MS;
	struct http_head head;
	size_t head_len = 0;
	unsigned status = 400;

	if (read_head(&head, &head_len, b, fd, until, &status) != 0) {
		api_refuse(out, status, http_reason(status));
		return;
	}
	if (head.length > API_BODY_MAX) {
		api_refuse(out, 413, "the body is too large");
		return;
	}
	if (head.expect_continue)
		write_all(fd, span_str("HTTP/1.1 100 Continue\r\n\r\n"));
	while (buf_len(b) < head_len + head.length)
		if (read_more(b, fd, head_len + head.length - buf_len(b),
			until) != 0) {
			api_refuse(out, 408, "the body broke off");
			return;
		}
	/* The bytes may have moved as more came. */
	if (http_head_parse(&head, span_of(buf_span(b).ptr, head_len), &status,
		NULL) != 0) {
		api_refuse(out, status, http_reason(status));
		return;
	}
	in.method = head.method;
	in.path = head.path;
	in.has_query = head.has_query;
	(void)http_get(&head, "content-type", &in.content_type);
	in.body = span_of(buf_span(b).ptr + head_len, (size_t)head.length);
	api_handle(out, &in, ask, arg);
}

static bool
is_owner(int fd)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	    (peer.uid == geteuid() || peer.uid == 0);
}

static void
serve(int fd, api_ask_fn *ask, void *arg)
{
	const struct timeval wait = { .tv_sec = WRITE_S };
	struct api_answer out = { 0 };
	struct buf b;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	buf_init(&b, HTTP_HEAD_MAX + 4096 + API_BODY_MAX, true);
	if (is_owner(fd))
		answer(&out, fd, &b, ask, arg);
	else
		api_refuse(&out, 403, "another user asks");
	write_answer(fd, &out);
	api_answer_free(&out);
	buf_free(&b);
}

static int
open_socket(const struct state *state, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[STATE_PATH_MAX];
	mode_t mask;
	int fd, rc;

	(void)state_path(path, state, API_SOCKET);
	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, ERR_USAGE, "%s: path too long", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	(void)unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mask = umask(077);
	rc = fd < 0 ? -1
		    : bind(fd, (struct sockaddr *)&address, sizeof(address));
	(void)umask(mask);
	if (rc != 0 || listen(fd, 16) != 0) {
		(void)err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	log_info(NULL, "owner's API on %s", path);
	return fd;
}

int
api_unix_serve(
    const struct state *state, api_ask_fn *ask, void *arg, struct err *err)
{
	int listen_fd = open_socket(state, err);

	if (listen_fd < 0)
		return -1;
	for (;;) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0) {
			serve(fd, ask, arg);
			(void)close(fd);
		} else if (errno != EINTR && errno != ECONNABORTED) {
			(void)err_set(
			    err, ERR_IO, "accept: %s", strerror(errno));
			(void)close(listen_fd);
			return -1;
		}
	}
}
