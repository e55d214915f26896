#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/net/direct_impl.h"
#include "common/admit_http.h"
#include "common/clock.h"
#include "common/tunnel.h"

#define REQUEST_MS 60000  /* for an answer, as relay.yaml's timeouts.request */
#define PENDING_MS 120000 /* the same while the owner is asked */
#define BODY_MAX 65536    /* docs/protocol.md 3 */

static const char well_known[] = "/.well-known/attest-relay";

struct direct_host {
	TAILQ_ENTRY(direct_host) link;
	struct direct *direct;
	struct http_server *http; /* NULL: over */
	struct source source;
	bool handshaking;
	struct log_subject subject;
	char identity[ADMIT_IDENTITY_MAX + 1];
	/* The request under way. */
	struct worker_job *head; /* owned: a copy of its head */
	uint64_t id;             /* of the job that is out; 0: none */
	uint64_t began_ms;
	struct loop_timer timer;
	struct loop_grave grave;
};

static void
settle(struct direct_host *h)
{
	if (!h->handshaking)
		return;
	h->handshaking = false;
	h->direct->handshakes--;
	tally_give(h->direct->tally, TALLY_HANDSHAKES, source_block(h->source));
}

static void
on_open(void *arg)
{
	settle(arg);
}

static void
forget_request(struct direct_host *h)
{
	loop_timer_cancel(&h->timer);
	worker_job_free(h->head);
	h->head = NULL;
	h->id = 0;
}

static void
release(void *arg)
{
	struct direct_host *h = arg;

	loop_timer_free(&h->timer);
	free(h);
}

static void
on_gone(void *arg, const char *why)
{
	struct direct_host *h = arg;
	struct direct *d = h->direct;

	log_debug(&h->subject, "closed: %s", why);
	h->http = NULL;
	settle(h);
	if (h->id != 0)
		worker_cancel(d->worker, h->id, 0);
	forget_request(h);
	tally_give(d->tally, TALLY_CONNECTIONS, source_one(h->source));
	TAILQ_REMOVE(&d->hosts, h, link);
	loop_bury(d->loop, &h->grave, release, h);
	direct_gone(d);
}

static void
on_done(void *arg, const struct http_done *d)
{
	struct direct_host *h = arg;

	log_info(&h->subject, "%s %u %s in=%zu out=%zu id=%s host=%s%s%s",
	    d->method, d->status, d->origin, d->in_len, d->out_len, d->id,
	    h->identity[0] != '\0' ? h->identity : "none",
	    d->why != NULL ? " why=" : "", d->why != NULL ? d->why : "");
}

static enum http_verdict
refuse(struct direct_host *h, enum problem problem,
    const struct http_out_field *field)
{
	http_problem(h->http, problem, field, field != NULL ? 1 : 0);
	return HTTP_ANSWERED;
}

static enum http_verdict
tell_well_known(struct direct_host *h)
{
	const struct http_out_field type = { "content-type",
		span_str("application/json") };
	struct http_answer a = { .status = 200,
		.origin = "agent",
		.fields = &type,
		.field_count = 1 };
	char body[256], words[ADMIT_WORDS_LEN];
	struct writer w = writer_of(words, sizeof(words));
	int n;

	admit_words(&w, &h->direct->options.hosts);
	n = snprintf(body, sizeof(body),
	    "{\"versions\":[1],\"minor\":%d,\"limits\":{\"body\":%d,"
	    "\"head\":%d,\"path\":%d},\"schemes\":[\"amd-sev\"],"
	    "\"auth\":[%.*s]}",
	    TUNNEL_MINOR, BODY_MAX, HTTP_HEAD_MAX, HTTP_TARGET_MAX, (int)w.len,
	    words);
	a.body = span_of(body, (size_t)n);
	(void)http_answer(h->http, &a, NULL);
	return HTTP_ANSWERED;
}

static bool
authenticate(struct direct_host *h, const struct http_head *head)
{
	const struct admit_from from = { conn_ssl(http_conn(h->http)),
		h->source, &h->subject };

	return admit_http(h->identity, &h->direct->options.hosts, &from, head);
}

/* The head must live until the body is there: as a job with none yet. */
static enum http_verdict
begin(struct direct_host *h, const struct http_head *head, struct span path)
{
	struct service_request in = { .method = head->method, .path = path };

	if (admit_repeats(head))
		return refuse(h, PROBLEM_BAD_REQUEST, NULL);
	if (!admit_json(head))
		return refuse(h, PROBLEM_HTTP_415, NULL);
	(void)http_get(head, "content-type", &in.content_type);
	(void)http_get(head, "idempotency-key", &in.idempotency_key);
	in.request_id = span_str(http_request_id(h->http));
	in.host_identity = span_str(h->identity);
	h->head = worker_job_new(&in);
	if (h->head == NULL)
		return refuse(h, PROBLEM_OVERLOADED, NULL);
	return HTTP_READ;
}

/* Take the base off ${path}; false: it is not below it. */
static bool
take_base(struct span *path, const char *base)
{
	size_t n = strlen(base);

	if (path->len < n ||
	    !span_equal(span_of(path->ptr, n), span_of(base, n)))
		return false;
	*path = span_of(path->ptr + n, path->len - n);
	return true;
}

static enum http_verdict
on_head(void *arg, struct http_server *s, const struct http_head *head,
    size_t *body_max)
{
	struct direct_host *h = arg;
	struct direct *d = h->direct;
	struct http_out_field bearer = { "www-authenticate",
		span_str("Bearer") };
	struct http_out_field allow = { "allow", span_str("POST") };
	struct span path = head->path;
	bool known;

	(void)s;
	*body_max = BODY_MAX;
	h->identity[0] = '\0';
	if (head->has_query)
		return refuse(h, PROBLEM_BAD_REQUEST, NULL);
	if (!take_base(&path, d->options.base))
		return refuse(h, PROBLEM_NOT_FOUND, NULL);
	known = span_is(path, well_known);
	if (known && span_is(head->method, "GET"))
		return tell_well_known(h);
	if (known)
		allow.value = span_str("GET");
	else if (!service_is_path(path))
		return refuse(h, PROBLEM_NOT_FOUND, NULL);
	if (known || !span_is(head->method, "POST"))
		return refuse(h, PROBLEM_HTTP_405, &allow);
	if (!authenticate(h, head))
		return refuse(h, PROBLEM_HOST_UNAUTHENTICATED,
		    d->options.hosts.bearer ? &bearer : NULL);
	return begin(h, head, path);
}

static bool
on_more(void *arg, size_t len)
{
	(void)arg;
	(void)len; /* CONNECTIONS times BODY_MAX is all there can be */
	return true;
}

static void
on_timer(void *arg)
{
	struct direct_host *h = arg;

	if (h->id == 0)
		return;
	/* What the vault has goes on, and is stored for the host's repeat. */
	worker_cancel(h->direct->worker, h->id, 0);
	forget_request(h);
	http_problem(h->http, PROBLEM_AGENT_TIMEOUT, NULL, 0);
}

static void
on_request(void *arg, struct http_server *s, struct buf *body)
{
	struct direct_host *h = arg;
	struct direct *d = h->direct;
	struct service_request in = h->head->in;
	struct worker_job *job;

	(void)s;
	in.body = buf_span(body);
	job = worker_job_new(&in);
	forget_request(h);
	if (job == NULL) {
		(void)refuse(h, PROBLEM_OVERLOADED, NULL);
		return;
	}
	job->link = ++d->last_id;
	job->answered = direct_answered;
	job->arg = d;
	h->id = job->link;
	h->began_ms = clock_ms();
	loop_timer_set(&h->timer, REQUEST_MS);
	if (worker_post(d->worker, job) == 0)
		return;
	forget_request(h);
	(void)refuse(h, PROBLEM_OVERLOADED, NULL);
}

static const struct http_ops host_ops = {
	.open = on_open,
	.head = on_head,
	.more = on_more,
	.request = on_request,
	.done = on_done,
	.gone = on_gone,
};

void
direct_host_accept(
    struct direct *d, int fd, struct source source, uint16_t port)
{
	struct direct_host *h = calloc(1, sizeof(*h));
	char text[SOURCE_TEXT_LEN];
	struct err err = { 0 };

	if (h == NULL) {
		(void)close(fd);
		goto fail;
	}
	h->direct = d;
	h->source = source;
	log_subject_set(
	    &h->subject, "host %s:%u", source_text(text, source), port);
	loop_timer_init(&h->timer, d->loop, on_timer, h);
	if (http_server_accept(&h->http, d->loop, d->tls, fd, &d->settings,
		&host_ops, h, &err) != 0) {
		log_warn(&h->subject, "not accepted: %s", err.msg);
		free(h);
		goto fail;
	}
	h->handshaking = true;
	d->handshakes++;
	d->connections++;
	TAILQ_INSERT_TAIL(&d->hosts, h, link);
	return;
fail:
	tally_give(d->tally, TALLY_HANDSHAKES, source_block(source));
	tally_give(d->tally, TALLY_CONNECTIONS, source_one(source));
}

static struct direct_host *
find(struct direct *d, uint64_t id)
{
	struct direct_host *h;

	TAILQ_FOREACH(h, &d->hosts, link)
	if (h->id == id)
		return h;
	return NULL;
}

static void
answer(struct direct_host *h, const struct service_answer *in)
{
	struct http_out_field fields[3];
	struct http_answer a = { .status = in->status,
		.origin = "agent",
		.fields = fields,
		.body = buf_span(&in->body) };
	char number[16];

	fields[a.field_count++] = (struct http_out_field){ "content-type",
		span_str(in->content_type) };
	if (in->retry_after_s != 0) {
		(void)snprintf(number, sizeof(number), "%u", in->retry_after_s);
		fields[a.field_count++] =
		    (struct http_out_field){ "retry-after", span_str(number) };
	}
	if (in->location[0] != '\0')
		fields[a.field_count++] = (struct http_out_field){ "location",
			span_str(in->location) };
	if (http_answer(h->http, &a, NULL) != 0)
		http_problem(h->http, PROBLEM_AGENT_PROTOCOL, NULL, 0);
}

/* The owner is being asked: wait on, but not for ever. */
static void
wait_longer(struct direct_host *h, uint32_t extend_ms)
{
	uint64_t last = h->began_ms + PENDING_MS;
	uint64_t now = clock_ms();
	uint64_t due = now + extend_ms;

	if (due > last)
		due = last;
	if (due > h->began_ms + REQUEST_MS)
		loop_timer_set(&h->timer, due > now ? due - now : 0);
}

void
direct_host_back(struct direct *d, struct worker_job *job)
{
	struct direct_host *h = find(d, job->link);

	if (h == NULL || h->http == NULL)
		goto out; /* its host has gone */
	if (job->extend_ms != 0) {
		wait_longer(h, job->extend_ms);
		goto out;
	}
	forget_request(h);
	atomic_fetch_add(&d->answers, 1);
	switch (job->out.kind) {
	case SERVICE_ANSWER:
		answer(h, &job->out);
		break;
	case SERVICE_NOT_MINE:
		/* As a relay that knows no agent for it (T17). */
		http_problem(h->http, PROBLEM_AGENT_UNAVAILABLE, NULL, 0);
		break;
	case SERVICE_BROKEN:
		http_problem(h->http, PROBLEM_AGENT_PROTOCOL, NULL, 0);
		break;
	}
out:
	worker_job_free(job);
}

void
direct_hosts_drain(struct direct *d)
{
	struct direct_host *next;
	struct direct_host *h;

	for (h = TAILQ_FIRST(&d->hosts); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		http_close_after(h->http);
	}
}

void
direct_hosts_close(struct direct *d)
{
	struct direct_host *next;
	struct direct_host *h;

	for (h = TAILQ_FIRST(&d->hosts); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		conn_close(http_conn(h->http), "shutting down");
	}
}
