#include "relay/host_impl.h"

#include "common/clock.h"

#include <stdlib.h>

/*
 * Requests without a connection of their own: the relay before us has that,
 * and wants the answer (handover.h).
 */

static void
release(void *arg)
{
	struct host *h = arg;

	loop_timer_free(&h->timer);
	free(h);
}

static void
tell(struct worker *w, struct message_errand *m)
{
	m->m.kind = MESSAGE_ERRAND_BACK;
	loop_post(w->relay->main_loop, &m->m.mail);
}

void
host_errand(struct worker *w, struct message_errand *m)
{
	struct job *job = m->job;
	struct host *h = calloc(1, sizeof(*h));
	const char *allow;

	m->job = NULL;
	m->problem = PROBLEM_OVERLOADED;
	if (h == NULL || slab_add(&h->handle, &w->hosts, h, NULL) != 0) {
		free(h);
		job_free(job);
		tell(w, m);
		return;
	}
	h->worker = w;
	h->errand = m;
	h->peer = (struct peer){ .relay = w->relay, .source = job->source };
	h->job = job;
	job->host = h->handle;
	h->began_ms = clock_ms();
	h->due_ms = job->due_ms;
	loop_timer_init(&h->timer, w->loop, host_timer, h);
	TAILQ_INSERT_TAIL(&w->errands, h, link);
	atomic_fetch_add(&w->load, 1);
	if (path_route(&h->path, &allow, "", PATH_INTERNAL,
		span_str(job->method), span_str(job->path), false) != 0) {
		host_fail(h, PROBLEM_NOT_FOUND, FRAME_RESET_CANCELLED);
		return;
	}
	job->body_max = path_body_max(h->path.kind);
	host_dispatch(h);
}

static void
leave(struct host *h)
{
	struct worker *w = h->worker;

	TAILQ_REMOVE(&w->errands, h, link);
	loop_timer_free(&h->timer);
	loop_bury(w->loop, &h->grave, release, h);
	worker_peer_gone(w);
}

void
host_errand_over(struct host *h, enum problem problem, struct job *job)
{
	struct message_errand *m = h->errand;

	h->errand = NULL;
	m->problem = problem;
	m->job = job;
	tell(h->worker, m);
	leave(h);
}

void
host_errand_cancel(struct worker *w, const struct message_errand *m)
{
	struct host *h;

	TAILQ_FOREACH(h, &w->errands, link)
	{
		if (h->errand->slot != m->slot ||
		    h->errand->generation != m->generation)
			continue;
		host_end(h, FRAME_RESET_CANCELLED);
		message_free(&h->errand->m);
		h->errand = NULL;
		leave(h);
		return;
	}
}

void
host_errands_end(struct worker *w)
{
	struct host *h;

	while ((h = TAILQ_FIRST(&w->errands)) != NULL)
		host_fail(h, PROBLEM_DRAINING, FRAME_RESET_CANCELLED);
}
