#include "relay/host_impl.h"

#include "common/clock.h"
#include "relay/host_search.h"
#include "common/stamp.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define OUT_FIELDS_MAX 8
#define OVER_SLACK_MS 2000

/* What the relay passes on to the agent (docs/protocol.md 8). */
static const struct passed {
	const char *name;
	bool kbs_only;
} to_agent[] = {
	{ "content-type", false },
	{ "idempotency-key", false },
	{ "accept", false },
	{ "cookie", true },
};

/* ... and to the host.  What it makes itself is not here. */
static const struct passed to_host[] = {
	{ "content-type", false },
	{ "retry-after", false },
	{ "location", false },
	{ "set-cookie", true },
};

static int
put_headers(struct host *h, const struct http_head *head, struct err *err)
{
	struct job *job = h->job;
	uint8_t bytes[JOB_HEADERS_MAX], text[20];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct writer length = writer_of(text, sizeof(text));
	struct span value;

	for (size_t i = 0; i < sizeof(to_agent) / sizeof(to_agent[0]); i++) {
		if (to_agent[i].kbs_only && !path_is_kbs(h->path.kind))
			continue;
		if (http_get(head, to_agent[i].name, &value) > 0)
			frame_put_header(&w, span_str(to_agent[i].name), value);
	}
	writer_decimal(&length, head->length);
	frame_put_header(&w, span_str("content-length"), writer_span(&length));
	frame_put_header(
	    &w, span_str("request-id"), span_str(http_request_id(h->http)));
	frame_put_header(&w, span_str("host-identity"), span_str(h->identity));
	frame_put_header(&w, span_str("relay-time"),
	    span_str(loop_stamp(h->worker->loop)->iso));
	if (!writer_ok(&w))
		return err_set(
		    err, ERR_LIMIT, "headers over %d bytes", JOB_HEADERS_MAX);
	if (!job_headers(job, writer_span(&w)))
		return err_set(err, ERR_MEMORY, "no memory for a request");
	return 0;
}

int
host_begin(struct host *h, const struct http_head *head, struct err *err)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a request");
	h->job = job;
	job->relay = h->worker->relay;
	job->source = source_one(h->peer.source);
	job->body_max = path_body_max(h->path.kind);
	job->method = span_is(head->method, "GET") ? "GET" : "POST";
	memcpy(job->path, h->path.forward, sizeof(job->path));
	if (put_headers(h, head, err) != 0 ||
	    slab_add(&h->handle, &h->worker->hosts, h, err) != 0) {
		host_end(h, FRAME_RESET_CANCELLED);
		return -1;
	}
	job->host = h->handle;
	h->began_ms = clock_ms();
	h->due_ms = h->began_ms + h->worker->setup->config.timeouts.request;
	h->wait_due_ms = 0;
	h->elsewhere = false;
	h->tried_count = 0;
	return 0;
}

static void
unhold(struct host *h)
{
	if (!h->held)
		return;
	h->held = false;
	TAILQ_REMOVE(&h->worker->held, h, held_link);
	if (h->errand == NULL)
		tally_give(h->worker->relay->tally, TALLY_HELD,
		    source_one(h->peer.source));
	atomic_fetch_sub(&h->worker->relay->held, 1);
}

void
host_end(struct host *h, enum frame_reset code)
{
	struct message_cancel *m;

	unhold(h);
	loop_timer_cancel(&h->timer);
	if (h->handle.generation != 0 && h->job == NULL &&
	    h->tunnel.generation != 0) {
		/* Without memory the agent works in vain. */
		m = calloc(1, sizeof(*m));
		if (m != NULL) {
			m->m.kind = MESSAGE_CANCEL;
			m->tunnel = h->tunnel;
			m->host = h->handle;
			m->code = code;
			relay_send(h->worker, h->tunnel.worker, &m->m);
		}
	}
	slab_remove(&h->worker->hosts, h->handle);
	h->handle = (struct handle){ 0 };
	h->tunnel = (struct handle){ 0 };
	job_free(h->job);
	h->job = NULL;
	if (h->search != NULL)
		host_search_free(h);
}

/* The job is over before the answer goes out, as that may start the next. */
void
host_fail(struct host *h, enum problem problem, enum frame_reset code)
{
	struct http_server *http = h->http;

	host_end(h, code);
	if (h->errand != NULL)
		host_errand_over(h, problem, NULL);
	else if (http != NULL)
		http_problem(http, problem, NULL, 0);
}

void
host_timer(void *arg)
{
	struct host *h = arg;

	if (h->handle.generation == 0)
		return;
	if (h->job != NULL)
		host_fail(h, PROBLEM_AGENT_UNAVAILABLE, FRAME_RESET_CANCELLED);
	else
		host_fail(h, PROBLEM_AGENT_TIMEOUT, FRAME_RESET_DEADLINE);
}

bool
host_was_tried(const struct host *h, uint64_t session)
{
	for (size_t i = 0; i < h->tried_count; i++)
		if (h->tried[i] == session)
			return true;
	return false;
}

/* The best tunnel not yet asked. */
static bool
find_tunnel(struct host *h, struct route *out)
{
	struct route routes[ROUTE_MAX];
	size_t n;

	if (h->tried_count == ROUTE_MAX)
		return false;
	n = route_find(h->worker->relay->routes, &h->path.uuid,
	    path_is_kbs(h->path.kind) ? FRAME_CAP_KBS : 0, clock_ms(), routes);
	for (size_t i = 0; i < n; i++) {
		if (!host_was_tried(h, routes[i].session)) {
			*out = routes[i];
			return true;
		}
	}
	return false;
}

void
host_send_to(struct host *h, const struct route *route)
{
	const struct relay_timeouts *t = &h->worker->setup->config.timeouts;
	struct job *job = h->job;
	uint64_t now = clock_ms(), due = now + t->agent_answer;
	enum problem problem;

	unhold(h);
	if (!job_account(job, route->account, clock_us(), &problem)) {
		job_refused(h->worker, route->account, route->tunnel);
		host_fail(h, problem, FRAME_RESET_CANCELLED);
		return;
	}
	if (due > h->due_ms)
		due = h->due_ms;
	loop_timer_set(&h->timer, due > now ? due - now : 0);
	h->answer_due_ms = due;
	if (h->tried_count == 0)
		histogram_add(
		    &h->worker->counters.wait_us, (now - h->began_ms) * 1000);
	job->due_ms = due;
	job->tunnel = route->tunnel;
	job->session = route->session;
	job->m.kind = MESSAGE_JOB;
	h->tunnel = route->tunnel;
	h->job = NULL;
	host_routed(h, h->tunnel.worker);
	relay_send(h->worker, h->tunnel.worker, &job->m);
}

/* To a tunnel of ours; it may have been aimed at another relay's before. */
static void
send_here(struct host *h, const struct route *route)
{
	job_unaim(h->job);
	host_send_to(h, route);
}

/* To the relay that takes our place, and judges by its own clock; ours is for
 * the case that it forgets. */
static void
send_over(struct host *h)
{
	const struct relay_timeouts *t = &h->worker->setup->config.timeouts;
	struct job *job = h->job;

	unhold(h);
	loop_timer_set(&h->timer, t->pending + OVER_SLACK_MS);
	job_unaim(job);
	job->due_ms = h->due_ms;
	job->m.kind = MESSAGE_JOB;
	h->tunnel = (struct handle){ .worker = RELAY_MAIN, .generation = 1 };
	h->job = NULL;
	relay_send(h->worker, RELAY_MAIN, &job->m);
}

/* Count as one that waits.  An errand had its turn where its host is. */
static bool
take_place(struct host *h)
{
	const struct relay_limits *l = &h->worker->setup->config.limits;
	struct relay *r = h->worker->relay;
	uint32_t before = atomic_fetch_add(&r->held, 1);

	if (h->errand != NULL ||
	    (before < l->held &&
		tally_take(r->tally, TALLY_HELD, source_one(h->peer.source),
		    (uint32_t)l->held_per_source)))
		return true;
	atomic_fetch_sub(&r->held, 1);
	return false;
}

/* Wait for an agent, if we may; false: answered. */
static bool
hold(struct host *h)
{
	struct relay *r = h->worker->relay;
	const struct relay_config *c = &h->worker->setup->config;
	uint64_t now = clock_ms();

	if (atomic_load(&r->draining)) {
		host_fail(h, PROBLEM_DRAINING, FRAME_RESET_CANCELLED);
		return false;
	}
	if (h->wait_due_ms == 0)
		h->wait_due_ms = now + c->timeouts.agent_wait;
	if (h->wait_due_ms > h->due_ms)
		h->wait_due_ms = h->due_ms;
	if (now >= h->wait_due_ms) {
		host_fail(h, PROBLEM_AGENT_UNAVAILABLE, FRAME_RESET_CANCELLED);
		return false;
	}
	if (!take_place(h)) {
		host_fail(h, PROBLEM_OVERLOADED, FRAME_RESET_CANCELLED);
		return false;
	}
	h->held = true;
	if (r->directory != NULL)
		host_search_watch(h->worker);
	TAILQ_INSERT_TAIL(&h->worker->held, h, held_link);
	loop_timer_set(&h->timer, h->wait_due_ms - now);
	return true;
}

void
host_wait(struct host *h)
{
	struct route route;

	/* All agents there are say that it is not theirs. */
	if (h->elsewhere) {
		host_fail(h, PROBLEM_AGENT_UNAVAILABLE, FRAME_RESET_CANCELLED);
		return;
	}
	/* Look again once we are counted, or a claim made in between would
	 * wake nobody. */
	if (!h->held && hold(h) && find_tunnel(h, &route))
		send_here(h, &route);
}

/* In a cluster, an agent at another relay may come before ours. */
static bool
is_to_search(const struct host *h, const struct route *route)
{
	return h->worker->relay->directory != NULL &&
	    (route == NULL || route->mode == FRAME_MODE_ORDERED);
}

void
host_dispatch(struct host *h)
{
	struct route route;
	bool here = find_tunnel(h, &route);

	assert(h->job != NULL);
	if (here && !is_to_search(h, &route)) {
		send_here(h, &route);
		return;
	}
	if (!here && atomic_load(&h->worker->relay->successor)) {
		send_over(h);
		return;
	}
	if (!is_to_search(h, here ? &route : NULL) || !host_search(h))
		host_wait(h);
}

void
host_wake_held(struct worker *w)
{
	struct host *h, *next;

	for (h = TAILQ_FIRST(&w->held); h != NULL; h = next) {
		next = TAILQ_NEXT(h, held_link);
		host_dispatch(h);
	}
}

void
host_drain_held(struct worker *w)
{
	struct host *h;

	while ((h = TAILQ_FIRST(&w->held)) != NULL)
		host_fail(h, PROBLEM_DRAINING, FRAME_RESET_CANCELLED);
}

/* Takes ${job}. */
static void
answer(struct host *h, struct job *job)
{
	struct http_out_field fields[OUT_FIELDS_MAX];
	struct http_answer a = { .status = job->status,
		.origin = "agent",
		.fields = fields,
		.body = buf_span(&job->answer) };
	struct span headers =
	    span_of(job->answer_headers, job->answer_headers_len);
	struct http_server *http = h->http;
	bool kbs = path_is_kbs(h->path.kind);

	for (size_t i = 0; i < sizeof(to_host) / sizeof(to_host[0]); i++) {
		struct http_out_field *f = &fields[a.field_count];

		if (to_host[i].kbs_only && !kbs)
			continue;
		if (!frame_find_header(headers, to_host[i].name, &f->value))
			continue;
		f->name = to_host[i].name;
		a.field_count++;
	}
	if (h->path.kind == PATH_LAUNCH && job->status / 100 == 2)
		route_prefer(h->worker->relay->routes, &h->path.uuid,
		    job->session, clock_ms());
	if (h->search != NULL)
		host_search_over(
		    h, h->path.kind == PATH_LAUNCH && job->status / 100 == 2);
	host_end(h, FRAME_RESET_CANCELLED);
	if (h->errand != NULL) {
		host_errand_over(h, PROBLEM_COUNT, job);
		return;
	}
	if (http_answer(http, &a, NULL) != 0)
		http_problem(http, PROBLEM_AGENT_PROTOCOL, NULL, 0);
	job_free(job);
	host_settle(h);
}

static void
try_next(struct host *h, struct job *job)
{
	uint64_t session = job->session;

	h->job = job;
	h->tunnel = (struct handle){ 0 };
	if (h->tried_count < ROUTE_MAX && !job->unheard)
		h->tried[h->tried_count++] = session;
	job->unheard = false;
	if (job->outcome == JOB_NOT_MINE)
		h->elsewhere = true;
	host_dispatch(h);
}

void
host_job_back(struct worker *w, struct job *job)
{
	static const enum problem problems[] = {
		[JOB_LOST] = PROBLEM_TUNNEL_LOST,
		[JOB_BREACH] = PROBLEM_AGENT_PROTOCOL,
		[JOB_TOO_LARGE] = PROBLEM_HTTP_413,
		[JOB_LATE] = PROBLEM_AGENT_TIMEOUT,
		[JOB_BUSY] = PROBLEM_OVERLOADED,
	};
	struct host *h = slab_get(&w->hosts, job->host);

	if (h == NULL) {
		job_free(job); /* its host has gone */
		return;
	}
	h->tunnel = (struct handle){ 0 };
	switch (job->outcome) {
	case JOB_ANSWERED:
		answer(h, job);
		break;
	case JOB_NOT_SENT:
	case JOB_NOT_MINE:
		try_next(h, job);
		break;
	default:
		host_fail(h,
		    job->outcome == JOB_PROBLEM ? job->problem
						: problems[job->outcome],
		    FRAME_RESET_CANCELLED);
		job_free(job);
		break;
	}
}

void
host_pending(struct worker *w, const struct message_pending *m)
{
	const struct relay_timeouts *t = &w->setup->config.timeouts;
	struct host *h = slab_get(&w->hosts, m->host);
	uint64_t now = clock_ms(), last, due;

	if (h == NULL || h->job != NULL)
		return;
	last = h->began_ms + t->pending;
	due = now + m->extend_ms;
	if (due > last)
		due = last;
	if (due <= h->answer_due_ms)
		return;
	h->answer_due_ms = due;
	if (due > h->due_ms)
		h->due_ms = due;
	loop_timer_set(&h->timer, due > now ? due - now : 0);
}
