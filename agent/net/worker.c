#include "agent/net/worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/net/worker_impl.h"
#include "common/secret.h"

#define WORKER_GREET_MS 30000 /* the vault may be opening a large store */
#define WORKER_STOP_MS 2000

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
give_up(struct worker *w)
{
	(void)pthread_mutex_lock(&w->lock);
	w->lost = true;
	(void)pthread_cond_broadcast(&w->told);
	(void)pthread_mutex_unlock(&w->lock);
	if (w->ops.lost != NULL)
		w->ops.lost(w->ops.arg);
}

static bool
is_over(struct worker *w, int64_t *stop_at_ms)
{
	struct timespec now;
	int64_t now_ms;
	bool stop;

	(void)pthread_mutex_lock(&w->lock);
	stop = w->stop;
	(void)pthread_mutex_unlock(&w->lock);
	if (!stop)
		return false;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (*stop_at_ms == 0)
		*stop_at_ms = now_ms + WORKER_STOP_MS;
	return now_ms >= *stop_at_ms ||
	    (w->ready == 0 && w->asked == NULL && !worker_has_work(w));
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	int64_t stop_at_ms = 0;
	uint64_t n;
	int got;

	while (!is_over(w, &stop_at_ms)) {
		struct pollfd fds[] = {
			{ w->fd, POLLIN, 0 },
			{ w->wake_fd, POLLIN, 0 },
		};

		worker_send(w);
		if (w->ready > 0)
			fds[0].events |= POLLOUT;
		if (poll(fds, 2, stop_at_ms != 0 ? WORKER_STOP_MS / 10 : -1) <
			0 &&
		    errno != EINTR)
			break;
		if (fds[1].revents != 0 &&
		    read(w->wake_fd, &n, sizeof(n)) != sizeof(n))
			continue;
		while ((got = worker_receive(w)) == 0)
			worker_take_message(w);
		if (got < 0) {
			give_up(w);
			break;
		}
	}
	return NULL;
}

static void
free_list(struct worker_job *j)
{
	struct worker_job *next;

	for (; j != NULL; j = next) {
		next = j->next;
		worker_job_free(j);
	}
}

static void
worker_free(struct worker *w)
{
	free_list(w->first);
	free_list(w->asked);
	free_list(w->done);
	if (w->wake_fd >= 0)
		(void)close(w->wake_fd);
	(void)pthread_cond_destroy(&w->told);
	(void)pthread_mutex_destroy(&w->lock);
	free(w->page);
	free(w->names);
	free(w);
}

/* Wait for the one reply of kind ${kind} to ${w}->last_id; what was meant for
 * a net before us is dropped on the way. */
static int
expect(struct worker *w, enum door_kind kind, struct err *err)
{
	struct pollfd fd = { w->fd, POLLIN, 0 };
	int got;

	for (;;) {
		got = worker_receive(w);
		if (got == 0 && w->message.kind == kind &&
		    w->message.id == w->last_id)
			return 0;
		if (got == 0)
			continue;
		if (got < 0)
			return err_set(err, ERR_CLOSED, "the vault is gone");
		if (poll(&fd, 1, WORKER_GREET_MS) == 0)
			return err_set(
			    err, ERR_CLOSED, "the vault does not answer");
	}
}

static int
ask_now(struct worker *w, struct err *err)
{
	struct pollfd fd = { w->fd, POLLOUT, 0 };

	while (
	    send(w->fd, w->bytes, w->ready, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return err_set(err, ERR_CLOSED, "the vault is gone");
		if (poll(&fd, 1, WORKER_GREET_MS) == 0)
			return err_set(
			    err, ERR_CLOSED, "the vault does not listen");
	}
	w->ready = 0;
	return 0;
}

/* Before the thread runs: who we are, and what is registered. */
static int
greet(struct worker *w, struct err *err)
{
	struct door_message hello = { .kind = DOOR_HELLO };

	if (secret_random(&w->last_id, sizeof(w->last_id), err) != 0)
		return -1;
	hello.id = w->last_id;
	worker_encode(w, &hello);
	if (ask_now(w, err) != 0 || expect(w, DOOR_HELLO, err) != 0)
		return -1;
	memcpy(w->public, w->message.u.hello.key, sizeof(w->public));
	w->want_names = true;
	while (w->want_names) {
		struct door_message m = { .kind = DOOR_NAMES,
			.id = ++w->last_id };

		w->want_names = false;
		m.u.names.from = (uint32_t)w->page_count;
		worker_encode(w, &m);
		if (ask_now(w, err) != 0 || expect(w, DOOR_NAMES, err) != 0)
			return -1;
		worker_take_message(w);
	}
	return 0;
}

int
worker_open(struct worker **out, int fd, struct err *err)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a thread");
	w->fd = fd;
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->last = &w->first;
	w->asked_last = &w->asked;
	w->done_last = &w->done;
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->told, NULL);
	if (w->wake_fd < 0)
		(void)err_set(err, ERR_INTERNAL, "no eventfd");
	if (w->wake_fd < 0 || greet(w, err) != 0) {
		worker_free(w);
		return -1;
	}
	*out = w;
	return 0;
}

int
worker_start(struct worker *w, const struct worker_ops *ops, struct err *err)
{
	w->ops = *ops;
	if (pthread_create(&w->thread, NULL, work, w) != 0)
		return err_set(err, ERR_INTERNAL, "no thread for the vault");
	w->running = true;
	return 0;
}

void
worker_stop(struct worker *w)
{
	if (w == NULL)
		return;
	if (w->running) {
		(void)pthread_mutex_lock(&w->lock);
		w->stop = true;
		(void)pthread_mutex_unlock(&w->lock);
		worker_wake(w);
		(void)pthread_join(w->thread, NULL);
	}
	worker_free(w);
}

const uint8_t *
worker_public(const struct worker *w)
{
	return w->public;
}

/* The threads that call are few, and wait: nothing bounds their list. */
static int
call(struct worker *w, struct door_message *m, struct err *err)
{
	struct worker_call c = { .m = m };
	struct worker_call **at;

	(void)pthread_mutex_lock(&w->lock);
	m->id = ++w->last_id;
	c.next = w->calls;
	w->calls = &c;
	(void)pthread_mutex_unlock(&w->lock);
	worker_wake(w);
	(void)pthread_mutex_lock(&w->lock);
	while (!c.done && !w->lost)
		(void)pthread_cond_wait(&w->told, &w->lock);
	for (at = &w->calls; !c.done && *at != NULL;)
		if (*at == &c)
			*at = c.next;
		else
			at = &(*at)->next;
	(void)pthread_mutex_unlock(&w->lock);
	return c.done ? 0 : err_set(err, ERR_CLOSED, "the vault is gone");
}

int
worker_sign(uint8_t signature[KEY_SIG_LEN], struct worker *w, struct span hello,
    struct err *err)
{
	struct door_message m = { .kind = DOOR_SIGN };

	if (hello.len > DOOR_SIGN_MAX)
		return err_set(err, ERR_LIMIT, "hello of %zu bytes", hello.len);
	memcpy(m.u.sign.text, hello.ptr, hello.len);
	m.u.sign.text_len = hello.len;
	if (call(w, &m, err) != 0)
		return -1;
	if (!m.u.sign.signed_)
		return err_set(
		    err, ERR_UNTRUSTED, "the vault does not sign this");
	memcpy(signature, m.u.sign.signature, KEY_SIG_LEN);
	return 0;
}

int
worker_put_cek(struct worker *w, const uint8_t cpu_id[VAULT_CPU_ID_LEN],
    struct span cert, struct err *err)
{
	struct door_message m = { .kind = DOOR_CEK };

	if (cert.len > sizeof(m.u.cek.cert))
		return err_set(
		    err, ERR_MALFORMED, "CEK of %zu bytes", cert.len);
	memcpy(m.u.cek.cpu_id, cpu_id, VAULT_CPU_ID_LEN);
	memcpy(m.u.cek.cert, cert.ptr, cert.len);
	m.u.cek.cert_len = cert.len;
	if (call(w, &m, err) != 0)
		return -1;
	if (!m.u.cek.kept)
		return err_set(err, ERR_UNTRUSTED, "%s", m.u.cek.why);
	return 0;
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
