#include "relay/handover_impl.h"

#include "common/clock.h"
#include "relay/worker.h"

#include <stdlib.h>
#include <string.h>

/*
 * The giving end: jobs of our hosts, on their way to the other relay.
 */

static void
send_home(struct handover *h, struct job *job, enum job_outcome outcome)
{
	job->outcome = outcome;
	job->m.kind = MESSAGE_JOB_BACK;
	loop_post(h->relay->workers[job->host.worker]->loop, &job->m.mail);
}

static void
send_job(struct handover *h, struct job *job)
{
	uint64_t now = clock_ms();
	struct parcel p = {
		.kind = PARCEL_JOB,
		.due_ms = job->due_ms > now ? (uint32_t)(job->due_ms - now) : 0,
		.post = strcmp(job->method, "POST") == 0,
		.source = job->source,
		.path = span_str(job->path),
		.headers = span_of(job->headers, job->headers_len),
		.body = buf_span(&job->body),
	};

	/* A parcel has no room for the bodies that only KBS paths may have;
	 * who sends them may send them again. */
	if (buf_len(&job->body) > JOB_BODY_MAX) {
		send_home(h, job, JOB_BUSY);
		return;
	}
	job->session = 0;
	if (slab_add(&job->tunnel, &h->sent, job, NULL) != 0) {
		send_home(h, job, JOB_BUSY);
		return;
	}
	p.slot = job->tunnel.slot;
	p.generation = job->tunnel.generation;
	if (!wire_send(&h->to, &p)) {
		slab_remove(&h->sent, job->tunnel);
		send_home(h, job, JOB_NOT_SENT);
	}
}

/* Its host went away. */
static void
cancel_job(struct handover *h, const struct message_cancel *m)
{
	struct parcel p = { .kind = PARCEL_CANCEL };
	struct job *job;
	size_t at = 0;

	while ((job = slab_next(&h->sent, &at)) != NULL) {
		if (!handle_equal(job->host, m->host))
			continue;
		p.slot = job->tunnel.slot;
		p.generation = job->tunnel.generation;
		wire_send(&h->to, &p);
		slab_remove(&h->sent, job->tunnel);
		job_free(job);
		return;
	}
}

/* Within the budget of memory. */
static bool
copy_body(struct job *job, struct buf *out, struct span in)
{
	buf_init(out, JOB_BODY_MAX, false);
	return in.len == 0 ||
	    (job_charge(job, in.len) && buf_append(out, in, NULL) == 0);
}

static bool
keep_answer(struct job *job, const struct parcel *p)
{
	job->status = p->status;
	if (p->headers.len > 0) {
		job->answer_headers = malloc(p->headers.len);
		if (job->answer_headers == NULL)
			return false;
		memcpy(job->answer_headers, p->headers.ptr, p->headers.len);
		job->answer_headers_len = p->headers.len;
	}
	return copy_body(job, &job->answer, p->body);
}

void
handover_answer_came(struct handover *h, const struct parcel *p)
{
	struct handle name = { .worker = RELAY_MAIN,
		.slot = p->slot,
		.generation = p->generation };
	struct job *job = slab_get(&h->sent, name);

	if (job == NULL)
		return; /* its host went away */
	slab_remove(&h->sent, name);
	if (p->problem != PARCEL_ANSWERED) {
		job->problem = (enum problem)p->problem;
		send_home(h, job, JOB_PROBLEM);
	} else if (keep_answer(job, p)) {
		send_home(h, job, JOB_ANSWERED);
	} else {
		send_home(h, job, JOB_BUSY);
	}
}

void
handover_jobs_lost(struct handover *h)
{
	struct job *job;
	size_t at = 0;

	while ((job = slab_next(&h->sent, &at)) != NULL) {
		slab_remove(&h->sent, job->tunnel);
		send_home(h, job, JOB_LOST);
	}
}

void
handover_jobs_free(struct handover *h)
{
	struct job *job;
	size_t at = 0;

	while ((job = slab_next(&h->sent, &at)) != NULL) {
		slab_remove(&h->sent, job->tunnel);
		job_free(job);
	}
}

/*
 * The taking end: errands, each on a worker that its name tells.
 */

static void
send_answer(struct handover *h, const struct message_errand *m)
{
	struct parcel p = { .kind = PARCEL_ANSWER,
		.slot = m->slot,
		.generation = m->generation,
		.problem = (uint16_t)m->problem };

	if (m->job != NULL && buf_len(&m->job->answer) > JOB_BODY_MAX) {
		p.problem = PROBLEM_OVERLOADED;
	} else if (m->job != NULL) {
		p.problem = PARCEL_ANSWERED;
		p.status = m->job->status;
		p.headers =
		    span_of(m->job->answer_headers, m->job->answer_headers_len);
		p.body = buf_span(&m->job->answer);
	}
	/* A relay that is gone needs no answer. */
	wire_send(&h->from, &p);
}

static struct job *
job_of(struct handover *h, const struct parcel *p)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return NULL;
	job->relay = h->relay;
	job->source = p->source;
	job->method = p->post ? "POST" : "GET";
	job->due_ms = clock_ms() + p->due_ms;
	if (p->path.len > 0)
		memcpy(job->path, p->path.ptr, p->path.len);
	if (job_headers(job, p->headers) && copy_body(job, &job->body, p->body))
		return job;
	job_free(job);
	return NULL;
}

void
handover_job_came(struct handover *h, const struct parcel *p)
{
	struct worker *w = h->relay->workers[p->slot % h->relay->worker_count];
	struct message_errand *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return; /* it is late then */
	m->slot = p->slot;
	m->generation = p->generation;
	m->problem = PROBLEM_OVERLOADED;
	switch (p->kind) {
	case PARCEL_JOB:
		m->m.kind = MESSAGE_ERRAND;
		m->job = job_of(h, p);
		if (m->job == NULL) {
			send_answer(h, m);
			message_free(&m->m);
			return;
		}
		break;
	case PARCEL_CANCEL:
		m->m.kind = MESSAGE_ERRAND_CANCEL;
		break;
	default:
		free(m);
		return;
	}
	loop_post(w->loop, &m->m.mail);
}

void
handover_mail(struct handover *h, struct message *m)
{
	switch (m->kind) {
	case MESSAGE_JOB:
		send_job(h, (struct job *)m);
		return; /* taken */
	case MESSAGE_CANCEL:
		cancel_job(h, (struct message_cancel *)m);
		break;
	case MESSAGE_ERRAND_BACK:
		send_answer(h, (struct message_errand *)m);
		break;
	default:
		break;
	}
	message_free(m);
}
