#include "common/loop.h"

#include "common/clock.h"
#include "common/stamp.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SIGNALS_MAX 8
#define SLOW_DEFAULT 8
#define SOON_ROUNDS 4 /* a task may queue another; then a turn */

TAILQ_HEAD(task_list, loop_task);
LIST_HEAD(timer_list, loop_timer);

struct signal_hook {
	struct event *event;
	void (*fn)(void *arg);
	void *arg;
};

struct loop {
	struct event_base *base;
	_Atomic(struct mail *) inbox; /* newest first */
	_Atomic bool asleep;          /* nobody will look into it soon */
	int wake_fd;
	struct event *wake;
	loop_mail_fn *on_mail;
	void *arg;
	struct task_list soon;
	struct task_list slow;
	struct timer_list starved; /* those that no event could be had for */
	unsigned slow_max;
	uint32_t round; /* of running tasks */
	struct loop_grave *graves;
	bool stopping;
	struct signal_hook signals[SIGNALS_MAX];
	size_t signal_count;
	uint8_t *scratch;
	struct stamp stamp;
};

/* The mail itself is read at the end of the events. */
static void
on_wake(evutil_socket_t fd, short events, void *arg)
{
	uint64_t count;
	ssize_t n;

	(void)events;
	(void)arg;
	n = read(fd, &count, sizeof(count));
	(void)n;
}

static void
read_mail(struct loop *l)
{
	struct mail *mail, *next;

	if (atomic_load_explicit(&l->inbox, memory_order_relaxed) == NULL)
		return;
	for (mail = loop_take(l); mail != NULL; mail = next) {
		next = mail->next;
		l->on_mail(l->arg, mail);
	}
}

/* Events come in: mail needs nobody to wake us for it. */
static void
awake(struct loop *l)
{
	if (atomic_load_explicit(&l->asleep, memory_order_relaxed))
		atomic_store_explicit(&l->asleep, false, memory_order_relaxed);
}

/* True: from now on, who posts wakes us.  Either he sees that we sleep, or we
 * see his mail; thus the order of all, here and in loop_post(). */
static bool
fall_asleep(struct loop *l)
{
	atomic_store(&l->asleep, true);
	if (atomic_load(&l->inbox) == NULL)
		return true;
	awake(l);
	return false;
}

int
loop_new(struct loop **out, loop_mail_fn *on_mail, void *arg, struct err *err)
{
	struct event_config *config = NULL;
	struct loop *l;
	int rc = -1;

	*out = NULL;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_MEMORY, "no memory for an event loop");
	l->wake_fd = -1;
	l->on_mail = on_mail;
	l->arg = arg;
	l->slow_max = SLOW_DEFAULT;
	TAILQ_INIT(&l->soon);
	TAILQ_INIT(&l->slow);
	LIST_INIT(&l->starved);
	atomic_init(&l->inbox, NULL);
	config = event_config_new();
	l->scratch = malloc(LOOP_SCRATCH_LEN);
	if (config == NULL || l->scratch == NULL) {
		err_set(err, ERR_MEMORY, "no memory for an event loop");
		goto out;
	}
	/* Mail is the only thing that crosses threads, and it has no lock. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	l->base = event_base_new_with_config(config);
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->base == NULL || l->wake_fd < 0) {
		err_set(err, ERR_IO, "event loop: %s", strerror(errno));
		goto out;
	}
	l->wake =
	    event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
	if (l->wake == NULL || event_add(l->wake, NULL) != 0) {
		err_set(err, ERR_MEMORY, "no memory for an event loop");
		goto out;
	}
	*out = l;
	l = NULL;
	rc = 0;
out:
	if (config != NULL)
		event_config_free(config);
	loop_free(l);
	return rc;
}

static void
bury_all(struct loop *l)
{
	struct loop_grave *g;

	while ((g = l->graves) != NULL) {
		l->graves = g->next;
		g->fn(g->arg);
	}
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	bury_all(l);
	for (size_t i = 0; i < l->signal_count; i++)
		event_free(l->signals[i].event);
	if (l->wake != NULL)
		event_free(l->wake);
	if (l->base != NULL)
		event_base_free(l->base);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	free(l->scratch);
	free(l);
}

/* Run what was queued before round ${l->round}, at most ${max} of it. */
static void
run_tasks(struct loop *l, struct task_list *from, size_t max)
{
	struct loop_task *t;

	l->round++;
	for (size_t i = 0; i < max; i++) {
		t = TAILQ_FIRST(from);
		if (t == NULL || t->round == l->round)
			return;
		loop_task_cancel(t);
		t->fn(t->arg);
	}
}

/* Tasks queued by tasks run too, but not for ever. */
static void
run_soon(struct loop *l)
{
	for (int i = 0; i < SOON_ROUNDS && !TAILQ_EMPTY(&l->soon); i++)
		run_tasks(l, &l->soon, SIZE_MAX);
}

static void
feed(struct loop_timer *t)
{
	if (t->starved.le_prev != NULL)
		LIST_REMOVE(t, starved);
	t->starved.le_prev = NULL;
}

static void
fire(struct loop_timer *t)
{
	if (t->due_ms == 0)
		return;
	t->due_ms = 0;
	t->fn(t->arg);
}

/* Closing early beats staying for ever.  Who starves again waits a turn. */
static void
run_starved(struct loop *l)
{
	struct timer_list now = l->starved;
	struct loop_timer *t;

	if (LIST_EMPTY(&now))
		return;
	LIST_INIT(&l->starved);
	LIST_FIRST(&now)->starved.le_prev = &now.lh_first;
	while ((t = LIST_FIRST(&now)) != NULL) {
		feed(t);
		fire(t);
	}
}

int
loop_run(struct loop *l, struct err *err)
{
	while (!l->stopping) {
		int flags = EVLOOP_ONCE;

		if (!TAILQ_EMPTY(&l->soon) || !TAILQ_EMPTY(&l->slow) ||
		    !LIST_EMPTY(&l->starved) || !fall_asleep(l))
			flags |= EVLOOP_NONBLOCK;
		if (event_base_loop(l->base, flags) < 0)
			return err_set(
			    err, ERR_IO, "event loop: %s", strerror(errno));
		awake(l);
		read_mail(l);
		run_starved(l);
		run_soon(l);
		run_tasks(l, &l->slow, l->slow_max);
		run_soon(l);
		bury_all(l);
	}
	return 0;
}

void
loop_stop(struct loop *l)
{
	l->stopping = true;
}

void
loop_slow_max(struct loop *l, unsigned n)
{
	l->slow_max = n;
}

void
loop_post(struct loop *l, struct mail *mail)
{
	static const uint64_t one = 1;
	struct mail *head;
	ssize_t n;

	head = atomic_load_explicit(&l->inbox, memory_order_relaxed);
	do {
		mail->next = head;
	} while (!atomic_compare_exchange_weak(&l->inbox, &head, mail));
	if (head != NULL || !atomic_exchange(&l->asleep, false))
		return;
	/* Cannot fail but by overflow, and then the loop is awake. */
	n = write(l->wake_fd, &one, sizeof(one));
	(void)n;
}

struct mail *
loop_take(struct loop *l)
{
	struct mail *mail, *next, *sorted = NULL;

	mail = atomic_exchange_explicit(&l->inbox, NULL, memory_order_acquire);
	for (; mail != NULL; mail = next) {
		next = mail->next;
		mail->next = sorted;
		sorted = mail;
	}
	return sorted;
}

uint8_t *
loop_scratch(struct loop *l)
{
	return l->scratch;
}

const struct stamp *
loop_stamp(struct loop *l)
{
	stamp_set(&l->stamp, (int64_t)(clock_wall_ms() / 1000));
	return &l->stamp;
}

static void
on_fd(evutil_socket_t fd, short events, void *arg)
{
	struct loop_fd *w = arg;
	unsigned got = 0;

	(void)fd;
	awake(w->loop);
	if (events & EV_READ)
		got |= LOOP_READ;
	if (events & EV_WRITE)
		got |= LOOP_WRITE;
	w->fn(w->arg, got);
}

int
loop_fd_init(struct loop_fd *w, struct loop *l, int fd,
    void (*fn)(void *arg, unsigned events), void *arg, struct err *err)
{
	*w = (struct loop_fd){ .loop = l, .fd = fd, .fn = fn, .arg = arg };
	w->event = event_new(l->base, fd, EV_READ | EV_PERSIST, on_fd, w);
	if (w->event == NULL)
		return err_set(err, ERR_MEMORY, "no memory for an event");
	return 0;
}

void
loop_fd_want(struct loop_fd *w, unsigned wants)
{
	short events = EV_PERSIST;

	if (w->event == NULL || wants == w->wants)
		return;
	event_del(w->event);
	w->wants = wants;
	if (wants == 0)
		return;
	if (wants & LOOP_READ)
		events |= EV_READ;
	if (wants & LOOP_WRITE)
		events |= EV_WRITE;
	event_assign(w->event, w->loop->base, w->fd, events, on_fd, w);
	event_add(w->event, NULL);
}

void
loop_fd_free(struct loop_fd *w)
{
	if (w->event != NULL)
		event_free(w->event);
	w->event = NULL;
	w->wants = 0;
}

static void
arm(struct loop_timer *t, uint64_t now)
{
	uint64_t ms = t->due_ms > now ? t->due_ms - now : 0;
	struct timeval tv = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	if (event_add(t->event, &tv) != 0)
		event_active(t->event, EV_TIMEOUT, 0);
	t->armed_ms = t->due_ms;
}

static void
on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct loop_timer *t = arg;
	uint64_t now = clock_ms();

	(void)fd;
	(void)events;
	t->armed_ms = 0;
	if (t->due_ms > now)
		arm(t, now);
	else
		fire(t);
}

void
loop_timer_init(
    struct loop_timer *t, struct loop *l, void (*fn)(void *arg), void *arg)
{
	*t = (struct loop_timer){ .loop = l, .fn = fn, .arg = arg };
}

void
loop_timer_set(struct loop_timer *t, uint64_t ms)
{
	uint64_t now = clock_ms();

	t->due_ms = now + ms;
	if (t->event == NULL) {
		t->event = event_new(t->loop->base, -1, 0, on_timer, t);
		if (t->event == NULL) {
			/* Not here: who sets a timer is not done yet. */
			feed(t);
			LIST_INSERT_HEAD(&t->loop->starved, t, starved);
			return;
		}
	}
	if (t->armed_ms != 0 && t->armed_ms <= t->due_ms)
		return;
	arm(t, now);
}

void
loop_timer_cancel(struct loop_timer *t)
{
	/* The event may still fire, and finds nothing due. */
	t->due_ms = 0;
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t->event != NULL)
		event_free(t->event);
	feed(t);
	t->event = NULL;
	t->due_ms = 0;
	t->armed_ms = 0;
}

void
loop_task_init(struct loop_task *t, void (*fn)(void *arg), void *arg)
{
	*t = (struct loop_task){ .fn = fn, .arg = arg };
}

void
loop_soon(struct loop *l, struct loop_task *t)
{
	if (t->loop != NULL)
		return;
	t->loop = l;
	t->round = l->round;
	t->slow = false;
	TAILQ_INSERT_TAIL(&l->soon, t, link);
}

void
loop_slowly(struct loop *l, struct loop_task *t)
{
	if (t->loop != NULL)
		return;
	t->loop = l;
	t->round = l->round;
	t->slow = true;
	TAILQ_INSERT_TAIL(&l->slow, t, link);
}

void
loop_task_cancel(struct loop_task *t)
{
	if (t->loop == NULL)
		return;
	if (t->slow)
		TAILQ_REMOVE(&t->loop->slow, t, link);
	else
		TAILQ_REMOVE(&t->loop->soon, t, link);
	t->loop = NULL;
}

void
loop_bury(
    struct loop *l, struct loop_grave *g, void (*fn)(void *arg), void *arg)
{
	g->fn = fn;
	g->arg = arg;
	g->next = l->graves;
	l->graves = g;
}

static void
on_signal(evutil_socket_t signo, short events, void *arg)
{
	struct signal_hook *hook = arg;

	(void)signo;
	(void)events;
	hook->fn(hook->arg);
}

int
loop_signal(struct loop *l, int signo, void (*fn)(void *arg), void *arg,
    struct err *err)
{
	struct signal_hook *hook;

	assert(l->signal_count < SIGNALS_MAX);
	hook = &l->signals[l->signal_count];
	hook->fn = fn;
	hook->arg = arg;
	hook->event = evsignal_new(l->base, signo, on_signal, hook);
	if (hook->event == NULL || event_add(hook->event, NULL) != 0) {
		if (hook->event != NULL)
			event_free(hook->event);
		return err_set(err, ERR_MEMORY, "no memory for a signal");
	}
	l->signal_count++;
	return 0;
}
