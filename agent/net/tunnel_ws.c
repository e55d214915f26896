/* libwebsockets.h names types that OpenSSL 3.0 has deprecated. */
#undef OPENSSL_NO_DEPRECATED
#undef OPENSSL_API_COMPAT

#include "agent/net/tunnel_ws.h"

#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/net/tunnel_tls.h"
#include "agent/relay_url.h"
#include "common/log.h"
#include "common/secret.h"

#define LOST 1006           /* RFC 6455 7.4.1: never on the wire */
#define WHY_LEN 123         /* of a close frame */
#define SEND_MAX (4u << 20) /* queued bytes of one link */
#define CONNECT_S 20

struct message {
	STAILQ_ENTRY(message) next;
	size_t len;
	uint8_t bytes[]; /* LWS_PRE, then the message */
};

struct ws_link {
	struct ws_target *target;
	struct lws *wsi; /* NULL before and after */
	void *user;
	bool open;          /* ops.opened was called */
	bool closing;       /* ws_close() was called */
	bool over;          /* ops.closed was called, or would be */
	bool dialing;       /* inside ws_dial() */
	unsigned code;      /* of our close */
	unsigned peer_code; /* of the peer's */
	char why[WHY_LEN + 1];
	STAILQ_HEAD(, message) queue;
	size_t queued; /* bytes */
	uint8_t *rx;   /* owned; a message in pieces */
	size_t rx_len;
	LIST_ENTRY(ws_link) links;
};

/* A URL has its own virtual host in lws, as authorities and proxy are set for
 * those. */
struct ws_target {
	bool pin_only;
	struct secret token; /* shown when the link opens; empty: none */
	SLIST_ENTRY(ws_target) next;
	struct ws_net *net;
	struct lws_vhost *vhost; /* of the context */
	SSL_CTX *tls;
	struct relay_url url;
	const char *subprotocol; /* borrowed */
};

struct ws_net {
	struct lws_context *lws;
	struct ws_ops ops;
	void *arg;
	lws_sorted_usec_list_t timer;
	bool stop;
	SLIST_HEAD(, ws_target) targets; /* owned */
	LIST_HEAD(, ws_link) links;
};

/* Nothing is ever sent by lws itself: tunnels have a PING of their own. */
static const lws_retry_bo_t no_pings = { .secs_since_valid_ping = 0 };

static void
link_end(struct ws_link *l, unsigned code, const char *why)
{
	struct message *m;

	if (l->over)
		return;
	l->over = true;
	l->wsi = NULL;
	while ((m = STAILQ_FIRST(&l->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&l->queue, next);
		free(m);
	}
	if (l->dialing)
		return; /* ws_dial() tells it, and frees */
	LIST_REMOVE(l, links);
	l->target->net->ops.closed(l->user, code, why);
	free(l->rx);
	free(l);
}

static int
on_open(struct ws_link *l)
{
	l->open = true;
	l->target->net->ops.opened(l->user);
	return 0;
}

/* Instead of a known key (docs/protocol.md 12.3).  The handshake is done, so
 * that this is the relay, and nobody else reads it. */
static int
show_token(const struct ws_link *l, void *in, size_t room)
{
	static const char scheme[] = "Bearer ";
	struct span token = secret_span(&l->target->token);
	uint8_t **at = in;
	struct secret value = { 0 };
	int rc = -1;

	if (token.len == 0)
		return 0;
	if (secret_alloc(&value, sizeof(scheme) - 1 + token.len, NULL) != 0)
		return -1;
	memcpy(value.ptr, scheme, sizeof(scheme) - 1);
	memcpy(value.ptr + sizeof(scheme) - 1, token.ptr, token.len);
	if (lws_add_http_header_by_token(l->wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
		value.ptr, (int)value.len, at, *at + room) == 0)
		rc = 0;
	secret_free(&value);
	return rc;
}

static int
refuse(struct ws_link *l, unsigned code, const char *why)
{
	(void)snprintf(l->why, sizeof(l->why), "%s", why);
	l->code = code;
	lws_close_reason(l->wsi, (enum lws_close_status)code,
	    (unsigned char *)l->why, strlen(l->why));
	return -1;
}

static void
message(struct ws_link *l, struct span bytes)
{
	l->target->net->ops.message(l->user, bytes);
}

/* lws hands pieces on as they come: one message is one call from here. */
static int
on_receive(struct ws_link *l, const void *in, size_t len)
{
	bool last = lws_is_final_fragment(l->wsi) != 0 &&
	    lws_remaining_packet_payload(l->wsi) == 0;

	if (lws_frame_is_binary(l->wsi) == 0)
		return refuse(l, 4400, "text");
	if (l->closing)
		return 0;
	if (lws_is_first_fragment(l->wsi) != 0)
		l->rx_len = 0;
	if (l->rx_len == 0 && last) {
		if (len > WS_NET_MESSAGE_MAX)
			return refuse(l, 4404, "message too long");
		message(l, span_of(in, len));
		return 0;
	}
	if (l->rx == NULL)
		l->rx = malloc(WS_NET_MESSAGE_MAX);
	if (l->rx == NULL || len > WS_NET_MESSAGE_MAX - l->rx_len)
		return refuse(l, 4404, "message too long");
	if (len > 0)
		memcpy(l->rx + l->rx_len, in, len);
	l->rx_len += len;
	if (last) {
		size_t whole = l->rx_len;

		l->rx_len = 0;
		message(l, span_of(l->rx, whole));
	}
	return 0;
}

static int
on_writable(struct ws_link *l)
{
	struct message *m = STAILQ_FIRST(&l->queue);
	int n;

	if (m == NULL) {
		if (!l->closing)
			return 0;
		if (l->code != LOST)
			lws_close_reason(l->wsi, (enum lws_close_status)l->code,
			    (unsigned char *)l->why, strlen(l->why));
		return -1;
	}
	STAILQ_REMOVE_HEAD(&l->queue, next);
	l->queued -= m->len;
	n = lws_write(l->wsi, m->bytes + LWS_PRE, m->len, LWS_WRITE_BINARY);
	free(m);
	if (n < 0)
		return -1;
	if (!STAILQ_EMPTY(&l->queue) || l->closing)
		(void)lws_callback_on_writable(l->wsi);
	return 0;
}

static void
on_peer_close(struct ws_link *l, const void *in, size_t len)
{
	struct reader r = reader_of(span_of(in, len));

	l->peer_code = len >= 2 ? reader_be16(&r) : 1005;
	if (!l->closing && len > 2)
		(void)snprintf(l->why, sizeof(l->why), "%.*s",
		    (int)(r.rest.len < WHY_LEN ? r.rest.len : WHY_LEN),
		    (const char *)r.rest.ptr);
}

/* "SSL err 1" is all that lws has to say of a certificate. */
static void
say_verdict(struct ws_link *l, struct lws *wsi)
{
	SSL *ssl = lws_get_ssl(wsi);
	long verdict = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;

	if (l->why[0] != '\0' || verdict == X509_V_OK)
		return;
	if (verdict == X509_V_ERR_APPLICATION_VERIFICATION)
		(void)snprintf(l->why, sizeof(l->why),
		    "the relay's key is not the pinned one");
	else
		(void)snprintf(l->why, sizeof(l->why),
		    "the relay's certificate is refused: %s",
		    X509_verify_cert_error_string(verdict));
}

/* lws says where in it a try ended. */
static const char *
plain_words(const char *lws)
{
	static const struct {
		const char *lws;
		const char *words;
	} table[] = {
		{ "Unable to connect",
		    "not reached: is the relay up, and the port right?" },
		{ "HS: ws upgrade response not 101",
		    "what answers there lets no agent in: the relay drains, "
		    "or host, port or base of relay.url is wrong" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strncmp(lws, table[i].lws, strlen(table[i].lws)) == 0)
			return table[i].words;
	return lws;
}

/* lws does not tell the end of every try that fails in its handshake (its
 * issue 2176), but always when it frees what we would otherwise still use. */
static void
on_freed(const struct ws_net *n, const struct lws *wsi)
{
	struct ws_link *l;

	LIST_FOREACH(l, &n->links, links)
	{
		if (l->wsi == wsi) {
			link_end(l, LOST, "connection lost");
			return;
		}
	}
}

static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user,
    void *in, size_t len)
{
	struct ws_net *n = lws_context_user(lws_get_context(wsi));
	struct ws_link *l = user;

	if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED) {
		n->ops.woken(n->arg);
		return 0;
	}
	if (n != NULL && reason == LWS_CALLBACK_WSI_DESTROY)
		on_freed(n, wsi);
	if (l == NULL || n == NULL)
		return 0;
	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		l->wsi = wsi;
		return show_token(l, in, len);
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		l->wsi = wsi;
		return on_open(l);
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return on_receive(l, in, len);
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return on_writable(l);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		on_peer_close(l, in, len);
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		say_verdict(l, wsi);
		link_end(l, LOST,
		    l->why[0] != '\0'           ? l->why
			: in != NULL && len > 0 ? plain_words(in)
						: "cannot connect");
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
		link_end(l,
		    l->peer_code != 0  ? l->peer_code
			: l->code != 0 ? l->code
				       : LOST,
		    l->why[0] != '\0' ? l->why : "connection lost");
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{ "attest-agent", on_event, 0, WS_NET_MESSAGE_MAX, 0, NULL, 0 },
	{ NULL, NULL, 0, 0, 0, NULL, 0 },
};

/* The words of lws are for finding faults in it, not for owners. */
static void
on_lws_log(int level, const char *line)
{
	(void)level;
	log_debug(NULL, "lws: %.*s", (int)strcspn(line, "\n"), line);
}

static void
on_timer(lws_sorted_usec_list_t *timer)
{
	struct ws_net *n = lws_container_of(timer, struct ws_net, timer);

	uint32_t next = n->ops.tick(n->arg);

	if (next > WS_NET_STEP_MS)
		next = WS_NET_STEP_MS;
	lws_sul_schedule(
	    n->lws, 0, &n->timer, on_timer, (lws_usec_t)(next + 1) * 1000);
}

static int
make_vhost(struct ws_target *t, const char *proxy, struct err *err)
{
	struct lws_context_creation_info info = { 0 };
	struct relay_proxy via = { 0 };

	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	info.provided_client_ssl_ctx = t->tls;
	info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	info.retry_and_idle_policy = &no_pings;
	info.timeout_secs = CONNECT_S;
	info.connect_timeout_secs = CONNECT_S;
	if (proxy != NULL) {
		if (relay_proxy_parse(&via, proxy, err) != 0)
			return -1;
		info.http_proxy_address = via.authority;
		info.http_proxy_port = via.port;
	}
	t->vhost = lws_create_vhost(t->net->lws, &info);
	if (t->vhost == NULL)
		return err_set(
		    err, ERR_INTERNAL, "libwebsockets: no virtual host");
	return 0;
}

int
ws_target_new(struct ws_target **out, struct ws_net *n,
    const struct ws_options *options, struct err *err)
{
	struct ws_target *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a relay");
	t->net = n;
	t->url = options->url;
	t->subprotocol = options->subprotocol;
	SLIST_INSERT_HEAD(&n->targets, t, next);
	t->pin_only = options->pin_only && t->url.has_pin;
	if (tunnel_tls_new(&t->tls, &t->url, options, err) != 0 ||
	    tunnel_token_read(&t->token, options->token_file, err) != 0 ||
	    make_vhost(t, options->proxy, err) != 0)
		return -1;
	*out = t;
	return 0;
}

int
ws_net_new(
    struct ws_net **out, const struct ws_ops *ops, void *arg, struct err *err)
{
	struct lws_context_creation_info info = { 0 };
	struct ws_net *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the network");
	LIST_INIT(&n->links);
	SLIST_INIT(&n->targets);
	n->ops = *ops;
	n->arg = arg;
	/* lws reads this variable by itself; the proxy is our caller's. */
	(void)unsetenv("http_proxy");
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.gid = -1;
	info.uid = -1;
	info.user = n;
	info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	info.timeout_secs = CONNECT_S;
	info.connect_timeout_secs = CONNECT_S;
	lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
	n->lws = lws_create_context(&info);
	if (n->lws == NULL) {
		free(n);
		return err_set(err, ERR_INTERNAL, "libwebsockets: no context");
	}
	lws_sul_schedule(n->lws, 0, &n->timer, on_timer, 1);
	*out = n;
	return 0;
}

void
ws_net_free(struct ws_net *n)
{
	struct ws_target *t;

	if (n == NULL)
		return;
	n->stop = true;
	lws_context_destroy(n->lws);
	while ((t = SLIST_FIRST(&n->targets)) != NULL) {
		SLIST_REMOVE_HEAD(&n->targets, next);
		SSL_CTX_free(t->tls);
		secret_free(&t->token);
		free(t);
	}
	free(n);
}

void
ws_net_run(struct ws_net *n)
{
	while (!n->stop && lws_service(n->lws, 0) >= 0)
		;
}

void
ws_net_stop(struct ws_net *n)
{
	if (n->stop)
		return;
	n->stop = true;
	lws_cancel_service(n->lws);
}

void
ws_net_tick(struct ws_net *n)
{
	if (!n->stop)
		lws_sul_schedule(n->lws, 0, &n->timer, on_timer, 1);
}

void
ws_net_wake(struct ws_net *n)
{
	/* The one call of lws that is safe from another thread. */
	lws_cancel_service(n->lws);
}

struct ws_link *
ws_dial(struct ws_target *t, const char *address, void *user, struct err *err)
{
	struct lws_client_connect_info info = { 0 };
	struct ws_link *l = calloc(1, sizeof(*l));
	struct lws *wsi;
	char host[300];

	if (l == NULL) {
		(void)err_set(err, ERR_MEMORY, "no memory for a link");
		return NULL;
	}
	l->target = t;
	l->user = user;
	STAILQ_INIT(&l->queue);
	LIST_INSERT_HEAD(&t->net->links, l, links);
	(void)snprintf(host, sizeof(host),
	    strchr(t->url.host, ':') != NULL ? "[%s]:%u" : "%s:%u", t->url.host,
	    (unsigned)t->url.port);
	info.context = t->net->lws;
	info.vhost = t->vhost;
	info.address = address[0] != '\0' ? address : t->url.host;
	info.port = t->url.port;
	info.path = t->url.path;
	info.host = host;
	info.protocol = t->subprotocol;
	info.local_protocol_name = protocols[0].name;
	/* By itself lws follows a redirect to wherever a server says, and then
	 * wants a certificate for that name instead of the owner's relay. */
	info.ssl_connection = LCCSCF_USE_SSL | LCCSCF_HTTP_NO_FOLLOW_REDIRECT;
	/* lws cuts its own copy of the name at the first colon, so that "[" is
	 * all it would look for in a certificate for an IPv6 address.  Ours,
	 * in tunnel_tls.c, is part of the handshake, and knows it is one. */
	if (t->pin_only || strchr(t->url.host, ':') != NULL)
		info.ssl_connection |= LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
	info.userdata = l;
	info.retry_and_idle_policy = &no_pings;
	l->dialing = true;
	wsi = lws_client_connect_via_info(&info);
	l->dialing = false;
	if (wsi == NULL || l->over) {
		LIST_REMOVE(l, links);
		(void)err_set(err, ERR_IO, "cannot connect");
		free(l);
		return NULL;
	}
	l->wsi = wsi;
	return l;
}

void
ws_send(struct ws_link *l, struct span head, struct span body)
{
	struct message *m;

	if (l->over || l->closing || l->wsi == NULL)
		return;
	if (l->queued > SEND_MAX) {
		ws_close(l, LOST, "the relay does not read");
		return;
	}
	m = malloc(sizeof(*m) + LWS_PRE + head.len + body.len);
	if (m == NULL) {
		ws_close(l, LOST, "no memory");
		return;
	}
	m->len = head.len + body.len;
	if (head.len > 0)
		memcpy(m->bytes + LWS_PRE, head.ptr, head.len);
	if (body.len > 0)
		memcpy(m->bytes + LWS_PRE + head.len, body.ptr, body.len);
	STAILQ_INSERT_TAIL(&l->queue, m, next);
	l->queued += m->len;
	(void)lws_callback_on_writable(l->wsi);
}

void
ws_close(struct ws_link *l, unsigned code, const char *why)
{
	if (l->over || l->closing)
		return;
	l->closing = true;
	l->code = code;
	(void)snprintf(l->why, sizeof(l->why), "%s", why);
	if (l->wsi == NULL)
		return;
	if (!l->open || code == LOST)
		lws_set_timeout(
		    l->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	else
		(void)lws_callback_on_writable(l->wsi);
}

int
ws_exporter(uint8_t out[WS_NET_EXPORTER_LEN], const struct ws_link *l,
    const char *label)
{
	SSL *ssl = l->wsi != NULL ? lws_get_ssl(l->wsi) : NULL;

	if (ssl == NULL ||
	    SSL_export_keying_material(ssl, out, WS_NET_EXPORTER_LEN, label,
		strlen(label), NULL, 0, 0) != 1)
		return -1;
	return 0;
}
