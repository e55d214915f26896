#include "relay/hop.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/tls_peer.h"
#include "common/tunnel.h"
#include "relay/number.h"
#include "relay/path.h"
#include "relay/peer_wire.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PING_MS 1000

/* A relay that sends us requests. */
struct hop_link {
	LIST_ENTRY(hop_link) links;
	struct worker *worker;
	struct conn *conn; /* NULL: over */
	struct peer peer;
	struct tunnel *tunnel; /* owned; NULL until the handshake is done */
	struct loop_timer timer;
	struct loop_grave grave;
	struct log_subject subject;
	LIST_HEAD(, hop) hops;
};

/* A request of its. */
struct hop {
	LIST_ENTRY(hop) hops;
	struct hop_link *link;
	uint32_t stream;
	struct handle handle; /* ours, in the slab of hosts */
	struct handle tunnel; /* that works on it; generation 0: none yet */
	struct job *job;      /* owned; NULL: with the tunnel */
	size_t sent;          /* bytes of the answer */
};

static void
touch(struct hop_link *l)
{
	uint64_t due = tunnel_deadline(l->tunnel), now = clock_ms();

	if (l->conn != NULL && due != TUNNEL_NEVER)
		loop_timer_set(&l->timer, due > now ? due - now : 0);
}

/* The stream is over for both ends. */
static void
hop_end(struct hop *h)
{
	struct worker *w = h->link->worker;
	struct message_cancel *m;

	if (h->tunnel.generation != 0 && h->job == NULL) {
		/* Without memory the agent works in vain. */
		m = calloc(1, sizeof(*m));
		if (m != NULL) {
			m->m.kind = MESSAGE_CANCEL;
			m->tunnel = h->tunnel;
			m->host = h->handle;
			m->code = FRAME_RESET_CANCELLED;
			relay_send(w, h->tunnel.worker, &m->m);
		}
	}
	tunnel_set_user(h->link->tunnel, h->stream, NULL);
	slab_remove(&w->hosts, h->handle);
	LIST_REMOVE(h, hops);
	job_free(h->job);
	free(h);
}

static void
refuse(struct hop *h, enum frame_reset code, const char *text)
{
	tunnel_reset(h->link->tunnel, h->stream, code, text);
	hop_end(h);
}

/*
 * Requests in.
 */

/* The tunnel that the other relay means, and no other: it chose. */
static bool
find_tunnel(struct hop *h, const struct uuid *uuid, uint64_t session,
    struct account **account)
{
	struct relay *r = h->link->worker->relay;
	struct route routes[ROUTE_MAX];
	size_t n = route_find(r->routes, uuid, 0, clock_ms(), routes);

	for (size_t i = 0; i < n; i++) {
		if (routes[i].session != session)
			continue;
		h->tunnel = routes[i].tunnel;
		*account = routes[i].account;
		h->job->tunnel = routes[i].tunnel;
		h->job->session = session;
		return true;
	}
	/* The relay that takes our place is the same node, and agents move
	 * there: what is not here goes on to it, as hosts' requests do. */
	if (!atomic_load(&r->successor))
		return false;
	h->tunnel = (struct handle){ .worker = RELAY_MAIN, .generation = 1 };
	*account = NULL;
	return true;
}

/* All headers but the one for us, which no agent gets to see. */
static bool
take_headers(struct job *job, struct span headers)
{
	struct span rest = headers, name, value;
	struct writer w;

	job->headers = malloc(headers.len + 1);
	if (job->headers == NULL)
		return false;
	w = writer_of(job->headers, headers.len);
	while (frame_next_header(&rest, &name, &value))
		if (!span_is(name, JOB_TUNNEL_HEADER))
			frame_put_header(&w, name, value);
	job->headers_len = w.len;
	return writer_ok(&w);
}

static bool
take_path(
    struct path *out, struct job *job, const struct frame_request *request)
{
	const char *allow;

	job->method = span_is(request->method, "GET") ? "GET" : "POST";
	if (request->path.len > FRAME_PATH_MAX ||
	    path_route(out, &allow, "", PATH_INTERNAL, request->method,
		request->path, false) != 0 ||
	    out->forward[0] == '\0')
		return false;
	memcpy(job->path, out->forward, sizeof(job->path));
	job->body_max = path_body_max(out->kind);
	buf_init(&job->body, job->body_max, false);
	return true;
}

static void
submit(struct hop *h)
{
	struct worker *w = h->link->worker;
	struct job *job = h->job;

	h->job = NULL;
	/* It tells us nothing before its answer. */
	if (h->tunnel.worker == RELAY_MAIN)
		tunnel_pending(h->link->tunnel, h->stream,
		    FRAME_REASON_APPROVAL,
		    (uint32_t)w->setup->config.timeouts.pending);
	job->m.kind = MESSAGE_JOB;
	relay_send(w, h->tunnel.worker, &job->m);
}

static bool
keep_body(struct hop *h, struct span bytes)
{
	if (bytes.len == 0)
		return true;
	if (!job_charge(h->job, bytes.len)) {
		if (h->job->over_quota)
			job_refused(
			    h->link->worker, h->job->account, h->tunnel);
		return false;
	}
	if (buf_append(&h->job->body, bytes, NULL) != 0)
		return false;
	tunnel_consumed(h->link->tunnel, h->stream, bytes.len);
	return true;
}

static struct hop *
hop_new(
    struct hop_link *l, uint32_t stream, const struct frame_request *request)
{
	struct worker *w = l->worker;
	struct hop *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->job = calloc(1, sizeof(*h->job));
	if (h->job == NULL || slab_add(&h->handle, &w->hosts, h, NULL) != 0) {
		free(h->job);
		free(h);
		return NULL;
	}
	h->link = l;
	h->stream = stream;
	LIST_INSERT_HEAD(&l->hops, h, hops);
	h->job->relay = w->relay;
	h->job->hop = true;
	h->job->host = h->handle;
	h->job->source = source_one(l->peer.source);
	h->job->due_ms = clock_ms() + request->deadline_ms;
	tunnel_set_user(l->tunnel, stream, h);
	return h;
}

static void
on_request(
    void *arg, uint32_t stream, const struct frame_request *request, bool end)
{
	struct hop_link *l = arg;
	struct hop *h = hop_new(l, stream, request);
	struct account *account;
	enum problem problem;
	uint64_t session;
	struct path path;
	struct span text;

	if (h == NULL) {
		tunnel_reset(l->tunnel, stream, FRAME_RESET_BUSY, "no memory");
		return;
	}
	if (!take_path(&path, h->job, request) ||
	    request->body_length > h->job->body_max ||
	    !frame_find_header(request->headers, JOB_TUNNEL_HEADER, &text) ||
	    !number_parse(&session, text, UINT64_MAX)) {
		refuse(h, FRAME_RESET_PROTOCOL, "not between relays");
		return;
	}
	if (!find_tunnel(h, &path.uuid, session, &account)) {
		refuse(h, FRAME_RESET_REFUSED, "no such tunnel here");
		return;
	}
	/* The relay that the host asked does not know whose agent it is. */
	if (account != NULL &&
	    !job_account(h->job, account, clock_us(), &problem)) {
		job_refused(l->worker, account, h->tunnel);
		refuse(h, FRAME_RESET_BUSY, "over a quota of the tenant");
		return;
	}
	if (relay_overloaded(l->worker->relay) ||
	    !take_headers(h->job, request->headers) ||
	    !keep_body(h, request->body)) {
		refuse(h, FRAME_RESET_BUSY, "no memory");
		return;
	}
	if (end)
		submit(h);
}

static void
on_data(void *arg, uint32_t stream, void *user, struct span bytes, bool end)
{
	struct hop *h = user;

	(void)arg;
	(void)stream;
	if (h == NULL || h->job == NULL)
		return;
	if (!keep_body(h, bytes))
		refuse(h, FRAME_RESET_BUSY, "no memory");
	else if (end)
		submit(h);
}

/* Their host went away, or the link did. */
static void
on_reset(
    void *arg, uint32_t stream, void *user, uint32_t code, struct span text)
{
	(void)arg;
	(void)stream;
	(void)code;
	(void)text;
	if (user != NULL)
		hop_end(user);
}

/*
 * Answers out.
 */

static void
send_rest(struct hop *h)
{
	struct span all = buf_span(&h->job->answer);

	h->sent += tunnel_send(h->link->tunnel, h->stream,
	    span_of(all.ptr + h->sent, all.len - h->sent));
	if (h->sent == all.len)
		hop_end(h);
}

static void
on_writable(void *arg, uint32_t stream, void *user)
{
	struct hop *h = user;

	(void)arg;
	(void)stream;
	if (h != NULL && h->job != NULL && h->job->status != 0)
		send_rest(h);
}

static void
respond(struct hop *h)
{
	struct job *job = h->job;
	struct frame_response response = { .status = job->status,
		.headers =
		    span_of(job->answer_headers, job->answer_headers_len),
		.body_length = (uint32_t)buf_len(&job->answer),
		.body = buf_span(&job->answer) };
	struct err err;

	if (tunnel_respond(
		h->link->tunnel, h->stream, &response, &h->sent, &err) != 0)
		refuse(h, FRAME_RESET_LOST, "the answer cannot be sent");
	else if (h->sent == response.body_length)
		hop_end(h);
}

void
hop_job_back(struct worker *w, struct job *job)
{
	static const enum frame_reset codes[] = {
		[JOB_NOT_SENT] = FRAME_RESET_REFUSED,
		[JOB_NOT_MINE] = FRAME_RESET_NOT_MINE,
		[JOB_LOST] = FRAME_RESET_LOST,
		[JOB_BREACH] = FRAME_RESET_INTERNAL,
		[JOB_TOO_LARGE] = FRAME_RESET_TOO_LARGE,
		[JOB_LATE] = FRAME_RESET_DEADLINE,
		[JOB_BUSY] = FRAME_RESET_BUSY,
		[JOB_PROBLEM] = FRAME_RESET_BUSY,
	};
	struct hop *h = slab_get(&w->hosts, job->host);
	struct hop_link *l;

	if (h == NULL) {
		job_free(job); /* its host has gone */
		return;
	}
	l = h->link;
	h->job = job;
	h->tunnel = (struct handle){ 0 };
	if (job->outcome == JOB_ANSWERED)
		respond(h);
	else
		refuse(h, codes[job->outcome], NULL);
	touch(l);
}

void
hop_pending(struct worker *w, const struct message_pending *m)
{
	struct hop *h = slab_get(&w->hosts, m->host);

	if (h != NULL && h->job == NULL)
		tunnel_pending(h->link->tunnel, h->stream,
		    FRAME_REASON_APPROVAL, m->extend_ms);
}

/*
 * The link.
 */

static void
on_send(void *arg, struct span head, struct span body)
{
	struct hop_link *l = arg;

	if (l->conn != NULL)
		peer_wire_put(l->conn, head, body);
}

static void
on_goaway(void *arg, const struct frame_goaway *goaway)
{
	(void)arg;
	(void)goaway;
}

static void
on_drained(void *arg)
{
	struct hop_link *l = arg;

	tunnel_close(l->tunnel, TUNNEL_CLOSE_OK, "drained");
}

static void
on_tunnel_closed(void *arg, unsigned code, const char *why)
{
	struct hop_link *l = arg;

	log_info(&l->subject, "down: %s (%u)", why, code);
	loop_timer_cancel(&l->timer);
	if (l->conn != NULL)
		conn_finish(l->conn, "link closed");
}

/* Both certificates have said who is who; the frames need their fields. */
static void
on_challenge(void *arg, const struct frame_challenge *challenge)
{
	static const uint8_t zeros[FRAME_SIGNATURE_LEN];
	struct hop_link *l = arg;
	struct frame_hello hello = {
		.key = span_of(zeros, FRAME_KEY_LEN),
		.signature = span_of(zeros, FRAME_SIGNATURE_LEN),
		.software = span_str("attest-relay/" ATTEST_VERSION),
		.boot_id = span_of(zeros, FRAME_BOOT_ID_LEN),
	};
	struct err err;

	(void)challenge;
	if (tunnel_hello(l->tunnel, &hello, clock_ms(), &err) != 0)
		tunnel_close(l->tunnel, TUNNEL_CLOSE_FRAME, err.msg);
}

static void
on_welcome(void *arg, const struct frame_welcome *welcome)
{
	struct hop_link *l = arg;

	(void)welcome;
	log_info(&l->subject, "up");
}

static void
on_claimed(void *arg, uint32_t number, const struct frame_claimed *claimed)
{
	struct hop_link *l = arg;

	(void)number;
	(void)claimed;
	tunnel_close(l->tunnel, TUNNEL_CLOSE_FRAME, "claims from a relay");
}

static void
on_notice(void *arg, const struct frame_notice *notice)
{
	(void)arg;
	(void)notice;
}

static const struct tunnel_ops tunnel_ops = {
	.send = on_send,
	.data = on_data,
	.reset = on_reset,
	.writable = on_writable,
	.goaway = on_goaway,
	.drained = on_drained,
	.closed = on_tunnel_closed,
	.challenge = on_challenge,
	.welcome = on_welcome,
	.claimed = on_claimed,
	.request = on_request,
	.notice = on_notice,
};

/* OpenSSL has verified the certificate; its name is for people. */
static void
on_open(void *arg)
{
	struct tunnel_config config = { .role = TUNNEL_AGENT,
		.max_streams = TUNNEL_STREAMS_MAX,
		.ping_ms = PING_MS };
	struct hop_link *l = arg;
	char name[TLS_PEER_NAME_MAX + 1];

	peer_settled(&l->peer);
	if (!tls_peer_name(conn_ssl(l->conn), name, sizeof(name))) {
		conn_close(l->conn, "a certificate without a name");
		return;
	}
	log_subject_set(&l->subject, "from relay %.60s", name);
	l->tunnel = tunnel_new(&config, &tunnel_ops, l, clock_ms());
	if (l->tunnel == NULL)
		conn_close(l->conn, "no memory");
	else
		touch(l);
}

static size_t
on_bytes(void *arg, uint8_t *ptr, size_t len)
{
	struct hop_link *l = arg;
	struct err err;
	int64_t taken = peer_wire_take(
	    l->tunnel, l->conn, span_of(ptr, len), clock_ms(), &err);

	if (taken < 0) {
		tunnel_close(l->tunnel, TUNNEL_CLOSE_FRAME, err.msg);
		return len;
	}
	touch(l);
	return (size_t)taken;
}

static void
release(void *arg)
{
	struct hop_link *l = arg;

	loop_timer_free(&l->timer);
	tunnel_free(l->tunnel);
	free(l);
}

static void
on_conn_closed(void *arg, const char *why)
{
	struct hop_link *l = arg;
	struct worker *w = l->worker;

	l->conn = NULL;
	if (l->tunnel != NULL)
		tunnel_close(l->tunnel, TUNNEL_CLOSE_LOST, why);
	else
		log_warn(&l->subject, "refused: %s", why);
	while (!LIST_EMPTY(&l->hops))
		hop_end(LIST_FIRST(&l->hops));
	loop_timer_free(&l->timer);
	LIST_REMOVE(l, links);
	peer_gone(&l->peer);
	worker_peer_gone(w);
	loop_bury(w->loop, &l->grave, release, l);
}

static const struct conn_ops conn_ops = {
	.open = on_open,
	.data = on_bytes,
	.closed = on_conn_closed,
};

static void
on_timer(void *arg)
{
	struct hop_link *l = arg;

	tunnel_tick(l->tunnel, clock_ms());
	touch(l);
}

int
hop_accept(struct worker *w, int fd, const struct peer *peer, uint16_t port)
{
	struct hop_link *l = calloc(1, sizeof(*l));
	char text[SOURCE_TEXT_LEN];
	struct err err;

	if (l == NULL) {
		close(fd);
		return -1;
	}
	l->worker = w;
	l->peer = *peer;
	LIST_INIT(&l->hops);
	log_subject_set(&l->subject, "from relay %s:%u",
	    source_text(text, peer->source), port);
	loop_timer_init(&l->timer, w->loop, on_timer, l);
	if (conn_accept(&l->conn, w->loop, w->cluster, fd, &w->tunnel_settings,
		&conn_ops, l, &err) != 0) {
		log_warn(&l->subject, "not accepted: %s", err.msg);
		free(l);
		return -1;
	}
	LIST_INSERT_HEAD(&w->hop_links, l, links);
	return 0;
}

void
hops_drain(struct worker *w)
{
	struct hop_link *l, *next;

	for (l = LIST_FIRST(&w->hop_links); l != NULL; l = next) {
		next = LIST_NEXT(l, links);
		if (l->tunnel != NULL)
			tunnel_goaway(l->tunnel, FRAME_GOAWAY_SHUTDOWN, 0, 0,
			    (struct span){ NULL, 0 });
		else
			conn_close(l->conn, "draining");
	}
}

void
hops_close(struct worker *w)
{
	struct hop_link *l;

	while ((l = LIST_FIRST(&w->hop_links)) != NULL)
		conn_close(l->conn, "shutting down");
}
