#include "relay/side_impl.h"

#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

static void
send_home(struct side *s, struct job *job, enum job_outcome outcome)
{
	job->outcome = outcome;
	job->m.kind = MESSAGE_JOB_BACK;
	relay_send(s->worker, job->host.worker, &job->m);
}

/* The stream is over; its job goes home, and another may have its place. */
static void
finish(struct side *s, struct job *job, enum job_outcome outcome)
{
	if (job->open) {
		TAILQ_REMOVE(&s->open, job, link);
		job->open = false;
	}
	send_home(s, job, outcome);
	if (queue_len(s->queue) > 0)
		loop_soon(s->worker->loop, &s->pump);
}

enum opening { OPENED, NO_ROOM, GONE };

static enum opening
open_job(struct side *s, struct job *job)
{
	uint64_t now = clock_ms();
	struct frame_request request = {
		.method = span_str(job->method),
		.path = span_str(job->path),
		.headers = span_of(job->headers, job->headers_len),
		.body_length = (uint32_t)buf_len(&job->body),
		.deadline_ms =
		    job->due_ms > now ? (uint32_t)(job->due_ms - now) : 0,
		.body = buf_span(&job->body),
	};
	struct err err;

	if (conn_congested(s->conn))
		return NO_ROOM;
	if (tunnel_open(s->tunnel, &job->stream, job, &request, &job->sent,
		&err) == 0) {
		job->open = true;
		TAILQ_INSERT_TAIL(&s->open, job, link);
		return OPENED;
	}
	if (err.code == ERR_LIMIT)
		return NO_ROOM;
	/* A link to another relay that is being made. */
	if (tunnel_phase(s->tunnel) == TUNNEL_GREETING)
		return NO_ROOM;
	if (err.code != ERR_CLOSED)
		log_error(&s->subject, "request not sent: %s", err.msg);
	return GONE;
}

static void
put_in_queue(struct side *s, struct job *job)
{
	const struct relay_limits *l = &s->worker->setup->config.limits;

	if (s->queue == NULL)
		s->queue = queue_new();
	if (s->queue == NULL ||
	    !queue_put(
		s->queue, job, (size_t)l->queue, (size_t)l->queue_per_source))
		send_home(s, job, JOB_BUSY);
}

void
side_submit(struct worker *w, struct job *job)
{
	struct side *s = slab_get(&w->tunnels, job->tunnel);

	if (s == NULL || s->conn == NULL || s->leaving) {
		job->outcome = JOB_NOT_SENT;
		job->m.kind = MESSAGE_JOB_BACK;
		relay_send(w, job->host.worker, &job->m);
		return;
	}
	if (queue_len(s->queue) > 0) {
		put_in_queue(s, job);
		return;
	}
	switch (open_job(s, job)) {
	case OPENED:
		side_touch(s);
		break;
	case NO_ROOM:
		put_in_queue(s, job);
		break;
	case GONE:
		send_home(s, job, JOB_NOT_SENT);
		break;
	}
}

void
side_pump(void *arg)
{
	struct side *s = arg;
	struct job *job;

	while (s->conn != NULL && !conn_congested(s->conn) &&
	    tunnel_room(s->tunnel) > 0 &&
	    (job = queue_take(s->queue)) != NULL) {
		if (open_job(s, job) != OPENED)
			send_home(s, job, JOB_NOT_SENT);
	}
	if (s->conn != NULL)
		side_touch(s);
}

void
side_return_queued(struct side *s)
{
	struct job *job;

	while ((job = queue_take(s->queue)) != NULL)
		send_home(s, job, JOB_NOT_SENT);
}

void
side_cancel(struct worker *w, const struct message_cancel *m)
{
	struct side *s = slab_get(&w->tunnels, m->tunnel);
	struct job *job;

	if (s == NULL)
		return;
	TAILQ_FOREACH(job, &s->open, link)
	{
		if (!handle_equal(job->host, m->host))
			continue;
		TAILQ_REMOVE(&s->open, job, link);
		tunnel_reset(s->tunnel, job->stream, m->code, NULL);
		job_free(job);
		loop_soon(w->loop, &s->pump);
		return;
	}
	job_free(queue_remove(s->queue, m->host));
}

/*
 * Ops of the tunnel.
 */

static bool
keep(struct side *s, struct job *job, struct span bytes)
{
	if (bytes.len == 0)
		return true;
	if (job_charge(job, bytes.len) &&
	    buf_append(&job->answer, bytes, NULL) == 0) {
		tunnel_consumed(s->tunnel, job->stream, bytes.len);
		return true;
	}
	if (job->over_quota)
		job_refused(s->worker, job->account, s->handle);
	tunnel_reset(s->tunnel, job->stream, FRAME_RESET_CANCELLED,
	    job->over_quota ? "over a quota of the tenant" : "no memory");
	finish(s, job, JOB_BUSY);
	return false;
}

void
side_response(void *arg, uint32_t stream, void *user,
    const struct frame_response *response, bool end)
{
	struct side *s = arg;
	struct job *job = user;
	bool bodiless = response->status == 204 || response->status == 304;

	if (response->body_length > job->body_max ||
	    (bodiless && response->body_length > 0)) {
		/* With its END the stream is over already, and no reset will
		 * come for it. */
		if (end)
			finish(s, job, JOB_BREACH);
		tunnel_breach(
		    s->tunnel, stream, clock_ms(), "an answer over the limit");
		return;
	}
	job->status = response->status;
	job->answer_headers_len = response->headers.len;
	if (response->headers.len > 0) {
		job->answer_headers = malloc(response->headers.len);
		if (job->answer_headers == NULL) {
			tunnel_reset(s->tunnel, stream, FRAME_RESET_CANCELLED,
			    "no memory");
			finish(s, job, JOB_BUSY);
			return;
		}
		memcpy(job->answer_headers, response->headers.ptr,
		    response->headers.len);
	}
	buf_init(&job->answer, job->body_max, false);
	if (keep(s, job, response->body) && end)
		finish(s, job, JOB_ANSWERED);
}

void
side_data(void *arg, uint32_t stream, void *user, struct span bytes, bool end)
{
	struct side *s = arg;
	struct job *job = user;

	(void)stream;
	if (keep(s, job, bytes) && end)
		finish(s, job, JOB_ANSWERED);
}

void
side_reset(
    void *arg, uint32_t stream, void *user, uint32_t code, struct span text)
{
	static const enum job_outcome outcomes[] = {
		[FRAME_RESET_CANCELLED] = JOB_BREACH,
		[FRAME_RESET_REFUSED] = JOB_NOT_SENT,
		[FRAME_RESET_NOT_MINE] = JOB_NOT_MINE,
		[FRAME_RESET_TOO_LARGE] = JOB_TOO_LARGE,
		[FRAME_RESET_DEADLINE] = JOB_LATE,
		[FRAME_RESET_INTERNAL] = JOB_BREACH,
		[FRAME_RESET_PROTOCOL] = JOB_BREACH,
		[FRAME_RESET_LOST] = JOB_LOST,
		[FRAME_RESET_BUSY] = JOB_BUSY,
	};
	enum job_outcome outcome = JOB_BREACH;
	struct side *s = arg;
	struct job *job = user;

	if (code == TUNNEL_RESET_LOST)
		outcome = JOB_LOST;
	else if (code >= FRAME_RESET_CANCELLED && code <= FRAME_RESET_BUSY)
		outcome = outcomes[code];
	/* Half an answer and then "not processed" cannot both be true. */
	if (job->status != 0 &&
	    (outcome == JOB_NOT_SENT || outcome == JOB_NOT_MINE))
		outcome = JOB_BREACH;
	if (outcome != JOB_NOT_SENT && outcome != JOB_NOT_MINE)
		log_info(&s->subject, "stream %u ended with code %u: %.*s",
		    stream, code, (int)text.len,
		    text.len > 0 ? (const char *)text.ptr : "");
	finish(s, job, outcome);
}

void
side_writable(void *arg, uint32_t stream, void *user)
{
	struct side *s = arg;
	struct job *job = user;
	struct span body = buf_span(&job->body);

	job->sent += tunnel_send(s->tunnel, stream,
	    span_of(body.ptr + job->sent, body.len - job->sent));
}

void
side_pending(
    void *arg, uint32_t stream, void *user, const struct frame_pending *pending)
{
	struct side *s = arg;
	struct job *job = user;
	struct message_pending *m = calloc(1, sizeof(*m));

	(void)stream;
	if (m == NULL)
		return; /* then it is late */
	m->m.kind = MESSAGE_PENDING;
	m->host = job->host;
	m->hop = job->hop;
	m->extend_ms = pending->extend_ms;
	relay_send(s->worker, job->host.worker, &m->m);
}
