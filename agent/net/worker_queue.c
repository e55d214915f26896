#include <stdlib.h>
#include <unistd.h>

#include "agent/net/worker_impl.h"

/* Jobs on their way in and out, as other threads see them. */

void
worker_wake(struct worker *w)
{
	const uint64_t one = 1;

	/* Full is as good: it wakes. */
	if (write(w->wake_fd, &one, sizeof(one)) != sizeof(one))
		return;
}

/* With the lock held, as all that follow: the row of ${source}, or NULL. */
static struct worker_share *
find_share(struct worker *w, uint32_t source)
{
	size_t i;

	for (i = 0; i < WORKER_SOURCES_MAX; i++)
		if (w->shares[i].count > 0 && w->shares[i].source == source)
			return &w->shares[i];
	return NULL;
}

/* A row for ${source}, which has none, at the end of the turn: who comes with
 * one job at a time is not before who waits with many.  NULL: all are
 * taken. */
static struct worker_share *
new_share(struct worker *w, uint32_t source)
{
	size_t i;

	for (i = 0; i < WORKER_SOURCES_MAX; i++)
		if (w->shares[i].count == 0) {
			w->shares[i] = (struct worker_share){ .source = source,
				.served = w->turns };
			return &w->shares[i];
		}
	return NULL;
}

static bool
take_place(struct worker *w, uint32_t source)
{
	struct worker_share *s = find_share(w, source);

	if (s == NULL)
		s = new_share(w, source);
	if (s == NULL || s->count >= WORKER_SHARE_MAX ||
	    (w->queued >= WORKER_QUEUE_MAX && s->count >= WORKER_SHARE_MIN))
		return false;
	s->count++;
	w->queued++;
	return true;
}

void
worker_leave(struct worker *w, const struct worker_job *job)
{
	struct worker_share *s;

	if (job->extend_ms != 0)
		return; /* a note of one that waits on */
	s = find_share(w, job->source);
	if (s != NULL)
		s->count--;
	w->queued--;
}

int
worker_post(struct worker *w, struct worker_job *job)
{
	bool full;

	job->next = NULL;
	(void)pthread_mutex_lock(&w->lock);
	full = !take_place(w, job->source);
	if (!full) {
		job->id = ++w->last_id;
		*w->last = job;
		w->last = &job->next;
	}
	(void)pthread_mutex_unlock(&w->lock);
	if (full)
		worker_job_free(job);
	else
		worker_wake(w);
	return full ? -1 : 0;
}

/* ${at} points into the list that ends at ${last}. */
static struct worker_job *
take_out(struct worker_job **at, struct worker_job ***last)
{
	struct worker_job *job = *at;

	*at = job->next;
	if (*last == &job->next)
		*last = at;
	job->next = NULL;
	return job;
}

/* In turn: the first job of the source that was served longest ago, so that
 * each other waits for one job at a time of who asks a lot. */
struct worker_job *
worker_next(struct worker *w)
{
	struct worker_job **at, **best = NULL;
	struct worker_share *share = NULL;
	struct worker_job *job;

	for (at = &w->first; *at != NULL; at = &(*at)->next) {
		struct worker_share *s = find_share(w, (*at)->source);

		if (best == NULL || s->served < share->served) {
			best = at;
			share = s;
		}
	}
	if (best == NULL)
		return NULL;
	job = take_out(best, &w->last);
	share->served = ++w->turns;
	*w->asked_last = job;
	w->asked_last = &job->next;
	return job;
}

/* Replies come nearly in the order of the questions. */
struct worker_job *
worker_asked(struct worker *w, uint64_t id)
{
	struct worker_job **at = &w->asked;
	struct worker_job *job = NULL;

	(void)pthread_mutex_lock(&w->lock);
	while (*at != NULL && (*at)->id != id)
		at = &(*at)->next;
	if (*at != NULL) {
		job = take_out(at, &w->asked_last);
		w->cancels -= job->cancelled ? 1 : 0;
	}
	(void)pthread_mutex_unlock(&w->lock);
	return job;
}

void
worker_cancel(struct worker *w, uint64_t link, uint32_t stream)
{
	struct worker_job **at;
	struct worker_job *gone = NULL;
	struct worker_job *job;

	(void)pthread_mutex_lock(&w->lock);
	for (at = &w->first; *at != NULL; at = &(*at)->next)
		if ((*at)->link == link && (*at)->stream == stream) {
			gone = take_out(at, &w->last);
			worker_leave(w, gone);
			break;
		}
	for (job = w->asked; gone == NULL && job != NULL; job = job->next)
		if (job->link == link && job->stream == stream &&
		    !job->cancelled) {
			job->cancelled = true;
			w->cancels++;
			break;
		}
	(void)pthread_mutex_unlock(&w->lock);
	worker_job_free(gone);
	if (job != NULL)
		worker_wake(w);
}

struct worker_job *
worker_take(struct worker *w)
{
	struct worker_job *jobs;
	const struct worker_job *j;

	(void)pthread_mutex_lock(&w->lock);
	jobs = w->done;
	for (j = jobs; j != NULL; j = j->next)
		worker_leave(w, j);
	w->done = NULL;
	w->done_last = &w->done;
	(void)pthread_mutex_unlock(&w->lock);
	return jobs;
}
