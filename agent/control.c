#include "agent/control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"

struct control {
	struct control_ops ops;
	char path[STATE_PATH_MAX];
	int listen_fd, signal_fd, stop_fd;
};

int
control_read_head(struct control_head *out, struct span in, struct err *err)
{
	struct reader r = reader_of(in);

	out->op = reader_u8(&r);
	out->len = reader_be32(&r);
	if (!reader_done(&r))
		return err_set(err, ERR_MALFORMED,
		    "question of %zu bytes, want %d and what they announce",
		    in.len, CONTROL_HEAD_LEN);
	if (!owner_may_ask(out->op))
		return err_set(
		    err, ERR_UNSUPPORTED, "no question has number %u", out->op);
	/* Judge the length before waiting for what it announces. */
	if (out->len > OWNER_IN_MAX)
		return err_set(err, ERR_LIMIT,
		    "question of %u bytes, at "
		    "most %d",
		    out->len, OWNER_IN_MAX);
	return 0;
}

static int
read_all(int fd, void *out, size_t len)
{
	uint8_t *at = out;

	while (len > 0) {
		ssize_t n = recv(fd, at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
write_all(int fd, struct span in)
{
	while (in.len > 0) {
		ssize_t n = send(fd, in.ptr, in.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		in = span_of(in.ptr + n, in.len - (size_t)n);
	}
	return 0;
}

static int
send_message(int fd, uint8_t code, struct span body)
{
	uint8_t head[CONTROL_HEAD_LEN];
	struct writer w = writer_of(head, sizeof(head));

	writer_u8(&w, code);
	writer_be32(&w, (uint32_t)body.len);
	if (write_all(fd, writer_span(&w)) != 0)
		return -1;
	return write_all(fd, body);
}

static void
set_patience(int fd)
{
	const struct timeval wait = { .tv_sec = CONTROL_WAIT_S };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
}

static int
check_peer(int fd, struct err *err)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
	    (peer.uid != geteuid() && peer.uid != 0))
		return err_set(err, ERR_UNTRUSTED, "another user asks");
	return 0;
}

int
control_read_question(
    struct control_head *head, struct secret *body, int fd, struct err *err)
{
	uint8_t bytes[CONTROL_HEAD_LEN];

	if (read_all(fd, bytes, sizeof(bytes)) != 0)
		return err_set(err, ERR_CLOSED, "no question came");
	if (control_read_head(head, span_of(bytes, sizeof(bytes)), err) != 0)
		return -1;
	if (secret_alloc(body, head->len, err) != 0)
		return -1;
	if (read_all(fd, body->ptr, body->len) != 0)
		return err_set(err, ERR_IO, "the question broke off");
	return 0;
}

void
control_write_answer(
    int fd, int rc, const struct buf *out, const struct err *err)
{
	if (rc == 0)
		(void)send_message(fd, ERR_NONE, buf_span(out));
	else
		(void)send_message(fd, (uint8_t)err->code, span_str(err->msg));
}

/* Some are for the agent's own parts alone. */
static int
check_op(const struct control_head *head, struct err *err)
{
	if (head->op < OWNER_BLOCK)
		return 0;
	return err_set(
	    err, ERR_UNSUPPORTED, "no question has number %u", head->op);
}

static void
serve(struct control *c, int fd)
{
	struct control_head head = { 0 };
	struct secret body = { 0 };
	struct err err = { 0 };
	struct buf out;
	int rc = -1;

	buf_init(&out, OWNER_OUT_MAX, true); /* a TIK may be in it */
	set_patience(fd);
	if (check_peer(fd, &err) == 0 &&
	    control_read_question(&head, &body, fd, &err) == 0 &&
	    check_op(&head, &err) == 0)
		rc = c->ops.answer(
		    c->ops.arg, head.op, secret_span(&body), &out, &err);
	control_write_answer(fd, rc, &out, &err);
	secret_free(&body);
	buf_free(&out);
	(void)close(fd);
}

static void
take_signal(struct control *c)
{
	struct signalfd_siginfo info;

	if (read(c->signal_fd, &info, sizeof(info)) == sizeof(info))
		c->ops.signalled(c->ops.arg, (int)info.ssi_signo);
}

void
control_run(struct control *c)
{
	struct pollfd fds[] = { { c->stop_fd, POLLIN, 0 },
		{ c->signal_fd, POLLIN, 0 }, { c->listen_fd, POLLIN, 0 } };

	for (;;) {
		int wait = c->ops.tick != NULL ? c->ops.tick(c->ops.arg) : -1;

		if (poll(fds, 3, wait) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (fds[0].revents != 0)
			return;
		if (fds[1].revents != 0)
			take_signal(c);
		if (fds[2].revents != 0) {
			int fd =
			    accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC);

			if (fd >= 0)
				serve(c, fd);
		}
	}
}

/* A socket's path is short; where the folder's is too long for one, the way
 * goes by its open descriptor. */
static int
make_address(
    struct sockaddr_un *out, const struct state *state, struct err *err)
{
	char path[STATE_PATH_MAX];
	int n;

	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	(void)state_path(path, state, CONTROL_SOCKET);
	if (strlen(path) < sizeof(out->sun_path)) {
		memcpy(out->sun_path, path, strlen(path) + 1);
		return 0;
	}
	n = snprintf(out->sun_path, sizeof(out->sun_path),
	    "/proc/self/fd/%d/%s", state->dir_fd, CONTROL_SOCKET);
	if (n < 0 || (size_t)n >= sizeof(out->sun_path))
		return err_set(err, ERR_USAGE, "%s: path too long", path);
	return 0;
}

/* A socket is left behind by kill -9; the lock of the folder says that no one
 * listens on it. */
static int
open_socket(struct control *c, const struct state *state, struct err *err)
{
	struct sockaddr_un address;
	mode_t mask;
	int rc;

	if (make_address(&address, state, err) != 0)
		return -1;
	(void)unlink(c->path);
	c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mask = umask(077);
	rc = c->listen_fd < 0
	    ? -1
	    : bind(c->listen_fd, (struct sockaddr *)&address, sizeof(address));
	(void)umask(mask);
	if (rc != 0 || listen(c->listen_fd, 16) != 0)
		return err_set(err, ERR_IO, "%s: %s", c->path, strerror(errno));
	return 0;
}

static void
control_free(struct control *c)
{
	if (c->listen_fd >= 0) {
		(void)close(c->listen_fd);
		(void)unlink(c->path);
	}
	if (c->signal_fd >= 0)
		(void)close(c->signal_fd);
	if (c->stop_fd >= 0)
		(void)close(c->stop_fd);
	free(c);
}

int
control_open(struct control **out, const struct state *state,
    const struct control_ops *ops, struct err *err)
{
	struct control *c = calloc(1, sizeof(*c));
	sigset_t signals;

	if (c == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the socket");
	c->ops = *ops;
	c->listen_fd = -1;
	(void)state_path(c->path, state, CONTROL_SOCKET);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGCHLD);
	c->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	c->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (c->signal_fd < 0 || c->stop_fd < 0) {
		(void)err_set(err, ERR_INTERNAL, "%s", strerror(errno));
		goto fail;
	}
	if (open_socket(c, state, err) != 0)
		goto fail;
	*out = c;
	return 0;
fail:
	control_free(c);
	return -1;
}

void
control_end(struct control *c)
{
	const uint64_t one = 1;

	/* It cannot be full: nothing else is ever written to it. */
	if (write(c->stop_fd, &one, sizeof(one)) != sizeof(one))
		return;
}

void
control_close(struct control *c)
{
	if (c != NULL)
		control_free(c);
}

static int
take_answer(struct buf *out, int fd, struct err *err)
{
	uint8_t bytes[CONTROL_HEAD_LEN];
	struct reader r = reader_of(span_of(bytes, sizeof(bytes)));
	uint8_t *room;
	uint8_t code;
	uint32_t len;

	if (read_all(fd, bytes, sizeof(bytes)) != 0)
		return err_set(err, ERR_IO, "the agent did not answer");
	code = reader_u8(&r);
	len = reader_be32(&r);
	if (len > OWNER_OUT_MAX)
		return err_set(err, ERR_LIMIT, "answer of %u bytes", len);
	room = buf_reserve(out, (size_t)len + 1, err);
	if (room == NULL)
		return -1;
	if (read_all(fd, room, len) != 0)
		return err_set(err, ERR_IO, "the answer broke off");
	if (code != ERR_NONE)
		return err_set(err, (enum err_code)code, "%.*s", (int)len,
		    (const char *)room);
	buf_commit(out, len);
	return 0;
}

int
control_ask_fd(
    struct buf *out, int fd, unsigned op, struct span in, struct err *err)
{
	if (send_message(fd, (uint8_t)op, in) != 0)
		return err_set(err, ERR_IO, "the agent does not listen");
	return take_answer(out, fd, err);
}

int
control_connect(const struct state *state, struct err *err)
{
	struct sockaddr_un address;
	int fd;

	if (make_address(&address, state, err) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, ERR_IO, "%s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (errno == ENOENT || errno == ECONNREFUSED)
		(void)err_set(err, ERR_CLOSED,
		    "no agent runs on %s (attest-agent run, or service "
		    "install, starts one)",
		    state->dir);
	else
		(void)err_set(err, ERR_IO, "agent.sock of %s: %s", state->dir,
		    strerror(errno));
	(void)close(fd);
	return -1;
}

int
control_ask(struct buf *out, const struct state *state, unsigned op,
    struct span in, struct err *err)
{
	int fd = control_connect(state, err);
	int rc;

	if (fd < 0)
		return -1;
	rc = control_ask_fd(out, fd, op, in, err);
	(void)close(fd);
	return rc;
}
