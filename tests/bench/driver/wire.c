#include "tests/bench/driver/wire.h"

#include "common/buf.h"
#include "common/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_MAX (8 * 1024 * 1024)
#define IN_MAX (128 * 1024)

struct wire {
	struct loop *loop;
	int fd;
	SSL *ssl; /* NULL: plain */
	bool connecting;
	bool open;
	bool closed;
	bool blocked;
	struct buf in;
	struct buf out;
	struct loop_fd watch;
	struct loop_task flush;
	struct loop_grave grave;
	const struct wire_ops *ops;
	void *arg;
};

static void
set_policy(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
}

static int
load_pair(SSL_CTX *ctx, const char *cert, const char *key, struct err *err)
{
	if (cert == NULL)
		return 0;
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return tls_error(err, cert);
	return 0;
}

static SSL_CTX *
make_ctx(const SSL_METHOD *method, const char *cert, const char *key,
    struct err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL) {
		tls_error(err, "TLS context");
		return NULL;
	}
	set_policy(ctx);
	if (load_pair(ctx, cert, key, err) != 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

SSL_CTX *
wire_client_ctx(const char *cert, const char *key, struct err *err)
{
	return make_ctx(TLS_client_method(), cert, key, err);
}

SSL_CTX *
wire_server_ctx(const char *cert, const char *key, struct err *err)
{
	return make_ctx(TLS_server_method(), cert, key, err);
}

void
wire_ctx_free(SSL_CTX *ctx)
{
	SSL_CTX_free(ctx);
}

static void
release(void *arg)
{
	struct wire *w = arg;

	SSL_free(w->ssl);
	close(w->fd);
	buf_free(&w->in);
	buf_free(&w->out);
	free(w);
}

void
wire_close(struct wire *w)
{
	if (w == NULL || w->closed)
		return;
	w->closed = true;
	if (w->ssl != NULL && w->open)
		SSL_shutdown(w->ssl);
	ERR_clear_error();
	loop_fd_free(&w->watch);
	loop_task_cancel(&w->flush);
	/* The peer must see the end now, and not when memory is freed. */
	shutdown(w->fd, SHUT_RDWR);
	loop_bury(w->loop, &w->grave, release, w);
}

static void
gone(struct wire *w, const char *why)
{
	if (w->closed)
		return;
	wire_close(w);
	w->ops->gone(w->arg, why);
}

static void
watch(struct wire *w)
{
	if (!w->closed)
		loop_fd_want(&w->watch,
		    LOOP_READ | (w->blocked || w->connecting ? LOOP_WRITE : 0));
}

/* What a call on the socket came to: 1 go on, 0 wait, -1 it is over. */
static int
outcome(struct wire *w, int rc, bool *wants_write)
{
	int want;

	*wants_write = false;
	if (w->ssl == NULL) {
		if (rc < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		return rc <= 0 ? -1 : 1;
	}
	if (rc > 0)
		return 1;
	want = SSL_get_error(w->ssl, rc);
	*wants_write = want == SSL_ERROR_WANT_WRITE;
	ERR_clear_error();
	return want == SSL_ERROR_WANT_READ || *wants_write ? 0 : -1;
}

static void
flush(void *arg)
{
	struct wire *w = arg;
	struct span rest;
	bool unused;
	int rc;

	while (w->open && !w->closed && (rest = buf_span(&w->out)).len > 0) {
		rc = w->ssl != NULL
		    ? SSL_write(w->ssl, rest.ptr, (int)rest.len)
		    : (int)send(w->fd, rest.ptr, rest.len, MSG_NOSIGNAL);
		switch (outcome(w, rc, &unused)) {
		case 1:
			buf_consume(&w->out, (size_t)rc);
			continue;
		case 0:
			w->blocked = true;
			watch(w);
			return;
		default:
			gone(w, "write failed");
			return;
		}
	}
	if (w->closed)
		return;
	buf_trim(&w->out);
	if (w->blocked) {
		w->blocked = false;
		watch(w);
	}
}

void
wire_write(struct wire *w, struct span bytes)
{
	if (w->closed)
		return;
	if (buf_append(&w->out, bytes, NULL) != 0) {
		fprintf(stderr, "relay-bench: peer reads nothing\n");
		exit(1);
	}
	if (!w->blocked)
		loop_soon(w->loop, &w->flush);
}

static void
hand_out(struct wire *w, const uint8_t *ptr, size_t len)
{
	size_t took;

	if (buf_len(&w->in) > 0) {
		if (buf_append(&w->in, span_of(ptr, len), NULL) != 0) {
			gone(w, "more sent than is taken");
			return;
		}
		took = w->ops->data(w->arg, buf_data(&w->in), buf_len(&w->in));
		if (!w->closed) {
			buf_consume(&w->in, took);
			buf_trim(&w->in);
		}
		return;
	}
	took = w->ops->data(w->arg, ptr, len);
	if (!w->closed && took < len)
		buf_append(&w->in, span_of(ptr + took, len - took), NULL);
}

/* What the socket still holds is told by the loop: to ask it would be a system
 * call for each message, which a plain connection does not make either. */
static bool
has_more(const struct wire *w)
{
	return w->ssl != NULL && SSL_has_pending(w->ssl) == 1;
}

static void
read_all(struct wire *w)
{
	uint8_t *ptr = loop_scratch(w->loop);
	bool wants_write;
	size_t len;
	int rc;

	while (!w->closed) {
		len = 0;
		do {
			ERR_clear_error();
			rc = w->ssl != NULL ? SSL_read(w->ssl, ptr + len,
						  (int)(LOOP_SCRATCH_LEN - len))
					    : (int)recv(w->fd, ptr + len,
						  LOOP_SCRATCH_LEN - len, 0);
			if (rc > 0)
				len += (size_t)rc;
		} while (rc > 0 && len < LOOP_SCRATCH_LEN && has_more(w));
		if (len > 0)
			hand_out(w, ptr, len);
		if (rc > 0 && !w->closed && has_more(w))
			continue;
		if (rc <= 0 && outcome(w, rc, &wants_write) < 0)
			gone(w, "closed by the peer");
		return;
	}
}

static void
on_open(struct wire *w)
{
	w->open = true;
	w->blocked = false;
	watch(w);
	w->ops->open(w->arg);
	if (w->closed)
		return;
	loop_soon(w->loop, &w->flush);
	if (w->ssl != NULL)
		read_all(w);
}

static void
step(struct wire *w)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(w->ssl);
	if (rc == 1) {
		on_open(w);
		return;
	}
	if (outcome(w, rc, &w->blocked) < 0)
		gone(w, "handshake failed");
	else
		watch(w);
}

static void
on_connected(struct wire *w)
{
	int fault = 0;
	socklen_t len = sizeof(fault);

	getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &fault, &len);
	w->connecting = false;
	if (fault != 0)
		gone(w, strerror(fault));
	else if (w->ssl == NULL)
		on_open(w);
	else
		step(w);
}

static void
on_event(void *arg, unsigned events)
{
	struct wire *w = arg;

	if (w->connecting) {
		on_connected(w);
		return;
	}
	if (!w->open) {
		step(w);
		return;
	}
	if (events & LOOP_WRITE)
		flush(w);
	if (!w->closed && (events & LOOP_READ))
		read_all(w);
}

static int
make(struct wire **out, struct loop *loop, SSL_CTX *ctx, int fd,
    const struct wire_ops *ops, void *arg, struct err *err)
{
	struct wire *w = calloc(1, sizeof(*w));
	int one = 1;

	*out = NULL;
	if (w == NULL) {
		close(fd);
		return err_set(err, ERR_MEMORY, "no memory");
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	w->loop = loop;
	w->fd = fd;
	w->ops = ops;
	w->arg = arg;
	buf_init(&w->in, IN_MAX, false);
	buf_init(&w->out, OUT_MAX, false);
	loop_task_init(&w->flush, flush, w);
	if (ctx != NULL &&
	    ((w->ssl = SSL_new(ctx)) == NULL || SSL_set_fd(w->ssl, fd) != 1)) {
		release(w);
		return tls_error(err, "TLS");
	}
	if (loop_fd_init(&w->watch, loop, fd, on_event, w, err) != 0) {
		release(w);
		return -1;
	}
	*out = w;
	return 0;
}

int
wire_dial(struct wire **out, struct loop *loop, SSL_CTX *ctx,
    const struct sockaddr_in *to, const struct wire_ops *ops, void *arg,
    struct err *err)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    (connect(fd, (const struct sockaddr *)to, sizeof(*to)) != 0 &&
		errno != EINPROGRESS)) {
		err_set(err, ERR_IO, "connect: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (make(out, loop, ctx, fd, ops, arg, err) != 0)
		return -1;
	if (ctx != NULL)
		SSL_set_connect_state((*out)->ssl);
	(*out)->connecting = true;
	watch(*out);
	return 0;
}

int
wire_accept(struct wire **out, struct loop *loop, SSL_CTX *ctx, int fd,
    const struct wire_ops *ops, void *arg, struct err *err)
{
	if (make(out, loop, ctx, fd, ops, arg, err) != 0)
		return -1;
	if (ctx != NULL)
		SSL_set_accept_state((*out)->ssl);
	(*out)->open = ctx == NULL;
	watch(*out);
	return 0;
}

SSL *
wire_ssl(struct wire *w)
{
	return w->ssl;
}

int
wire_address(struct sockaddr_in *out, const char *text, struct err *err)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;

	*out = (struct sockaddr_in){ .sin_family = AF_INET };
	if (len > 0 && len < sizeof(host)) {
		memcpy(host, text, len);
		host[len] = '\0';
		out->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
		if (inet_pton(AF_INET, host, &out->sin_addr) == 1)
			return 0;
	}
	return err_set(err, ERR_USAGE, "%s: want IPv4:PORT", text);
}
