#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/net/worker_impl.h"

/* Messages of the worker's thread: questions out, replies in. */

/* ${job} is answered; hand it out. */
static void
finish(struct worker *w, struct worker_job *job)
{
	job->next = NULL;
	(void)pthread_mutex_lock(&w->lock);
	if (job->answered != NULL) {
		worker_leave(w, job);
		(void)pthread_mutex_unlock(&w->lock);
		job->answered(job->arg, job);
		return;
	}
	*w->done_last = job;
	w->done_last = &job->next;
	(void)pthread_mutex_unlock(&w->lock);
	if (w->ops.answered != NULL)
		w->ops.answered(w->ops.arg);
}

void
worker_encode(struct worker *w, const struct door_message *m)
{
	struct writer out = writer_of(w->bytes, sizeof(w->bytes));

	door_write(&out, m, false);
	w->ready = writer_span(&out).len;
}

static void
ask_names(struct worker *w)
{
	struct door_message m = { .kind = DOOR_NAMES };

	w->want_names = false;
	m.u.names.from = (uint32_t)w->page_count;
	worker_encode(w, &m);
}

static void
ask_job(struct worker *w, struct worker_job *job)
{
	if (!service_ask(&w->message, &job->out, &job->in)) {
		finish(w, worker_asked(w, job->id));
		return;
	}
	w->message.id = job->id;
	if (w->message.kind == DOOR_LAUNCH)
		memcpy(job->cpu_id, w->message.u.launch.cpu_id,
		    sizeof(job->cpu_id));
	worker_encode(w, &w->message);
	if (w->ready == 0) {
		service_broken(&job->out);
		finish(w, worker_asked(w, job->id));
	}
}

/* With the lock held. */
static struct worker_call *
unsent_call(struct worker *w)
{
	struct worker_call *c = w->calls;

	while (c != NULL && c->sent)
		c = c->next;
	return c;
}

/* With the lock held: the vault waits no more for the owner's word, if it
 * does. */
static uint64_t
next_cancelled(struct worker *w)
{
	struct worker_job *job = w->asked;

	while (!job->cancelled)
		job = job->next;
	job->cancelled = false;
	w->cancels--;
	return job->id;
}

/* The next message to send, if there is one. */
static void
make_ready(struct worker *w)
{
	struct door_message gone = { .kind = DOOR_CANCEL };
	struct worker_job *job = NULL;
	struct worker_call *call;
	bool cancels = false;

	if (w->want_names) {
		ask_names(w);
		return;
	}
	(void)pthread_mutex_lock(&w->lock);
	call = unsent_call(w);
	if (call != NULL) {
		call->sent = true;
		w->message = *call->m;
	} else if (w->cancels > 0) {
		cancels = true;
		gone.id = next_cancelled(w);
	} else {
		job = worker_next(w);
	}
	(void)pthread_mutex_unlock(&w->lock);
	if (call != NULL)
		worker_encode(w, &w->message);
	else if (cancels)
		worker_encode(w, &gone);
	else if (job != NULL)
		ask_job(w, job);
}

bool
worker_has_work(struct worker *w)
{
	bool has;

	(void)pthread_mutex_lock(&w->lock);
	has = w->first != NULL || w->cancels > 0 || unsent_call(w) != NULL;
	(void)pthread_mutex_unlock(&w->lock);
	return has || w->want_names;
}

void
worker_send(struct worker *w)
{
	while (w->ready > 0 || worker_has_work(w)) {
		ssize_t n;

		if (w->ready == 0)
			make_ready(w);
		if (w->ready == 0)
			continue;
		n = send(
		    w->fd, w->bytes, w->ready, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		w->ready = 0;
	}
}

/* The vault fetches nothing: it says what it lacks. */
static void
fetch(struct worker *w, const struct worker_job *job,
    struct vault_launch_answer *answer)
{
	if (!answer->wants_cek)
		return;
	if (w->ops.wants_cek != NULL)
		w->ops.wants_cek(w->ops.cek_arg, job->cpu_id);
	else
		answer->retry_after_s =
		    0; /* the usual time: it will not come */
}

static void
take_reply(struct worker *w)
{
	struct worker_job *job = worker_asked(w, w->message.id);

	if (job == NULL)
		return; /* for the net before us */
	if (w->message.kind == DOOR_LAUNCH)
		fetch(w, job, &w->message.u.launch_answer);
	service_tell(&job->out, &w->message, job->in.request_id);
	finish(w, job);
}

static void
take_pending(struct worker *w)
{
	const struct worker_job *job = w->asked;
	struct worker_job *note;

	while (job != NULL && job->id != w->message.id)
		job = job->next;
	if (job == NULL || w->message.u.pending.extend_ms == 0)
		return;
	note = calloc(1, sizeof(*note));
	if (note == NULL)
		return; /* the relay gives up a little early */
	note->answered = job->answered;
	note->arg = job->arg;
	note->link = job->link;
	note->stream = job->stream;
	note->extend_ms = w->message.u.pending.extend_ms;
	finish(w, note);
}

static void
end_call(struct worker *w)
{
	struct worker_call **at = &w->calls;

	(void)pthread_mutex_lock(&w->lock);
	while (*at != NULL && (*at)->m->id != w->message.id)
		at = &(*at)->next;
	if (*at != NULL) {
		*(*at)->m = w->message;
		(*at)->done = true;
		*at = (*at)->next;
		(void)pthread_cond_broadcast(&w->told);
	}
	(void)pthread_mutex_unlock(&w->lock);
}

static void
show_names(struct worker *w)
{
	(void)pthread_mutex_lock(&w->lock);
	free(w->names);
	w->names = w->page;
	w->name_count = w->page_count;
	(void)pthread_mutex_unlock(&w->lock);
	w->page = NULL;
	w->page_count = w->page_cap = 0;
	if (w->ops.registered != NULL)
		w->ops.registered(w->ops.arg);
}

static void
take_names(struct worker *w)
{
	const struct door_names *n = &w->message.u.names;
	struct worker_name *more;
	size_t i;

	if (n->from != w->page_count)
		return; /* they changed meanwhile, and are asked for anew */
	if (w->page_count + n->count > w->page_cap || w->page == NULL) {
		more = reallocarray(
		    w->page, n->total + DOOR_NAMES_MAX + 1, sizeof(*more));
		if (more == NULL)
			return;
		w->page = more;
		w->page_cap = n->total + DOOR_NAMES_MAX;
	}
	for (i = 0; i < n->count; i++) {
		struct worker_name *name = &w->page[w->page_count++];

		name->vm = n->names[i].vm;
		memcpy(name->label, n->names[i].label, sizeof(name->label));
		name->shared = n->names[i].shared;
		name->rank = (uint16_t)n->names[i].rank;
	}
	if (n->count > 0 && w->page_count < n->total)
		w->want_names = true;
	else
		show_names(w);
}

void
worker_take_message(struct worker *w)
{
	switch (w->message.kind) {
	case DOOR_LAUNCH:
	case DOOR_VALIDATE:
		take_reply(w);
		break;
	case DOOR_PENDING:
		take_pending(w);
		break;
	case DOOR_SIGN:
	case DOOR_CEK:
		end_call(w);
		break;
	case DOOR_NAMES:
		take_names(w);
		break;
	case DOOR_CHANGED:
		w->page_count = 0;
		w->want_names = true;
		break;
	case DOOR_CANCEL:
	case DOOR_HELLO:
		break;
	}
}

int
worker_receive(struct worker *w)
{
	uint8_t bytes[DOOR_MAX];
	ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n <= 0)
		return -1;
	return door_read(&w->message, span_of(bytes, (size_t)n), true, NULL) ==
		0
	    ? 0
	    : 1;
}
