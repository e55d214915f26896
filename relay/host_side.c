#include "relay/host_side.h"

#include "common/admit_http.h"
#include "common/clock.h"
#include "common/http_head.h"
#include "common/tls_memory.h"
#include "common/tls_peer.h"
#include "common/tunnel.h"
#include "relay/access.h"
#include "relay/host_impl.h"
#include "relay/tunnel_side.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
on_open(void *arg)
{
	struct host *h = arg;

	peer_settled(&h->peer);
}

static void
release(void *arg)
{
	struct host *h = arg;

	loop_timer_free(&h->timer);
	free(h);
}

/* ${h} has no connection any more. */
static void
leave(struct host *h)
{
	struct worker *w = h->worker;

	h->http = NULL;
	host_end(h, FRAME_RESET_CANCELLED);
	loop_timer_free(&h->timer);
	loop_task_cancel(&h->move);
	TAILQ_REMOVE(&w->all_hosts, h, link);
	loop_bury(w->loop, &h->grave, release, h);
}

static void
on_gone(void *arg, const char *why)
{
	struct host *h = arg;

	log_debug(&h->subject, "closed: %s", why);
	if (h->peer.handshaking)
		counter_add(
		    &h->worker->counters.rejections[REJECT_HANDSHAKE], 1);
	leave(h);
	peer_gone(&h->peer);
	worker_peer_gone(h->worker);
}

static void
on_done(void *arg, const struct http_done *d)
{
	struct host *h = arg;

	access_count(h, d);
	if (h->worker->setup->config.log_access)
		access_log(h, d);
}

static enum http_verdict
refuse(struct host *h, enum problem problem, const struct http_out_field *field)
{
	http_problem(h->http, problem, field, field != NULL ? 1 : 0);
	return HTTP_ANSWERED;
}

static enum http_verdict
well_known(struct host *h)
{
	const struct relay_setup *s = h->worker->setup;
	struct http_out_field type = { "content-type",
		span_str("application/json") };
	struct http_answer a = { .status = 200,
		.origin = "relay",
		.fields = &type,
		.field_count = 1 };
	char body[512], words[ADMIT_WORDS_LEN];
	struct writer w = writer_of(words, sizeof(words));
	int n;

	admit_words(&w, &s->hosts);
	n = snprintf(body, sizeof(body),
	    "{\"versions\":[1],\"minor\":%d,\"limits\":{\"body\":%d,"
	    "\"kbs-body\":%d,\"head\":%d,\"path\":%d,\"streams\":%lld,"
	    "\"claims\":%lld},\"schemes\":[\"amd-sev\"],\"auth\":[%.*s]}",
	    TUNNEL_MINOR, JOB_BODY_MAX, JOB_KBS_BODY_MAX, HTTP_HEAD_MAX,
	    HTTP_TARGET_MAX, (long long)s->config.limits.streams,
	    (long long)s->config.limits.claims, (int)w.len, words);
	a.body = span_of(body, (size_t)n);
	http_answer(h->http, &a, NULL);
	return HTTP_ANSWERED;
}

/* A connection outlives reloads; the authority of its certificate may not. */
static bool
is_disowned(struct host *h)
{
	const struct relay_setup *setup = h->worker->setup;

	if (!setup->hosts.mtls)
		return true;
	if (h->setup_number != setup->number) {
		h->setup_number = setup->number;
		h->disowned = !tls_peer_stands(
		    conn_ssl(http_conn(h->http)), setup->internal);
	}
	return h->disowned;
}

static bool
authenticate(struct host *h, const struct http_head *head)
{
	const struct admit_from from = {
		.ssl = is_disowned(h) ? NULL : conn_ssl(http_conn(h->http)),
		.source = h->peer.source,
		.subject = &h->subject,
	};

	return admit_http(h->identity, &h->worker->setup->hosts, &from, head);
}

static enum http_verdict
judge(struct host *h, const struct http_head *head)
{
	struct http_out_field bearer = { "www-authenticate",
		span_str("Bearer") };
	unsigned missed = tls_memory_missed();
	struct relay *r = h->worker->relay;

	if (atomic_load(&r->draining) && !atomic_load(&r->successor)) {
		http_close_after(h->http);
		return refuse(h, PROBLEM_DRAINING, NULL);
	}
	if (!authenticate(h, head)) {
		if (tls_memory_missed() != missed) {
			h->setup_number = UINT64_MAX; /* judge it anew */
			return refuse(h, PROBLEM_OVERLOADED, NULL);
		}
		return refuse(h, PROBLEM_HOST_UNAUTHENTICATED,
		    h->worker->setup->hosts.bearer ? &bearer : NULL);
	}
	if (admit_repeats(head) ||
	    (span_is(head->method, "GET") && head->length > 0))
		return refuse(h, PROBLEM_BAD_REQUEST, NULL);
	if (!admit_json(head))
		return refuse(h, PROBLEM_HTTP_415, NULL);
	if (relay_overloaded(r) || host_begin(h, head, NULL) != 0)
		return refuse(h, PROBLEM_OVERLOADED, NULL);
	return HTTP_READ;
}

static enum http_verdict
on_head(void *arg, struct http_server *s, const struct http_head *head,
    size_t *body_max)
{
	struct host *h = arg;
	struct worker *w = h->worker;
	struct http_out_field field = { "allow", { NULL, 0 } };
	enum http_verdict verdict;
	const char *allow;
	unsigned status;

	h->identity[0] = '\0';
	h->path.forward[0] = '\0';
	status = path_route(&h->path, &allow, w->setup->config.base, h->side,
	    head->method, head->path, head->has_query);
	if (status != 0) {
		field.value = span_str(allow);
		return refuse(h, problem_of_status(status),
		    status == 405 ? &field : NULL);
	}
	*body_max = path_body_max(h->path.kind);
	if (h->path.kind == PATH_WELL_KNOWN)
		return well_known(h);
	if (h->path.kind == PATH_ENROL)
		return host_enrol_head(h, head, body_max);
	if (h->path.kind != PATH_AGENT)
		return judge(h, head);
	verdict = side_upgrade(w, s, head, &h->peer, &h->subject,
	    h->setup_number == w->setup->number);
	if (verdict == HTTP_TAKEN)
		leave(h);
	return verdict;
}

static bool
on_more(void *arg, size_t len)
{
	struct host *h = arg;

	/* An enrolment is smaller than what its connection is charged. */
	return h->job == NULL || job_charge(h->job, len);
}

static void
on_request(void *arg, struct http_server *s, struct buf *body)
{
	struct host *h = arg;

	(void)s;
	if (h->path.kind == PATH_ENROL) {
		host_enrol(h, buf_span(body));
		return;
	}
	h->job->body = *body;
	buf_init(body, 0, false);
	host_dispatch(h);
}

static const struct http_ops host_ops = {
	.open = on_open,
	.head = on_head,
	.more = on_more,
	.request = on_request,
	.done = on_done,
	.gone = on_gone,
};

int
host_accept(struct worker *w, int fd, enum path_side side,
    const struct peer *peer, uint16_t port)
{
	struct host *h = calloc(1, sizeof(*h));
	char text[SOURCE_TEXT_LEN];
	struct err err;

	if (h == NULL) {
		close(fd);
		return -1;
	}
	h->worker = w;
	h->side = side;
	h->setup_number = w->setup->number;
	h->peer = *peer;
	log_subject_set(&h->subject, "%s %s:%u",
	    side == PATH_PUBLIC ? "peer" : "host",
	    source_text(text, peer->source), port);
	loop_timer_init(&h->timer, w->loop, host_timer, h);
	loop_task_init(&h->move, host_move, h);
	h->near = w->index;
	if (http_server_accept(&h->http, w->loop,
		side == PATH_PUBLIC ? w->public : w->internal, fd,
		&w->host_settings, &host_ops, h, &err) != 0) {
		log_warn(&h->subject, "not accepted: %s", err.msg);
		free(h);
		return -1;
	}
	TAILQ_INSERT_TAIL(&w->all_hosts, h, link);
	if (w->draining)
		http_last_answer(h->http);
	return 0;
}

void
host_drain(struct host *h, bool idle_too)
{
	/* A request may be on its way to one that seems idle: only who can
	 * take none closes under it. */
	if (idle_too || h->side == PATH_PUBLIC)
		http_close_after(h->http);
	else
		http_last_answer(h->http);
}

void
host_drain_all(struct worker *w, bool idle_too)
{
	struct host *h, *next;

	for (h = TAILQ_FIRST(&w->all_hosts); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		host_drain(h, idle_too);
	}
	if (idle_too)
		host_drain_held(w);
}

void
host_close_all(struct worker *w, const char *why)
{
	struct host *h, *next;

	for (h = TAILQ_FIRST(&w->all_hosts); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		conn_close(http_conn(h->http), why);
	}
}

void
host_free_all(struct worker *w)
{
	host_close_all(w, "shutting down");
}
