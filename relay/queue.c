#include "relay/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct lane {
	TAILQ_ENTRY(lane) link;
	struct source source;
	struct job_list jobs; /* never empty between calls */
	size_t count;
};

TAILQ_HEAD(lane_list, lane);

struct queue {
	struct lane_list lanes; /* the first one has its turn */
	size_t count;
};

struct queue *
queue_new(void)
{
	struct queue *q = calloc(1, sizeof(*q));

	if (q != NULL)
		TAILQ_INIT(&q->lanes);
	return q;
}

void
queue_free(struct queue *q)
{
	if (q == NULL)
		return;
	assert(q->count == 0);
	free(q);
}

size_t
queue_len(const struct queue *q)
{
	return q != NULL ? q->count : 0;
}

static struct lane *
find(struct queue *q, const struct source *source)
{
	struct lane *l;

	TAILQ_FOREACH(l, &q->lanes, link)
	if (memcmp(l->source.addr, source->addr, sizeof(source->addr)) == 0)
		return l;
	return NULL;
}

static struct lane *
lane_new(struct queue *q, const struct job *job)
{
	struct lane *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->source = job->source;
	TAILQ_INIT(&l->jobs);
	TAILQ_INSERT_TAIL(&q->lanes, l, link);
	return l;
}

bool
queue_put(struct queue *q, struct job *job, size_t max, size_t source_max)
{
	struct lane *l = find(q, &job->source);

	if (q->count >= max || source_max == 0 ||
	    (l != NULL && l->count >= source_max))
		return false;
	if (l == NULL)
		l = lane_new(q, job);
	if (l == NULL)
		return false;
	TAILQ_INSERT_TAIL(&l->jobs, job, link);
	l->count++;
	q->count++;
	return true;
}

static void
take_from(struct queue *q, struct lane *l, struct job *job)
{
	TAILQ_REMOVE(&l->jobs, job, link);
	l->count--;
	q->count--;
	if (l->count == 0) {
		TAILQ_REMOVE(&q->lanes, l, link);
		free(l);
	}
}

struct job *
queue_take(struct queue *q)
{
	struct lane *l = q != NULL ? TAILQ_FIRST(&q->lanes) : NULL;
	struct job *job;

	if (l == NULL)
		return NULL;
	/* Its turn is over: behind all others. */
	TAILQ_REMOVE(&q->lanes, l, link);
	TAILQ_INSERT_TAIL(&q->lanes, l, link);
	job = TAILQ_FIRST(&l->jobs);
	take_from(q, l, job);
	return job;
}

struct job *
queue_remove(struct queue *q, struct handle host)
{
	struct lane *l;
	struct job *job;

	if (q == NULL)
		return NULL;
	TAILQ_FOREACH(l, &q->lanes, link)
	{
		TAILQ_FOREACH(job, &l->jobs, link)
		{
			if (handle_equal(job->host, host)) {
				take_from(q, l, job);
				return job;
			}
		}
	}
	return NULL;
}
