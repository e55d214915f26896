#include "tests/bench/driver/commands.h"

#include "common/clock.h"
#include "tests/bench/driver/cpu.h"
#include "tests/bench/driver/histogram.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

/*
 * Hosts.  Closed loop: each connection asks again as soon as it is answered.
 * Open loop: requests are due at fixed times, whatever has become of those
 * before, and latency counts from the time at which one was due, so that a
 * slow server cannot slow down its own judge.
 */

#define AGAIN_MS 5 /* after a lost connection */

struct slot {
	STAILQ_ENTRY(slot) idle;
	struct load *load;
	struct host *host;
	uint64_t due_us;
	struct loop_timer again;
};

STAILQ_HEAD(slot_list, slot);

struct load {
	const struct options *o;
	struct loop *loop;
	struct host_target target;
	struct slot *slots;
	struct slot_list idle; /* open loop */
	uint64_t *due;         /* open loop: ring of requests that wait */
	size_t due_size;       /* power of two */
	size_t due_head;
	size_t due_tail;
	uint64_t next_us; /* open loop: when the next one is due */
	int timer_fd;
	struct loop_fd timer;
	struct loop_timer phase; /* end of warm-up, end */
	uint32_t next_vm;
	bool counting;
	bool ending;
	uint32_t busy;
	uint64_t began_us;
	uint64_t ended_us;
	uint64_t results[HOST_RESULTS];
	unsigned status; /* of the last one refused */
	uint64_t cpu_us[PIDS_MAX];
	struct histogram us;
};

static uint32_t
pick_vm(struct load *l)
{
	uint32_t vm = l->o->first + l->next_vm;

	l->next_vm = (l->next_vm + 1) % l->o->count;
	return vm;
}

static void
ask(struct slot *s, uint64_t due_us)
{
	s->due_us = due_us;
	s->load->busy++;
	host_post(s->host, pick_vm(s->load));
}

static void
ask_again(void *arg)
{
	struct slot *s = arg;

	if (!s->load->ending)
		ask(s, clock_us());
}

/* Open loop: the oldest request that waits, else wait for one. */
static void
serve_next(struct slot *s)
{
	struct load *l = s->load;

	if (l->due_head == l->due_tail)
		STAILQ_INSERT_HEAD(&l->idle, s, idle);
	else
		ask(s, l->due[l->due_head++ & (l->due_size - 1)]);
}

static void
on_done(void *arg, struct host *h, enum host_result result)
{
	struct slot *s = arg;
	struct load *l = s->load;
	uint64_t now = clock_us();

	l->busy--;
	if (l->counting && s->due_us >= l->began_us) {
		l->results[result]++;
		if (result == HOST_REFUSED)
			l->status = host_status(h);
		if (result == HOST_OK)
			histogram_add(&l->us, now - s->due_us);
	}
	if (l->ending) {
		if (l->busy == 0)
			loop_stop(l->loop);
	} else if (l->o->rate > 0) {
		serve_next(s);
	} else if (result == HOST_LOST) {
		loop_timer_set(&s->again, AGAIN_MS);
	} else {
		ask(s, now);
	}
}

static void
add_due(struct load *l, uint64_t due_us)
{
	struct slot *s = STAILQ_FIRST(&l->idle);

	if (s != NULL) {
		STAILQ_REMOVE_HEAD(&l->idle, idle);
		ask(s, due_us);
		return;
	}
	if (l->due_tail - l->due_head == l->due_size) {
		/* Nobody has served it for as long as the ring is. */
		l->results[HOST_LOST] += l->counting;
		return;
	}
	l->due[l->due_tail++ & (l->due_size - 1)] = due_us;
}

static void
arm(struct load *l)
{
	struct itimerspec at = {
		.it_value = { .tv_sec = (time_t)(l->next_us / 1000000),
		    .tv_nsec = (long)(l->next_us % 1000000 * 1000) }
	};

	timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void
on_due(void *arg, unsigned events)
{
	struct load *l = arg;
	uint64_t count, now = clock_us();
	ssize_t n = read(l->timer_fd, &count, sizeof(count));

	(void)events;
	(void)n;
	while (!l->ending && l->next_us <= now) {
		add_due(l, l->next_us);
		l->next_us += 1000000 / l->o->rate;
	}
	if (!l->ending)
		arm(l);
}

static void
on_phase(void *arg)
{
	struct load *l = arg;

	if (!l->counting) {
		l->counting = true;
		l->began_us = clock_us();
		for (uint32_t i = 0; i < l->o->pid_count; i++)
			l->cpu_us[i] = cpu_us(l->o->pids[i]);
		loop_timer_set(&l->phase, l->o->seconds * 1000u);
		return;
	}
	l->ended_us = clock_us();
	for (uint32_t i = 0; i < l->o->pid_count; i++)
		l->cpu_us[i] = cpu_us(l->o->pids[i]) - l->cpu_us[i];
	/* What is under way is judged too: it was due in time. */
	l->ending = true;
	if (l->busy == 0)
		loop_stop(l->loop);
}

static void
report(const struct load *l)
{
	double seconds = (double)(l->ended_us - l->began_us) / 1e6;
	const struct histogram *h = &l->us;

	printf(
	    "{\"ok\":%llu,\"wrong\":%llu,\"refused\":%llu,\"lost\":%llu,\"status\":%u,"
	    "\"seconds\":%.3f,\"rps\":%.1f,\"p50_us\":%llu,"
	    "\"p90_us\":%llu,\"p99_us\":%llu,\"p999_us\":%llu,"
	    "\"max_us\":%llu,\"cpu_us\":[",
	    (unsigned long long)l->results[HOST_OK],
	    (unsigned long long)l->results[HOST_WRONG],
	    (unsigned long long)l->results[HOST_REFUSED],
	    (unsigned long long)l->results[HOST_LOST], l->status, seconds,
	    (double)l->results[HOST_OK] / seconds,
	    (unsigned long long)histogram_at(h, 0.5),
	    (unsigned long long)histogram_at(h, 0.9),
	    (unsigned long long)histogram_at(h, 0.99),
	    (unsigned long long)histogram_at(h, 0.999),
	    (unsigned long long)h->max);
	for (uint32_t i = 0; i < l->o->pid_count; i++)
		printf("%s%llu", i > 0 ? "," : "",
		    (unsigned long long)l->cpu_us[i]);
	printf("]}\n");
}

static int
make_slots(struct load *l, struct err *err)
{
	const struct options *o = l->o;

	STAILQ_INIT(&l->idle);
	l->due_size = 1 << 16;
	l->slots = calloc(o->connections, sizeof(*l->slots));
	l->due = calloc(l->due_size, sizeof(*l->due));
	if (l->slots == NULL || l->due == NULL)
		return err_set(err, ERR_MEMORY, "no memory");
	for (uint32_t i = 0; i < o->connections; i++) {
		struct slot *s = &l->slots[i];

		s->load = l;
		s->host = host_new(&l->target, l->loop, on_done, s);
		if (s->host == NULL)
			return err_set(err, ERR_MEMORY, "no memory");
		loop_timer_init(&s->again, l->loop, ask_again, s);
		if (o->rate > 0)
			STAILQ_INSERT_TAIL(&l->idle, s, idle);
		else
			ask(s, clock_us());
	}
	return 0;
}

static int
start_timer(struct load *l, struct err *err)
{
	if (l->o->rate == 0)
		return 0;
	l->timer_fd =
	    timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (l->timer_fd < 0)
		return err_set(err, ERR_IO, "timerfd: %s", strerror(errno));
	if (loop_fd_init(&l->timer, l->loop, l->timer_fd, on_due, l, err) != 0)
		return -1;
	loop_fd_want(&l->timer, LOOP_READ);
	l->next_us = clock_us() + 10000;
	arm(l);
	return 0;
}

int
command_load(const struct options *o, struct loop *loop, struct err *err)
{
	static struct load l;

	l.o = o;
	l.loop = loop;
	l.target = (struct host_target){ .to = o->to,
		.base = o->base,
		.action = o->action,
		.token = o->token,
		.fresh = o->fresh };
	if (!o->plain &&
	    (l.target.ctx = wire_client_ctx(NULL, NULL, err)) == NULL)
		return -1;
	loop_timer_init(&l.phase, loop, on_phase, &l);
	loop_timer_set(&l.phase, o->warm_ms);
	if (make_slots(&l, err) != 0 || start_timer(&l, err) != 0 ||
	    loop_run(loop, err) != 0)
		return -1;
	report(&l);
	return 0;
}
