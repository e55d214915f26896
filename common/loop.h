#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/*
 * One thread's event loop.  A turn is: events of descriptors and timers; then
 * mail; then all tasks of loop_soon(), where connections write what the turn
 * produced in one go; then at most a few of loop_slowly(), where TLS
 * handshakes take a step, so that a storm of them never starves what is
 * established; last the burials, when no callback is on the stack.
 *
 * Everything here belongs to the thread that runs the loop, but loop_post().
 */

struct loop;
struct event;

#define LOOP_READ 0x01u
#define LOOP_WRITE 0x02u

/* Mail between threads; embed it first in a message. */
struct mail {
	struct mail *next;
};

typedef void loop_mail_fn(void *arg, struct mail *mail);

/**
 * loop_new(out, on_mail, arg, err):
 * A loop whose mail goes to ${on_mail}, in the order in which each sender
 * posted it.  errors ERR_IO, ERR_MEMORY
 */
int loop_new(
    struct loop **out, loop_mail_fn *on_mail, void *arg, struct err *err);

/** loop_free(l): after loop_run() came back; unread mail must be taken. */
void loop_free(struct loop *l);

/** loop_run(l, err): turns until loop_stop().  errors ERR_IO */
int loop_run(struct loop *l, struct err *err);

/** loop_stop(l): this turn is the last one. */
void loop_stop(struct loop *l);

/** loop_slow_max(l, n): at most ${n} slow tasks a turn (default 8). */
void loop_slow_max(struct loop *l, unsigned n);

/**
 * loop_post(l, mail):
 * Give ${mail} to the loop's thread.  Safe from every thread, lock-free; a
 * system call only if the loop waits for events, and nobody has woken it yet.
 */
void loop_post(struct loop *l, struct mail *mail);

/** loop_take(l): unread mail, oldest first, of a loop that does not run. */
struct mail *loop_take(struct loop *l);

/** loop_stamp(l): the present second, in words. */
struct stamp;
const struct stamp *loop_stamp(struct loop *l);

/* A buffer that all connections of a thread read into. */
#define LOOP_SCRATCH_LEN 65536
uint8_t *loop_scratch(struct loop *l);

/*
 * A watched descriptor.  ${fn} gets LOOP_READ, LOOP_WRITE or both.
 */
struct loop_fd {
	struct loop *loop;
	struct event *event; /* owned */
	int fd;              /* borrowed */
	unsigned wants;
	void (*fn)(void *arg, unsigned events);
	void *arg;
};

/** loop_fd_init(w, l, fd, fn, arg, err): watches nothing yet. */
int loop_fd_init(struct loop_fd *w, struct loop *l, int fd,
    void (*fn)(void *arg, unsigned events), void *arg, struct err *err);

/** loop_fd_want(w, wants): the events to be told of; 0 for none. */
void loop_fd_want(struct loop_fd *w, unsigned wants);

/** loop_fd_free(w): no callback follows.  The descriptor stays open. */
void loop_fd_free(struct loop_fd *w);

/* Work for the end of a turn. */
struct loop_task {
	TAILQ_ENTRY(loop_task) link;
	struct loop *loop; /* NULL: not queued */
	uint32_t round;    /* in which it was queued */
	bool slow;
	void (*fn)(void *arg);
	void *arg;
};

/*
 * A timer for one firing.  Moving it to a later time, as idle timers do with
 * each byte, costs no more than a store.
 */
struct loop_timer {
	struct loop *loop;
	struct event *event; /* owned; NULL until first set */
	uint64_t due_ms;     /* 0: not set */
	uint64_t armed_ms;   /* when the event fires; 0: it does not */
	LIST_ENTRY(loop_timer) starved; /* without memory for an event */
	void (*fn)(void *arg);
	void *arg;
};

void loop_timer_init(
    struct loop_timer *t, struct loop *l, void (*fn)(void *arg), void *arg);

/** loop_timer_set(t, ms): fire once, ${ms} from now, instead of any earlier
 * plan.  Without memory for it, it fires at the end of this turn, and never from
 * inside this call. */
void loop_timer_set(struct loop_timer *t, uint64_t ms);

/** loop_timer_cancel(t): no callback follows. */
void loop_timer_cancel(struct loop_timer *t);

/** loop_timer_free(t): cancel, and give the memory back; may be set again. */
void loop_timer_free(struct loop_timer *t);

void loop_task_init(struct loop_task *t, void (*fn)(void *arg), void *arg);
/** loop_soon(l, t): at the end of this turn; queued already: nothing. */
void loop_soon(struct loop *l, struct loop_task *t);
/** loop_slowly(l, t): in this turn or a later one, in order of arrival. */
void loop_slowly(struct loop *l, struct loop_task *t);
/** loop_task_cancel(t): no callback follows. */
void loop_task_cancel(struct loop_task *t);

/* What is closed is freed between turns. */
struct loop_grave {
	struct loop_grave *next;
	void (*fn)(void *arg);
	void *arg;
};

/** loop_bury(l, g, fn, arg): call ${fn} when no callback is on the stack. */
void loop_bury(
    struct loop *l, struct loop_grave *g, void (*fn)(void *arg), void *arg);

/** loop_signal(l, signo, fn, arg, err): ${fn} for each ${signo}, while the
 * loop runs.  For the main thread's loop only. */
int loop_signal(struct loop *l, int signo, void (*fn)(void *arg), void *arg,
    struct err *err);

#endif
