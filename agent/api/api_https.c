#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/api/api_serve.h"
#include "agent/api/api_token.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/tls.h"

#define CLIENTS_MAX 32

static const struct http_settings settings = {
	.conn = { .handshake_ms = 10000,
	    .stall_ms = 15000,
	    .linger_ms = 2000,
	    .in_max = LOOP_SCRATCH_LEN,
	    .out_max = 16u << 20,
	    .out_low = 1u << 20 },
	.head_ms = 5000,
	.body_ms = 30000,
	.rate_after_ms = 5000,
	.rate_min = 512,
	.idle_ms = 30000,
};

struct server {
	const struct api_https *o;
	struct loop *loop;
	struct ssl_ctx_st *ctx;
	int fd;
	struct loop_fd watch;
	size_t clients;
};

/* One connection. */
struct client {
	struct server *server;
	char type[API_TYPE_MAX];
	char method[HTTP_METHOD_MAX + 1];
	char path[HTTP_TARGET_MAX + 1];
	bool has_type, has_query;
};

/* A number and an address that is this machine's own and nobody else's. */
static int
parse_listen(struct sockaddr_storage *out, socklen_t *len, const char *text,
    struct err *err)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	char host[64];
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;
	char *end = NULL;
	unsigned long port;

	port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
	if (n == 0 || n >= sizeof(host) || colon[1] < '0' || colon[1] > '9' ||
	    *end != '\0' || port > UINT16_MAX)
		return err_set(err, ERR_USAGE,
		    "\"%.60s\": want 127.0.0.1:PORT or [::1]:PORT", text);
	memcpy(host, text, n);
	host[n] = '\0';
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1 &&
	    (ntohl(v4.sin_addr.s_addr) >> 24) == 127) {
		v4.sin_port = htons((uint16_t)port);
		memcpy(out, &v4, sizeof(v4));
		*len = sizeof(v4);
		return 0;
	}
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &v6.sin6_addr) == 1 &&
		    IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr)) {
			v6.sin6_port = htons((uint16_t)port);
			memcpy(out, &v6, sizeof(v6));
			*len = sizeof(v6);
			return 0;
		}
	}
	return err_set(err, ERR_USAGE,
	    "\"%.60s\": not a loopback address: the owner's API is for this "
	    "machine alone",
	    text);
}

int
api_check_listen(const char *text, struct err *err)
{
	struct sockaddr_storage address;
	socklen_t len;

	return text[0] == '\0' ? 0 : parse_listen(&address, &len, text, err);
}

static void
send_answer(struct http_server *s, const struct api_answer *a, bool challenge)
{
	struct http_out_field fields[3];
	struct http_answer out = { .status = a->status,
		.origin = "agent",
		.fields = fields,
		.body = buf_span(&a->body) };
	size_t n = 0;

	fields[n++] = (struct http_out_field){ "content-type",
		span_str(a->content_type) };
	if (a->allow != NULL)
		fields[n++] =
		    (struct http_out_field){ "allow", span_str(a->allow) };
	if (challenge)
		fields[n++] = (struct http_out_field){ "www-authenticate",
			span_str("Bearer") };
	out.field_count = n;
	(void)http_answer(s, &out, NULL);
}

static void
refuse(struct http_server *s, unsigned status, const char *detail)
{
	struct api_answer a = { 0 };

	api_refuse(&a, status, detail);
	send_answer(s, &a, status == 401);
	api_answer_free(&a);
}

static void
keep(char *out, size_t cap, struct span in)
{
	size_t len = in.len < cap ? in.len : cap - 1;

	if (len > 0)
		memcpy(out, in.ptr, len);
	out[len] = '\0';
}

static void
on_open(void *arg)
{
	(void)arg;
}

/* Nothing of a body is read for who has no token. */
static enum http_verdict
on_head(void *arg, struct http_server *s, const struct http_head *head,
    size_t *body_max)
{
	struct span type = { 0 };
	struct span token = { 0 };
	struct client *c = arg;

	if (http_get(head, "authorization", &token) != 1 ||
	    !api_token_check(c->server->o->token, token)) {
		refuse(s, 401, "want the token of attest-agent api token");
		return HTTP_ANSWERED;
	}
	(void)http_get(head, "content-type", &type);
	keep(c->type, sizeof(c->type), type);
	keep(c->method, sizeof(c->method), head->method);
	keep(c->path, sizeof(c->path), head->path);
	c->has_type = type.ptr != NULL;
	c->has_query = head->has_query;
	*body_max = API_BODY_MAX;
	return HTTP_READ;
}

static bool
on_more(void *arg, size_t len)
{
	(void)arg;
	(void)len;
	return true;
}

static void
on_request(void *arg, struct http_server *s, struct buf *body)
{
	struct client *c = arg;
	struct api_request in = {
		.method = span_str(c->method),
		.path = span_str(c->path),
		.has_query = c->has_query,
		.content_type =
		    c->has_type ? span_str(c->type) : (struct span){ 0 },
		.body = buf_span(body),
	};
	struct api_answer a = { 0 };

	api_handle(&a, &in, c->server->o->ask, c->server->o->arg);
	send_answer(s, &a, false);
	api_answer_free(&a);
	if (buf_len(body) > 0)
		secret_wipe(buf_data(body), buf_len(body));
	secret_wipe(loop_scratch(c->server->loop), LOOP_SCRATCH_LEN);
}

static void
on_done(void *arg, const struct http_done *done)
{
	const struct client *c = arg;

	if (done->understood)
		log_info(NULL, "owner's API: %s %s: %u", done->method, c->path,
		    done->status);
}

static void
on_gone(void *arg, const char *why)
{
	struct client *c = arg;

	(void)why;
	c->server->clients--;
	free(c);
}

static const struct http_ops ops = { .open = on_open,
	.head = on_head,
	.more = on_more,
	.request = on_request,
	.done = on_done,
	.gone = on_gone };

static void
on_accept(void *arg, unsigned events)
{
	struct server *server = arg;
	struct http_server *http;
	struct client *c;
	int fd;

	(void)events;
	fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	c = server->clients < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (c == NULL) {
		(void)close(fd);
		return;
	}
	c->server = server;
	if (http_server_accept(&http, server->loop, server->ctx, fd, &settings,
		&ops, c, NULL) != 0)
		free(c);
	else
		server->clients++;
}

static int
open_socket(struct server *server, struct err *err)
{
	struct sockaddr_storage address;
	char port[8];
	socklen_t len;
	int one = 1;

	if (parse_listen(&address, &len, server->o->listen, err) != 0)
		return -1;
	server->fd = socket(
	    address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->fd >= 0)
		(void)setsockopt(
		    server->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (server->fd < 0 ||
	    bind(server->fd, (struct sockaddr *)&address, len) != 0 ||
	    listen(server->fd, CLIENTS_MAX) != 0 ||
	    getsockname(server->fd, (struct sockaddr *)&address, &len) != 0)
		return err_set(err, ERR_IO, "listen on %s: %s",
		    server->o->listen, strerror(errno));
	/* The port lies at the same place in both. */
	(void)snprintf(port, sizeof(port), "%u",
	    ntohs(((struct sockaddr_in *)(void *)&address)->sin_port));
	log_info(NULL, "owner's API on https://%.*s:%s",
	    (int)(strrchr(server->o->listen, ':') - server->o->listen),
	    server->o->listen, port);
	return 0;
}

static int
make_context(struct ssl_ctx_st **out, const struct api_https *o,
    struct tls_identity **id, struct err *err)
{
	const struct tls_source source = { o->certificate, o->key, "" };
	enum tls_part part;

	if (tls_identity_load(id, &source, &part, err) != 0)
		return -1;
	return tls_server(out, *id, false, span_of(NULL, 0), err);
}

int
api_https_serve(const struct api_https *options, struct err *err)
{
	struct server server = { .o = options, .fd = -1 };
	struct tls_identity *id = NULL;
	int rc = -1;

	if (make_context(&server.ctx, options, &id, err) != 0 ||
	    open_socket(&server, err) != 0 ||
	    loop_new(&server.loop, NULL, NULL, err) != 0)
		goto out;
	if (loop_fd_init(&server.watch, server.loop, server.fd, on_accept,
		&server, err) == 0) {
		loop_fd_want(&server.watch, LOOP_READ);
		rc = loop_run(server.loop, err);
		loop_fd_free(&server.watch);
	}
	loop_free(server.loop);
out:
	if (server.fd >= 0)
		(void)close(server.fd);
	tls_server_free(server.ctx);
	tls_identity_free(id);
	return rc;
}
