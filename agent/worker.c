#include "agent/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"

#define WORKER_SWEEP_S 1
#define WORKER_BATCH_MAX 256

/* The owner's question, on the asking thread's stack. */
struct question {
	unsigned op;
	struct span in;
	struct buf *out;
	struct err *err;
	int rc;
	bool answered;
	struct question *next;
};

struct worker {
	struct vault *vault;
	bool disk_failed; /* the last batch was lost; of the thread alone */
	struct worker_ops ops;
	pthread_t thread;
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t work;
	pthread_cond_t told;              /* a question was answered */
	struct worker_job *first, **last; /* posted */
	struct worker_job *done, **done_last;
	size_t queued; /* posted, at work or done, and not yet taken */
	struct question *questions;
	struct worker_name *names; /* owned */
	size_t name_count;
	bool stop;
};

struct worker_job *
worker_job_new(const struct service_request *in)
{
	struct span parts[] = { in->method, in->path, in->content_type,
		in->idempotency_key, in->request_id, in->host_identity,
		in->body };
	const size_t count = sizeof(parts) / sizeof(parts[0]);
	struct worker_job *job = calloc(1, sizeof(*job));
	size_t len = 1;
	size_t at = 0;
	size_t i;

	for (i = 0; i < count; i++)
		len += parts[i].len;
	if (job != NULL)
		job->bytes = malloc(len);
	if (job == NULL || job->bytes == NULL) {
		free(job);
		return NULL;
	}
	for (i = 0; i < count; i++) {
		if (parts[i].len > 0)
			memcpy(job->bytes + at, parts[i].ptr, parts[i].len);
		/* An absent header stays absent: ptr NULL. */
		if (parts[i].ptr != NULL)
			parts[i].ptr = job->bytes + at;
		at += parts[i].len;
	}
	job->in = (struct service_request){ parts[0], parts[1], parts[2],
		parts[3], parts[4], parts[5], parts[6] };
	return job;
}

void
worker_job_free(struct worker_job *job)
{
	if (job == NULL)
		return;
	service_answer_free(&job->out);
	free(job->bytes);
	free(job);
}

static void
update_names(struct worker *w)
{
	struct vault_vm_info *info = calloc(1, sizeof(*info));
	size_t count = vault_count(w->vault);
	struct worker_name *names = calloc(count + 1, sizeof(*names));
	size_t i;

	for (i = 0; info != NULL && names != NULL && i < count; i++) {
		vault_info(info, w->vault, i);
		names[i].vm = info->vm;
		memcpy(names[i].label, info->label, sizeof(names[i].label));
	}
	(void)pthread_mutex_lock(&w->lock);
	if (info != NULL && names != NULL) {
		free(w->names);
		w->names = names;
		w->name_count = count;
		names = NULL;
	}
	(void)pthread_mutex_unlock(&w->lock);
	free(names);
	free(info);
}

/* Said once when it begins and once when it is over: each request that comes
 * meanwhile fails in the same way. */
static void
tell_disk(struct worker *w, const struct err *err)
{
	if (err != NULL && !w->disk_failed)
		log_error(NULL, "state cannot be written: %s", err->msg);
	if (err == NULL && w->disk_failed)
		log_info(NULL, "state can be written again");
	w->disk_failed = err != NULL;
}

/* One transaction over everything that was queued; false: it was lost. */
static bool
run_batch(struct worker *w, struct worker_job *jobs, struct question *asked)
{
	struct err err = { 0 };
	struct worker_job *j;
	struct question *q;
	int rc = vault_begin(w->vault, &err);

	for (j = jobs; rc == 0 && j != NULL; j = j->next)
		service_handle(&j->out, w->vault, &j->in);
	for (q = asked; rc == 0 && q != NULL; q = q->next)
		q->rc = owner_handle(q->out, w->vault, q->op, q->in, q->err);
	if (rc == 0 && vault_is_due(w->vault))
		vault_sweep(w->vault);
	if (rc == 0)
		rc = vault_commit(w->vault, &err);
	tell_disk(w, rc == 0 ? NULL : &err);
	if (rc == 0)
		return true;
	for (j = jobs; j != NULL; j = j->next)
		service_storage(&j->out, j->in.request_id);
	for (q = asked; q != NULL; q = q->next) {
		if (q->rc == 0)
			(void)err_set(q->err, err.code, "%s", err.msg);
		q->rc = -1;
	}
	return false;
}

static bool
changes_names(const struct question *q)
{
	for (; q != NULL; q = q->next)
		if (q->op == OWNER_REGISTER || q->op == OWNER_REMOVE)
			return true;
	return false;
}

/* Hand out answers, with the lock held. */
static void
give_out(struct worker *w, struct worker_job *jobs, struct question *asked)
{
	struct question *next;

	if (jobs != NULL) {
		*w->done_last = jobs;
		while (*w->done_last != NULL)
			w->done_last = &(*w->done_last)->next;
	}
	for (; asked != NULL; asked = next) {
		next = asked->next;
		asked->answered = true;
	}
	(void)pthread_cond_broadcast(&w->told);
}

/* At most WORKER_BATCH_MAX jobs, so that a flood does not delay them all. */
static struct worker_job *
take_jobs(struct worker *w)
{
	struct worker_job *jobs = w->first;
	struct worker_job **at = &jobs;
	size_t n = 0;

	while (*at != NULL && n < WORKER_BATCH_MAX) {
		at = &(*at)->next;
		n++;
	}
	w->first = *at;
	*at = NULL;
	if (w->first == NULL)
		w->last = &w->first;
	return jobs;
}

static void
wait_for_work(struct worker *w)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WORKER_SWEEP_S;
	while (w->first == NULL && w->questions == NULL && !w->stop)
		if (pthread_cond_timedwait(&w->work, &w->lock, &until) ==
		    ETIMEDOUT)
			return;
}

static void *
work(void *arg)
{
	struct worker *w = arg;

	(void)pthread_mutex_lock(&w->lock);
	while (!w->stop || w->first != NULL || w->questions != NULL) {
		struct worker_job *jobs;
		struct question *asked;
		bool changed;

		wait_for_work(w);
		jobs = take_jobs(w);
		asked = w->questions;
		w->questions = NULL;
		(void)pthread_mutex_unlock(&w->lock);

		changed = changes_names(asked);
		if (jobs != NULL || asked != NULL || vault_is_due(w->vault))
			/* What was not committed is not to be claimed. */
			changed = run_batch(w, jobs, asked) && changed;
		else
			vault_erase_traces(w->vault);
		if (changed)
			update_names(w);

		(void)pthread_mutex_lock(&w->lock);
		give_out(w, jobs, asked);
		(void)pthread_mutex_unlock(&w->lock);
		if (jobs != NULL && w->ops.answered != NULL)
			w->ops.answered(w->ops.arg);
		if (changed && w->ops.registered != NULL)
			w->ops.registered(w->ops.arg);
		(void)pthread_mutex_lock(&w->lock);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void
worker_free(struct worker *w)
{
	struct worker_job *j;

	while ((j = w->done) != NULL) {
		w->done = j->next;
		worker_job_free(j);
	}
	(void)pthread_cond_destroy(&w->work);
	(void)pthread_cond_destroy(&w->told);
	(void)pthread_mutex_destroy(&w->lock);
	free(w->names);
	free(w);
}

int
worker_start(struct worker **out, struct vault *v, const struct worker_ops *ops,
    struct err *err)
{
	struct worker *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;

	if (w == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a thread");
	w->vault = v;
	w->ops = *ops;
	w->last = &w->first;
	w->done_last = &w->done;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->work, &attr);
	(void)pthread_cond_init(&w->told, NULL);
	(void)pthread_condattr_destroy(&attr);
	update_names(w);
	if (pthread_create(&w->thread, NULL, work, w) != 0) {
		worker_free(w);
		return err_set(err, ERR_INTERNAL, "no thread for the vault");
	}
	*out = w;
	return 0;
}

void
worker_stop(struct worker *w)
{
	if (w == NULL)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->stop = true;
	(void)pthread_cond_signal(&w->work);
	(void)pthread_mutex_unlock(&w->lock);
	(void)pthread_join(w->thread, NULL);
	worker_free(w);
}

int
worker_post(struct worker *w, struct worker_job *job)
{
	bool full;

	job->next = NULL;
	(void)pthread_mutex_lock(&w->lock);
	full = w->queued >= WORKER_QUEUE_MAX;
	if (!full) {
		w->queued++;
		*w->last = job;
		w->last = &job->next;
		(void)pthread_cond_signal(&w->work);
	}
	(void)pthread_mutex_unlock(&w->lock);
	if (full)
		worker_job_free(job);
	return full ? -1 : 0;
}

struct worker_job *
worker_take(struct worker *w)
{
	struct worker_job *jobs;
	const struct worker_job *j;

	(void)pthread_mutex_lock(&w->lock);
	jobs = w->done;
	for (j = jobs; j != NULL; j = j->next)
		w->queued--;
	w->done = NULL;
	w->done_last = &w->done;
	(void)pthread_mutex_unlock(&w->lock);
	return jobs;
}

int
worker_ask(struct worker *w, unsigned op, struct span in, struct buf *out,
    struct err *err)
{
	struct question q = { .op = op, .in = in, .out = out, .err = err };

	(void)pthread_mutex_lock(&w->lock);
	if (w->stop) {
		(void)pthread_mutex_unlock(&w->lock);
		return err_set(err, ERR_CLOSED, "the agent is ending");
	}
	q.next = w->questions;
	w->questions = &q;
	(void)pthread_cond_signal(&w->work);
	while (!q.answered)
		(void)pthread_cond_wait(&w->told, &w->lock);
	(void)pthread_mutex_unlock(&w->lock);
	return q.rc;
}

struct worker_name *
worker_names(struct worker *w, size_t *count)
{
	struct worker_name *out;

	(void)pthread_mutex_lock(&w->lock);
	*count = 0;
	out = calloc(w->name_count + 1, sizeof(*out));
	if (out != NULL) {
		memcpy(out, w->names, w->name_count * sizeof(*out));
		*count = w->name_count;
	}
	(void)pthread_mutex_unlock(&w->lock);
	return out;
}
