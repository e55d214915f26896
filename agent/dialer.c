#include "agent/dialer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/backoff.h"
#include "agent/link.h"
#include "agent/plain.h"
#include "common/log.h"

#define GREETING_MS 30000 /* from dialling to ready */
#define STOP_MS 3000      /* for open streams, when we end */
#define SLEEP_MS 2000     /* boot time ahead of monotonic time: a suspend */
#define NEVER INT64_MAX

struct dialer {
	struct dialer_options options;
	struct link_config config;
	struct ws_net *net;
	struct worker *worker;
	struct link *current; /* serves, or is about to */
	struct link *next;    /* takes over when it is ready */
	struct link *old;     /* finishes its streams */
	struct backoff backoff;
	int64_t dial_at_ms; /* NEVER: a link is there */
	int64_t started_ms; /* of the youngest try */
	int64_t ready_ms;   /* of the current link; 0: never */
	int64_t stop_at_ms; /* 0: not asked to */
	int64_t asleep_ms;  /* boot time less monotonic time, last seen */
	uint64_t last_id;
	int rc;
	_Atomic bool stop;
	_Atomic bool renamed; /* worker_names() changed */
	pthread_mutex_t lock; /* the status */
	struct dialer_status status;
};

static const char *const state_names[] = {
	[DIALER_WAITING] = "waiting",
	[DIALER_CONNECTING] = "connecting",
	[DIALER_READY] = "ready",
	[DIALER_STOPPED] = "stopped",
};

const char *
dialer_state_name(enum dialer_state s)
{
	return state_names[s];
}

static int64_t
now_ms(const struct dialer *d)
{
	return times_boot_ms(&d->options.clock);
}

static void
set_state(struct dialer *d, enum dialer_state state, const char *why)
{
	(void)pthread_mutex_lock(&d->lock);
	if (d->status.state != state || state == DIALER_WAITING)
		d->status.since_wall_ms = times_wall_ms(&d->options.clock);
	d->status.state = state;
	if (why != NULL) {
		(void)snprintf(d->status.last_error,
		    sizeof(d->status.last_error), "%s", why);
		(void)plain(d->status.last_error);
	}
	(void)pthread_mutex_unlock(&d->lock);
}

static void
set_facts(struct dialer *d, const struct link *l)
{
	const struct link_facts *f = link_facts(l);

	(void)pthread_mutex_lock(&d->lock);
	memcpy(d->status.relay_name, f->relay_name, sizeof(f->relay_name));
	memcpy(d->status.tenant, f->tenant, sizeof(f->tenant));
	d->status.binding = f->binding;
	d->status.session_number = f->session_number;
	d->status.skew_ms = f->skew_ms;
	d->status.claimed = f->claimed;
	d->status.denied = f->denied;
	d->status.standby = f->standby;
	(void)pthread_mutex_unlock(&d->lock);
}

static void
stop_for_good(struct dialer *d, const char *why)
{
	log_error(NULL, "stopped: %s", why);
	set_state(d, DIALER_STOPPED, why);
	d->rc = -1;
	d->dial_at_ms = NEVER;
	ws_net_stop(d->net);
}

static uint32_t
next_wait(struct dialer *d)
{
	uint32_t random = 0;

	(void)secret_random(&random, sizeof(random), NULL);
	return backoff_next(&d->backoff, random);
}

static void
wait_and_dial(struct dialer *d, const char *why)
{
	uint32_t wait = next_wait(d);

	/* A GOAWAY may have set an earlier time already. */
	if (d->dial_at_ms < now_ms(d) + wait)
		wait = d->dial_at_ms > now_ms(d)
		    ? (uint32_t)(d->dial_at_ms - now_ms(d))
		    : 0;
	d->dial_at_ms = now_ms(d) + wait;
	set_state(d, DIALER_WAITING, why);
	(void)pthread_mutex_lock(&d->lock);
	d->status.retry_ms = wait;
	(void)pthread_mutex_unlock(&d->lock);
	ws_net_tick(d->net);
	log_info(NULL, "tunnel: %s; next try in %u.%03u s", why, wait / 1000,
	    wait % 1000);
}

static void
dial(struct dialer *d)
{
	struct err err = { 0 };
	struct link *l;

	d->dial_at_ms = NEVER;
	d->started_ms = now_ms(d);
	l = link_dial(d->net, &d->config, ++d->last_id, &err);
	if (l == NULL) {
		if (d->current == NULL)
			wait_and_dial(d, err.msg);
		else
			d->dial_at_ms = now_ms(d) + next_wait(d);
		return;
	}
	(void)pthread_mutex_lock(&d->lock);
	d->status.tunnels++;
	(void)pthread_mutex_unlock(&d->lock);
	if (d->current != NULL) {
		d->next = l; /* make before break */
		return;
	}
	d->current = l;
	set_state(d, DIALER_CONNECTING, NULL);
	log_debug(NULL, "tunnel: dialling %s", d->options.ws.url);
}

static void
on_ready(void *arg, struct link *l)
{
	const struct link_facts *f = link_facts(l);
	struct dialer *d = arg;

	if (l == d->next) {
		if (d->old != NULL)
			link_close(d->old, TUNNEL_CLOSE_OK, "done");
		d->old = d->current;
		d->current = d->next;
		d->next = NULL;
		if (d->old != NULL)
			link_retire(d->old);
	}
	d->ready_ms = now_ms(d);
	set_facts(d, l);
	set_state(d, DIALER_READY, "");
	log_info(NULL, "ready: relay %s, %zu VMs claimed%s", d->options.ws.url,
	    f->claimed,
	    f->binding ? "" : " (channel-binding is off at the relay)");
	if (f->denied > 0)
		log_warn(NULL, "%zu claims were denied", f->denied);
}

static void
on_changed(void *arg, struct link *l)
{
	struct dialer *d = arg;

	if (l == d->current)
		set_facts(d, l);
}

/* 12.5: a new tunnel inside the window, before the old one is left. */
static void
on_goaway(void *arg, struct link *l, const struct frame_goaway *goaway)
{
	uint32_t spread = goaway->reconnect_max_ms > goaway->reconnect_min_ms
	    ? goaway->reconnect_max_ms - goaway->reconnect_min_ms
	    : 0;
	struct dialer *d = arg;
	int64_t lived = d->ready_ms != 0 ? now_ms(d) - d->ready_ms : 0;
	uint32_t random = 0;
	int64_t wait;

	if (l != d->current || goaway->code == FRAME_GOAWAY_SUPERSEDED) {
		log_info(NULL, "tunnel: the relay has a newer one of this key");
		return;
	}
	(void)secret_random(&random, sizeof(random), NULL);
	wait = goaway->reconnect_min_ms +
	    (int64_t)(((uint64_t)random * (spread + 1)) >> 32);
	/* A relay that sends every tunnel away would have us dial without a
	 * pause. */
	if (!backoff_moves(&d->backoff, lived))
		wait += next_wait(d);
	d->dial_at_ms = now_ms(d) + wait;
	ws_net_tick(d->net);
	log_info(NULL, "tunnel: the relay is going away (code %u); moving",
	    goaway->code);
}

/* Not worth another try: we would get the same answer. */
static const char *
final_word(unsigned code)
{
	switch (code) {
	case TUNNEL_CLOSE_UNTRUSTED:
		return "the relay does not know this agent's key, or has "
		       "revoked it (4402): have it put into relay.yaml "
		       "(attest-agent key show)";
	case TUNNEL_CLOSE_SUPERSEDED:
		return "another agent with this key has taken over (4409)";
	case TUNNEL_CLOSE_UPGRADE:
		return "the relay wants a newer attest-agent (4426)";
	default:
		return NULL;
	}
}

static void
current_over(struct dialer *d, unsigned code, const char *why)
{
	char words[200];

	if (d->ready_ms != 0)
		backoff_ended(&d->backoff, now_ms(d) - d->ready_ms);
	d->ready_ms = 0;
	d->current = d->next; /* if there is one, it takes over */
	d->next = NULL;
	if (d->current != NULL) {
		set_state(d,
		    link_is_ready(d->current) ? DIALER_READY
					      : DIALER_CONNECTING,
		    why);
		return;
	}
	if (d->stop_at_ms != 0) {
		ws_net_stop(d->net);
		return;
	}
	if (final_word(code) != NULL) {
		stop_for_good(d, final_word(code));
		return;
	}
	(void)snprintf(words, sizeof(words), "%.150s (%u)", why, code);
	wait_and_dial(d, words);
}

static void
on_over(void *arg, struct link *l, unsigned code, const char *why)
{
	struct dialer *d = arg;

	if (l == d->old)
		d->old = NULL;
	else if (l == d->current)
		current_over(d, code, why);
	else if (l == d->next) {
		d->next = NULL;
		/* Still served by the current one; try again later. */
		if (d->stop_at_ms == 0)
			d->dial_at_ms = now_ms(d) + next_wait(d);
	}
	link_free(l);
}

/* After a suspend the tunnel is dead, even if TCP will not say so for long. */
static void
check_sleep(struct dialer *d)
{
	struct timespec mono = { 0 };
	struct timespec boot = { 0 };
	int64_t asleep;

	(void)clock_gettime(CLOCK_MONOTONIC, &mono);
	(void)clock_gettime(CLOCK_BOOTTIME, &boot);
	asleep = (boot.tv_sec - mono.tv_sec) * 1000 +
	    (boot.tv_nsec - mono.tv_nsec) / 1000000;
	if (asleep - d->asleep_ms > SLEEP_MS && d->current != NULL) {
		log_info(NULL, "tunnel: woke up after %lld s, dialling anew",
		    (long long)((asleep - d->asleep_ms) / 1000));
		d->backoff.tries = 0;
		link_close(d->current, TUNNEL_CLOSE_LOST, "suspended");
	}
	d->asleep_ms = asleep;
}

static void
begin_stop(struct dialer *d, int64_t now)
{
	d->stop_at_ms = now + STOP_MS;
	d->dial_at_ms = NEVER;
	if (d->next != NULL)
		link_close(d->next, TUNNEL_CLOSE_OK, "ending");
	if (d->current != NULL)
		link_retire(d->current);
	else
		ws_net_stop(d->net);
}

/* Time goes by for one link, which must not take for ever to get ready. */
static void
tick_link(struct dialer *d, struct link *l, int64_t now, int64_t *next)
{
	int64_t due;

	if (l == NULL)
		return;
	due = link_tick(l);
	if (due < *next)
		*next = due;
	if (l != d->old && !link_is_ready(l) &&
	    now - d->started_ms > GREETING_MS)
		link_close(l, TUNNEL_CLOSE_LOST, "no answer in time");
}

static uint32_t
on_tick(void *arg)
{
	struct dialer *d = arg;
	int64_t now = now_ms(d);
	int64_t next = now + WS_NET_STEP_MS;

	check_sleep(d);
	tick_link(d, d->current, now, &next);
	tick_link(d, d->next, now, &next);
	tick_link(d, d->old, now, &next);
	if (d->stop && d->stop_at_ms == 0)
		begin_stop(d, now);
	if (d->stop_at_ms != 0 && now >= d->stop_at_ms)
		ws_net_stop(d->net);
	if (now >= d->dial_at_ms && d->next == NULL)
		dial(d);
	if (d->dial_at_ms < next)
		next = d->dial_at_ms;
	return next > now ? (uint32_t)(next - now) : 0;
}

static struct link *
find_link(const struct dialer *d, uint64_t id)
{
	struct link *const all[] = { d->current, d->old, d->next };
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i] != NULL && link_id(all[i]) == id)
			return all[i];
	return NULL;
}

static void
on_woken(void *arg)
{
	struct dialer *d = arg;
	struct worker_job *jobs =
	    d->worker != NULL ? worker_take(d->worker) : NULL;
	uint64_t answers = 0;

	while (jobs != NULL) {
		struct worker_job *job = jobs;
		struct link *l = find_link(d, job->link);

		jobs = job->next;
		/* The tunnel is gone: what was done is stored for a repeat. */
		if (l != NULL)
			link_answer(l, job);
		worker_job_free(job);
		answers++;
	}
	if (d->renamed) {
		d->renamed = false;
		if (d->current != NULL)
			link_claim(d->current);
	}
	if (answers > 0) {
		(void)pthread_mutex_lock(&d->lock);
		d->status.answers += answers;
		(void)pthread_mutex_unlock(&d->lock);
	}
	if (d->stop && d->stop_at_ms == 0)
		begin_stop(d, now_ms(d));
}

static void
wake_answered(void *arg)
{
	struct dialer *d = arg;

	ws_net_wake(d->net);
}

static void
wake_registered(void *arg)
{
	struct dialer *d = arg;

	d->renamed = true;
	ws_net_wake(d->net);
}

struct worker_ops
dialer_worker_ops(struct dialer *d)
{
	return (struct worker_ops){ wake_answered, wake_registered, d };
}

int
dialer_new(
    struct dialer **out, const struct dialer_options *options, struct err *err)
{
	struct dialer *d = calloc(1, sizeof(*d));
	struct ws_ops ops = link_ws_ops();

	if (d == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the dialer");
	(void)pthread_mutex_init(&d->lock, NULL);
	d->options = *options;
	d->config = (struct link_config){
		.key = options->key,
		.clock = options->clock,
		.relay_name = options->relay_name,
		.allow_no_binding = options->allow_no_binding,
		.ready = on_ready,
		.changed = on_changed,
		.goaway = on_goaway,
		.over = on_over,
		.arg = d,
	};
	ops.tick = on_tick;
	ops.woken = on_woken;
	d->status.state = DIALER_WAITING;
	if (secret_random(d->config.boot_id, sizeof(d->config.boot_id), err) !=
		0 ||
	    ws_net_new(&d->net, &options->ws, &ops, d, err) != 0) {
		dialer_free(d);
		return -1;
	}
	*out = d;
	return 0;
}

void
dialer_set_worker(struct dialer *d, struct worker *w)
{
	d->worker = w;
	d->config.worker = w;
}

int
dialer_run(struct dialer *d)
{
	d->dial_at_ms = 0;
	check_sleep(d);
	ws_net_run(d->net);
	return d->rc;
}

void
dialer_stop(struct dialer *d)
{
	d->stop = true;
	ws_net_wake(d->net);
}

void
dialer_get_status(struct dialer_status *out, struct dialer *d)
{
	(void)pthread_mutex_lock(&d->lock);
	*out = d->status;
	(void)pthread_mutex_unlock(&d->lock);
}

void
dialer_free(struct dialer *d)
{
	if (d == NULL)
		return;
	/* Links that are left are told their end, and free themselves. */
	d->stop_at_ms = 1;
	ws_net_free(d->net);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
}
