#include "agent/net/dialer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/net/backoff.h"
#include "common/log.h"

#define STOP_MS 3000            /* for open streams, when we end */
#define SLEEP_MS 2000           /* boot time ahead of monotonic: a suspend */
#define RESOLVE_AGAIN_MS 300000 /* while nothing else asks for it */
#define NEVER INT64_MAX

/* A relay as the owner names it. */
struct site {
	const struct dialer_relay *relay;
	struct ws_target *target;
	bool by_name; /* the agent itself looks the name up */
	bool asked;   /* the resolver works on it */
	bool told;    /* that there are more addresses than we take */
	struct backoff backoff;
	int64_t ask_at_ms;
	char why[120]; /* of the last look-up that failed */
};

struct dialer {
	struct dialer_options options;
	struct link_config link; /* for all of them */
	struct ws_net *net;
	struct resolver *resolver;
	struct worker *worker;
	struct site sites[DIALER_ENDPOINTS_MAX];
	/* Packed; those of a site need not be neighbours. */
	struct endpoint *endpoints[DIALER_ENDPOINTS_MAX];
	size_t site_of[DIALER_ENDPOINTS_MAX];
	size_t count;
	uint16_t last_slot;
	uint64_t last_link;
	int64_t stop_at_ms; /* 0: not asked to */
	int64_t asleep_ms;  /* boot time less monotonic time, last seen */
	int rc;
	_Atomic bool stop;
	_Atomic bool renamed; /* worker_names() changed */
	pthread_mutex_t lock; /* the status */
	struct dialer_status status;
};

static int64_t
now_ms(const struct dialer *d)
{
	return times_boot_ms(&d->options.clock);
}

/*
 * What status tells.
 */

/* Before its address is known, a relay has no endpoint, but a line. */
static void
describe_site(struct endpoint_status *out, const struct site *site)
{
	*out = (struct endpoint_status){ .state = ENDPOINT_WAITING };
	(void)snprintf(out->url, sizeof(out->url), "%s", site->relay->text);
	(void)snprintf(
	    out->last_error, sizeof(out->last_error), "%s", site->why);
}

static bool
has_endpoint(const struct dialer *d, size_t site)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (d->site_of[i] == site)
			return true;
	return false;
}

/* Which one speaks for all: who is ready, else who is nearest to it. */
static unsigned
merit(enum endpoint_state state)
{
	static const unsigned merits[] = {
		[ENDPOINT_READY] = 4,
		[ENDPOINT_CONNECTING] = 3,
		[ENDPOINT_WAITING] = 2,
		[ENDPOINT_PARKED] = 1,
		[ENDPOINT_STOPPED] = 0,
	};

	return merits[state];
}

static void
publish(struct dialer *d)
{
	struct dialer_status *s = &d->status;
	size_t i;

	(void)pthread_mutex_lock(&d->lock);
	s->count = s->best = s->ready = 0;
	s->tunnels = d->last_link;
	for (i = 0; i < d->count; i++)
		s->relays[s->count++] = *endpoint_status(d->endpoints[i]);
	for (i = 0; i < d->options.relay_count; i++)
		if (!has_endpoint(d, i) && s->count < DIALER_ENDPOINTS_MAX)
			describe_site(&s->relays[s->count++], &d->sites[i]);
	for (i = 0; i < s->count; i++) {
		s->ready += s->relays[i].state == ENDPOINT_READY ? 1 : 0;
		if (merit(s->relays[i].state) > merit(s->relays[s->best].state))
			s->best = i;
	}
	(void)pthread_mutex_unlock(&d->lock);
}

/*
 * Names.
 */

static void
ask(struct dialer *d, size_t at)
{
	struct site *s = &d->sites[at];

	if (!s->by_name || s->asked || d->stop_at_ms != 0)
		return;
	s->ask_at_ms = now_ms(d) + RESOLVE_AGAIN_MS;
	s->asked =
	    resolver_ask(d->resolver, (unsigned)at, s->relay->ws.url.host) == 0;
}

static void on_endpoint(void *arg, struct endpoint *e);

static void
add_endpoint(struct dialer *d, size_t site, const char *address)
{
	struct endpoint_options options = {
		.target = d->sites[site].target,
		.url = d->sites[site].relay->text,
		.address = address,
		.link = d->link,
		.last_link = &d->last_link,
		.changed = on_endpoint,
		.arg = d,
	};
	size_t i;

	for (i = 0; i < d->count; i++)
		if (d->site_of[i] == site &&
		    strcmp(endpoint_status(d->endpoints[i])->address,
			address) == 0)
			return;
	options.link.allow_no_binding |=
	    d->sites[site].relay->ws.url.no_binding;
	if (d->count == DIALER_ENDPOINTS_MAX) {
		if (!d->sites[site].told)
			log_warn(NULL,
			    "tunnel: %s: over %d addresses in all; %s is left "
			    "out",
			    options.url, DIALER_ENDPOINTS_MAX, address);
		d->sites[site].told = true;
		return;
	}
	/* 0 would mean none; a process will not see 65,535 addresses. */
	options.slot = ++d->last_slot;
	d->endpoints[d->count] = endpoint_new(&options, now_ms(d));
	if (d->endpoints[d->count] == NULL)
		return; /* the next look-up tries it again */
	d->site_of[d->count++] = site;
}

/* An address that the name has no more, and that serves us no more. */
static void
drop_stale(struct dialer *d, const struct resolver_answer *a)
{
	size_t at = d->count, i;

	while (at-- > 0) {
		bool listed = false;

		if (d->site_of[at] != a->tag ||
		    !endpoint_is_idle(d->endpoints[at]))
			continue;
		for (i = 0; i < a->count; i++)
			listed |=
			    strcmp(a->addresses[i],
				endpoint_status(d->endpoints[at])->address) ==
			    0;
		if (listed)
			continue;
		endpoint_free(d->endpoints[at]);
		d->count--;
		d->endpoints[at] = d->endpoints[d->count];
		d->site_of[at] = d->site_of[d->count];
	}
}

static void
resolved(struct dialer *d, const struct resolver_answer *a)
{
	struct site *s = &d->sites[a->tag];
	uint32_t random = 0, wait;
	size_t i;

	s->asked = false;
	(void)snprintf(s->why, sizeof(s->why), "%s", a->why);
	if (a->count > 0) {
		s->backoff.tries = 0;
		for (i = 0; i < a->count; i++)
			add_endpoint(d, a->tag, a->addresses[i]);
		drop_stale(d, a);
		return;
	}
	/* What was known before is still the best guess. */
	if (has_endpoint(d, a->tag))
		return;
	(void)secret_random(&random, sizeof(random), NULL);
	wait = backoff_next(&s->backoff, random);
	s->ask_at_ms = now_ms(d) + wait;
	log_info(NULL, "tunnel: %s: %s; next try in %u.%03u s", s->relay->text,
	    a->why, wait / 1000, wait % 1000);
}

/*
 * The end.
 */

static bool
all_idle(const struct dialer *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (!endpoint_is_idle(d->endpoints[i]))
			return false;
	return true;
}

static bool
is_final(const struct endpoint *e)
{
	enum endpoint_state state = endpoint_status(e)->state;

	return state == ENDPOINT_PARKED || state == ENDPOINT_STOPPED;
}

/* An address that never worked is no hope, if another one of the same relay
 * has sent us away. */
static bool
is_hope(const struct dialer *d, size_t at)
{
	size_t i;

	if (is_final(d->endpoints[at]))
		return false;
	if (endpoint_is_proven(d->endpoints[at]))
		return true;
	for (i = 0; i < d->count; i++)
		if (d->site_of[i] == d->site_of[at] &&
		    is_final(d->endpoints[i]))
			return false;
	return true;
}

/* Will any relay ever have us?  If none, why. */
static void
judge_hope(struct dialer *d)
{
	const char *why = NULL;
	size_t i;

	for (i = 0; i < d->count; i++) {
		if (is_hope(d, i))
			return;
		if (is_final(d->endpoints[i]))
			why = endpoint_status(d->endpoints[i])->last_error;
	}
	for (i = 0; i < d->options.relay_count; i++)
		if (!has_endpoint(d, i))
			return;
	if (why == NULL)
		return;
	log_error(NULL, "stopped: %s", why);
	d->rc = -1;
	ws_net_stop(d->net);
}

static void
begin_stop(struct dialer *d)
{
	size_t i;

	d->stop_at_ms = now_ms(d) + STOP_MS;
	for (i = 0; i < d->count; i++)
		endpoint_stop(d->endpoints[i]);
	if (all_idle(d))
		ws_net_stop(d->net);
}

static size_t
index_of(const struct dialer *d, const struct endpoint *e)
{
	size_t i = 0;

	while (d->endpoints[i] != e)
		i++;
	return i;
}

static void
on_endpoint(void *arg, struct endpoint *e)
{
	struct dialer *d = arg;
	size_t i;

	if (d->stop_at_ms != 0) {
		if (all_idle(d))
			ws_net_stop(d->net);
		return;
	}
	if (endpoint_status(e)->state == ENDPOINT_WAITING) {
		/* It may have moved; and with it may have gone what made a
		 * relay prefer it to another way to the same relay. */
		ask(d, d->site_of[index_of(d, e)]);
		for (i = 0; i < d->count; i++)
			endpoint_unpark(d->endpoints[i]);
	}
	publish(d);
	judge_hope(d);
	ws_net_tick(d->net);
}

/*
 * Time, and news from other threads.
 */

/* After a suspend tunnels are dead, even if TCP will not say so for long. */
static void
check_sleep(struct dialer *d)
{
	struct timespec mono = { 0 };
	struct timespec boot = { 0 };
	int64_t asleep;
	size_t i;

	(void)clock_gettime(CLOCK_MONOTONIC, &mono);
	(void)clock_gettime(CLOCK_BOOTTIME, &boot);
	asleep = (boot.tv_sec - mono.tv_sec) * 1000 +
	    (boot.tv_nsec - mono.tv_nsec) / 1000000;
	if (asleep - d->asleep_ms > SLEEP_MS && d->count > 0) {
		log_info(NULL, "tunnel: woke up after %lld s, dialling anew",
		    (long long)((asleep - d->asleep_ms) / 1000));
		for (i = 0; i < d->count; i++)
			endpoint_wake_up(d->endpoints[i]);
	}
	d->asleep_ms = asleep;
}

static uint32_t
on_tick(void *arg)
{
	struct dialer *d = arg;
	int64_t now = now_ms(d);
	int64_t next = now + WS_NET_STEP_MS, due;
	uint64_t dialled = d->last_link;
	size_t i;

	check_sleep(d);
	for (i = 0; i < d->options.relay_count; i++) {
		struct site *s = &d->sites[i];

		if (now >= s->ask_at_ms)
			ask(d, i);
		if (!s->asked && s->ask_at_ms < next)
			next = s->ask_at_ms;
	}
	for (i = 0; i < d->count; i++) {
		due = endpoint_tick(d->endpoints[i], now);
		if (due < next)
			next = due;
	}
	if (d->last_link != dialled)
		publish(d);
	if (d->stop && d->stop_at_ms == 0)
		begin_stop(d);
	if (d->stop_at_ms != 0 && now >= d->stop_at_ms)
		ws_net_stop(d->net);
	return next > now ? (uint32_t)(next - now) : 0;
}

static struct link *
find_link(const struct dialer *d, uint64_t id)
{
	struct link *l = NULL;
	size_t i;

	for (i = 0; l == NULL && i < d->count; i++)
		l = endpoint_link(d->endpoints[i], id);
	return l;
}

static void
take_answers(struct dialer *d)
{
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
		if (job->extend_ms == 0)
			answers++;
		worker_job_free(job);
	}
	if (answers == 0)
		return;
	(void)pthread_mutex_lock(&d->lock);
	d->status.answers += answers;
	(void)pthread_mutex_unlock(&d->lock);
}

static void
take_addresses(struct dialer *d)
{
	struct resolver_answer *a =
	    d->resolver != NULL ? resolver_take(d->resolver) : NULL;
	struct resolver_answer *next;
	bool some = a != NULL;

	for (; a != NULL; a = next) {
		next = a->next;
		if (d->stop_at_ms == 0)
			resolved(d, a);
		free(a);
	}
	if (!some)
		return;
	publish(d);
	ws_net_tick(d->net);
}

static void
on_woken(void *arg)
{
	struct dialer *d = arg;
	size_t i;

	take_answers(d);
	take_addresses(d);
	if (d->renamed) {
		d->renamed = false;
		for (i = 0; i < d->count; i++)
			endpoint_claim(d->endpoints[i]);
	}
	if (d->stop && d->stop_at_ms == 0)
		begin_stop(d);
}

static void
wake(void *arg)
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
	return (struct worker_ops){
		.answered = wake, .registered = wake_registered, .arg = d
	};
}

/* A proxy looks names up by itself, and may know others than we do. */
static int
make_sites(struct dialer *d, struct err *err)
{
	size_t i;

	for (i = 0; i < d->options.relay_count; i++) {
		const struct dialer_relay *relay = &d->options.relays[i];
		struct site *s = &d->sites[i];

		s->relay = relay;
		s->by_name =
		    !relay->ws.url.is_address && relay->ws.proxy == NULL;
		s->ask_at_ms = s->by_name ? 0 : NEVER;
		if (ws_target_new(&s->target, d->net, &relay->ws, err) != 0)
			return -1;
		if (!s->by_name)
			add_endpoint(d, i, "");
	}
	return 0;
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
	d->link = (struct link_config){
		.key = options->key,
		.clock = options->clock,
		.relay_name = options->relay_name,
		.allow_no_binding = options->allow_no_binding,
	};
	ops.tick = on_tick;
	ops.woken = on_woken;
	if (secret_random(d->link.boot_id, sizeof(d->link.boot_id), err) != 0 ||
	    ws_net_new(&d->net, &ops, d, err) != 0 ||
	    resolver_start(&d->resolver, wake, d, err) != 0 ||
	    make_sites(d, err) != 0) {
		dialer_free(d);
		return -1;
	}
	*out = d;
	return 0;
}

void
dialer_set_worker(struct dialer *d, struct worker *w)
{
	size_t i;

	d->worker = w;
	d->link.worker = w;
	for (i = 0; i < d->count; i++)
		endpoint_set_worker(d->endpoints[i], w);
}

int
dialer_run(struct dialer *d)
{
	check_sleep(d);
	publish(d);
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
	size_t i;

	if (d == NULL)
		return;
	/* Links that are left are told their end, and free themselves. */
	d->stop_at_ms = 1;
	for (i = 0; i < d->count; i++)
		endpoint_stop(d->endpoints[i]);
	resolver_stop(d->resolver);
	d->resolver = NULL;
	ws_net_free(d->net);
	for (i = 0; i < d->count; i++)
		endpoint_free(d->endpoints[i]);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
}
