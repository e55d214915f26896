#include "relay/tunnel_side.h"

#include "common/clock.h"
#include "common/secret.h"
#include "common/tls_memory.h"
#include "common/tls_peer.h"
#include "common/admit.h"
#include "relay/side_impl.h"

#include <stdlib.h>
#include <string.h>

#define PONGS_MAX 16384 /* bytes queued, from which on pings are let be */
#define CLOSE_WORDS_MAX (WS_HEADER_MAX + WS_CONTROL_MAX)

static const char *const speaks[] = { TUNNEL_SUBPROTOCOL, NULL };

static void
release(void *arg)
{
	struct side *s = arg;

	loop_timer_free(&s->timer);
	loop_task_cancel(&s->pump);
	tunnel_free(s->tunnel);
	ws_free(&s->ws);
	queue_free(s->queue);
	side_first_free(s);
	free(s->claims);
	free(s->token);
	free(s->certificate);
	tls_peer_free(s->shown);
	free(s);
}

/*
 * Ops of the tunnel.
 */

static void
on_send(void *arg, struct span head, struct span body)
{
	struct side *s = arg;
	uint8_t bytes[WS_HEADER_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (s->conn == NULL)
		return;
	ws_put_header(&w, WS_OP_BINARY, head.len + body.len);
	conn_write(s->conn, writer_span(&w));
	conn_write(s->conn, head);
	conn_write(s->conn, body);
}

static void
on_tunnel_closed(void *arg, unsigned code, const char *why)
{
	struct side *s = arg;
	struct counters *c = &s->worker->counters;
	uint8_t words[CLOSE_WORDS_MAX];
	struct writer w = writer_of(words, sizeof(words));

	/* Told once it is true: no route leads here any more. */
	side_leave(s);
	side_return_queued(s);
	if (s->joined) {
		counter_add(&c->ends[counter_end_of(code)], 1);
		log_info(&s->subject, "down: %s (%u)", why, code);
	} else {
		counter_add(&c->rejections[code == TUNNEL_CLOSE_UNTRUSTED
				    ? REJECT_HELLO
				    : REJECT_TUNNEL],
		    1);
		log_warn(&s->subject, "tunnel refused: %s (%u)", why, code);
	}
	slab_remove(&s->worker->tunnels, s->handle);
	loop_timer_cancel(&s->timer);
	if (s->conn == NULL || code == TUNNEL_CLOSE_LOST)
		return;
	ws_put_close(&w, (uint16_t)code, why);
	conn_write(s->conn, writer_span(&w));
	conn_finish(s->conn, "tunnel closed");
}

static const struct tunnel_ops tunnel_ops = {
	.send = on_send,
	.data = side_data,
	.reset = side_reset,
	.writable = side_writable,
	.goaway = side_goaway,
	.drained = side_drained,
	.closed = on_tunnel_closed,
	.hello = side_hello,
	.claim = side_claim,
	.unclaim = side_unclaim,
	.response = side_response,
	.pending = side_pending,
};

void
side_touch(struct side *s)
{
	uint64_t due = tunnel_deadline(s->tunnel), now, wait, left;

	if (s->conn == NULL || due == TUNNEL_NEVER)
		return;
	if (s->stay_until_ms != 0 && s->stay_until_ms < due)
		due = s->stay_until_ms;
	now = clock_ms();
	wait = due > now ? due - now : 0;
	/* A wall clock that was set anew counts from the next frame on. */
	if (s->until_ms != 0) {
		now = clock_wall_ms();
		left = s->until_ms > now ? s->until_ms - now : 0;
		wait = left < wait ? left : wait;
	}
	loop_timer_set(&s->timer, wait);
}

static void
on_timer(void *arg)
{
	struct side *s = arg;

	tunnel_tick(s->tunnel, clock_ms());
	side_check_end(s);
	if (s->stay_until_ms != 0 && clock_ms() >= s->stay_until_ms)
		side_close_drained(s);
	side_touch(s);
}

/*
 * Ops of the connection.
 */

static void
on_pong(struct side *s, struct span data)
{
	uint8_t bytes[CLOSE_WORDS_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	/* RFC 6455 5.5.3 lets us leave out pongs; anybody may ping before it
	 * has said who it is. */
	if (conn_queued(s->conn) > PONGS_MAX)
		return;
	ws_put_pong(&w, data);
	conn_write(s->conn, writer_span(&w));
}

/*
 * Does more wait to be written than requests and a fair share of answers?  Then
 * the agent asks (PING, CLAIM) and does not read, and is not read either.  Not
 * so behind large requests on a slow line, where its answers must come in.
 */
static bool
asks_too_much(const struct side *s)
{
	size_t most = s->worker->tunnel_settings.out_low;
	const struct job *job;

	if (!conn_congested(s->conn) || conn_closing(s->conn))
		return false;
	TAILQ_FOREACH(job, &s->open, link)
	most += job->sent;
	return conn_queued(s->conn) > most;
}

static size_t
on_data(void *arg, uint8_t *ptr, size_t len)
{
	struct side *s = arg;
	size_t left = len;
	struct ws_got got;
	struct err err;
	bool more = true;

	while (more && s->conn != NULL && !conn_closing(s->conn)) {
		switch (ws_next(&s->ws, &ptr, &left, &got, &err)) {
		case WS_MORE:
			more = false;
			break;
		case WS_MESSAGE:
			tunnel_input(s->tunnel, got.data, clock_ms());
			break;
		case WS_PING:
			on_pong(s, got.data);
			break;
		case WS_PONG:
			break;
		case WS_CLOSE:
			/* RFC 6455 5.5.1: answered by a close. */
			tunnel_close(
			    s->tunnel, TUNNEL_CLOSE_OK, "closed by the agent");
			break;
		case WS_BAD:
			tunnel_close(s->tunnel, got.code, err.msg);
			break;
		}
	}
	if (s->conn == NULL)
		return len;
	if (asks_too_much(s))
		conn_pause(s->conn);
	side_touch(s);
	return len;
}

static void
on_written(void *arg)
{
	struct side *s = arg;

	conn_resume(s->conn);
	loop_soon(s->worker->loop, &s->pump);
}

static void
on_conn_closed(void *arg, const char *why)
{
	struct side *s = arg;
	struct worker *w = s->worker;

	s->conn = NULL;
	tunnel_close(s->tunnel, TUNNEL_CLOSE_LOST, why);
	loop_timer_free(&s->timer);
	loop_task_cancel(&s->pump);
	TAILQ_REMOVE(&w->all_sides, s, link);
	peer_gone(&s->peer);
	worker_peer_gone(w);
	loop_bury(w->loop, &s->grave, release, s);
}

static const struct conn_ops side_ops = {
	.data = on_data,
	.drained = on_written,
	.closed = on_conn_closed,
};

/*
 * The beginning.
 */

static struct side *
side_new(struct worker *w, const struct peer *peer,
    const struct log_subject *subject, struct err *err)
{
	const struct relay_config *c = &w->setup->config;
	struct tunnel_config config = { .role = TUNNEL_RELAY,
		.max_streams = (uint32_t)c->limits.streams };
	struct side *s = calloc(1, sizeof(*s));
	uint32_t random = 0;

	if (s == NULL) {
		err_set(err, ERR_MEMORY, "no memory for a tunnel");
		return NULL;
	}
	s->worker = w;
	s->peer = *peer;
	s->subject = *subject;
	TAILQ_INIT(&s->open);
	STAILQ_INIT(&s->firsts);
	ws_init(&s->ws);
	loop_timer_init(&s->timer, w->loop, on_timer, s);
	loop_task_init(&s->pump, side_pump, s);
	if (secret_random(s->nonce, sizeof(s->nonce), err) != 0 ||
	    secret_random(&random, sizeof(random), err) != 0 ||
	    slab_add(&s->handle, &w->tunnels, s, err) != 0) {
		release(s);
		return NULL;
	}
	config.ping_ms =
	    (uint32_t)(c->timeouts.ping + random % (c->timeouts.ping / 4 + 1));
	s->tunnel = tunnel_new(&config, &tunnel_ops, s, clock_ms());
	if (s->tunnel == NULL) {
		slab_remove(&w->tunnels, s->handle);
		release(s);
		err_set(err, ERR_MEMORY, "no memory for a tunnel");
		return NULL;
	}
	return s;
}

static void
challenge(struct side *s)
{
	const struct relay_config *c = &s->worker->setup->config;
	struct frame_challenge f = {
		.nonce = span_of(s->nonce, sizeof(s->nonce)),
		.relay_name = span_str(c->name),
		.time_ms = clock_wall_ms(),
		.max_claims = (uint32_t)c->limits.claims,
		.tenant_claims = (uint32_t)c->limits.tenant_claims,
		.tenant_tunnels = (uint32_t)c->limits.tenant_tunnels,
		.request_rate = (uint32_t)c->limits.tenant_requests,
		.binding = c->channel_binding ? 1 : 0,
	};
	struct err err;

	if (tunnel_start(s->tunnel, &f, &err) != 0)
		tunnel_close(s->tunnel, WS_CLOSE_INTERNAL, err.msg);
}

/* What the agent shows beside its key (docs/protocol.md 12.3), judged with the
 * HELLO.  Returns -1: no memory. */
static int
take_shown(struct side *s, const struct http_head *head, struct conn *conn,
    bool current)
{
	unsigned auth = s->worker->setup->config.agent_auth;
	unsigned missed = tls_memory_missed();
	char name[TLS_PEER_NAME_MAX + 1];
	struct span value;

	if ((auth & RELAY_AGENT_TOKEN) != 0 &&
	    http_get(head, "authorization", &value) > 0) {
		s->token = calloc(1, ADMIT_DIGEST_LEN);
		if (s->token == NULL)
			return -1;
		/* What is no token is the hash of none. */
		admit_bearer_hash(s->token, value);
		return tls_memory_missed() == missed ? 0 : -1;
	}
	if ((auth & RELAY_AGENT_MTLS) != 0 &&
	    tls_peer_name(conn_ssl(conn), name, sizeof(name)) &&
	    (current ||
		tls_peer_stands(conn_ssl(conn), s->worker->setup->public))) {
		s->certificate = strdup(name);
		return s->certificate != NULL ? 0 : -1;
	}
	return tls_memory_missed() == missed ? 0 : -1;
}

static enum http_verdict
refuse(
    struct worker *w, struct http_server *http, const struct ws_handshake *hs)
{
	struct http_out_field fields[2];
	size_t n = 0;

	(void)w;
	if (hs->status == 405)
		fields[n++] =
		    (struct http_out_field){ "allow", span_str("GET") };
	if (hs->status == 426) {
		fields[n++] =
		    (struct http_out_field){ "upgrade", span_str("websocket") };
		fields[n++] = (struct http_out_field){ "sec-websocket-version",
			span_str("13") };
	}
	if (hs->status == 400)
		fields[n++] = (struct http_out_field){ "sec-websocket-protocol",
			span_str(TUNNEL_SUBPROTOCOL) };
	http_problem(http, problem_of_status(hs->status), fields, n);
	return HTTP_ANSWERED;
}

enum http_verdict
side_upgrade(struct worker *w, struct http_server *http,
    const struct http_head *head, const struct peer *peer,
    const struct log_subject *subject, bool current)
{
	uint8_t bytes[1024];
	struct writer out = writer_of(bytes, sizeof(bytes));
	struct ws_handshake hs;
	struct side *s;
	struct err err;

	if (atomic_load(&w->relay->draining)) {
		http_close_after(http);
		http_problem(http, PROBLEM_DRAINING, NULL, 0);
		return HTTP_ANSWERED;
	}
	if (ws_handshake(&hs, head, speaks, &err) != 0) {
		log_info(subject, "no tunnel: %s", err.msg);
		return refuse(w, http, &hs);
	}
	ws_put_switching(&out, &hs);
	s = writer_ok(&out) && !relay_overloaded(w->relay)
	    ? side_new(w, peer, subject, &err)
	    : NULL;
	if (s != NULL && take_shown(s, head, http_conn(http), current) != 0) {
		slab_remove(&w->tunnels, s->handle);
		release(s);
		s = NULL;
	}
	if (s == NULL) {
		http_problem(http, PROBLEM_OVERLOADED, NULL, 0);
		return HTTP_ANSWERED;
	}
	s->conn = http_server_take(http);
	TAILQ_INSERT_TAIL(&w->all_sides, s, link);
	conn_adopt(s->conn, &w->tunnel_settings, &side_ops, s);
	conn_write(s->conn, writer_span(&out));
	challenge(s);
	side_touch(s);
	return HTTP_TAKEN;
}
