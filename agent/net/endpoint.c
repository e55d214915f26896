#include "agent/net/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/net/backoff.h"
#include "agent/plain.h"
#include "common/log.h"

#define GREETING_MS 30000 /* from dialling to ready */
#define NEVER INT64_MAX

struct endpoint {
	struct endpoint_options options;
	struct link_config config;
	struct link *current; /* serves, or is about to */
	struct link *next;    /* takes over when it is ready */
	struct link *old;     /* finishes its streams */
	size_t link_count;    /* these, and those whose close is on its way */
	struct backoff backoff;
	int64_t dial_at_ms; /* NEVER: a link is there, or none is wanted */
	int64_t started_ms; /* of the youngest try */
	int64_t ready_ms;   /* of the current link; 0: never */
	bool proven;
	bool stopping;
	struct endpoint_status status;
	char name[sizeof(((struct endpoint_status *)0)->url) +
	    RESOLVER_TEXT_LEN + 4]; /* for the log */
};

static const char *const state_names[] = {
	[ENDPOINT_WAITING] = "waiting",
	[ENDPOINT_CONNECTING] = "connecting",
	[ENDPOINT_READY] = "ready",
	[ENDPOINT_PARKED] = "parked",
	[ENDPOINT_STOPPED] = "stopped",
};

const char *
endpoint_state_name(enum endpoint_state s)
{
	return state_names[s];
}

static int64_t
now_of(const struct endpoint *e)
{
	return times_boot_ms(&e->config.clock);
}

static void
set_state(struct endpoint *e, enum endpoint_state state, const char *why)
{
	struct endpoint_status *s = &e->status;

	if (s->state != state || state == ENDPOINT_WAITING)
		s->since_wall_ms = times_wall_ms(&e->config.clock);
	s->state = state;
	if (why != NULL) {
		(void)snprintf(s->last_error, sizeof(s->last_error), "%s", why);
		(void)plain(s->last_error);
	}
}

static void
tell(struct endpoint *e)
{
	e->options.changed(e->options.arg, e);
}

static uint32_t
next_wait(struct endpoint *e)
{
	uint32_t random = 0;

	(void)secret_random(&random, sizeof(random), NULL);
	return backoff_next(&e->backoff, random);
}

static void
wait_and_dial(struct endpoint *e, const char *why)
{
	uint32_t wait = next_wait(e);
	int64_t now = now_of(e);

	/* A GOAWAY may have set an earlier time already. */
	if (e->dial_at_ms < now + wait)
		wait =
		    e->dial_at_ms > now ? (uint32_t)(e->dial_at_ms - now) : 0;
	e->dial_at_ms = now + wait;
	set_state(e, ENDPOINT_WAITING, why);
	e->status.retry_ms = wait;
	log_info(NULL, "tunnel: %s: %s; next try in %u.%03u s", e->name, why,
	    wait / 1000, wait % 1000);
}

static void
dial(struct endpoint *e)
{
	struct err err = { 0 };
	struct link *l;

	e->dial_at_ms = NEVER;
	e->started_ms = now_of(e);
	l = link_dial(e->options.target, e->status.address, &e->config,
	    ++*e->options.last_link, &err);
	if (l == NULL) {
		if (e->current != NULL)
			e->dial_at_ms = now_of(e) + next_wait(e);
		else
			wait_and_dial(e, err.msg);
		return;
	}
	e->link_count++;
	if (e->current != NULL) {
		e->next = l; /* make before break */
		return;
	}
	e->current = l;
	set_state(e, ENDPOINT_CONNECTING, NULL);
	log_debug(NULL, "tunnel: dialling %s", e->name);
}

static void
on_ready(void *arg, struct link *l)
{
	const struct link_facts *f = link_facts(l);
	struct endpoint *e = arg;

	if (l == e->next) {
		if (e->old != NULL)
			link_close(e->old, TUNNEL_CLOSE_OK, "done");
		e->old = e->current;
		e->current = e->next;
		e->next = NULL;
		if (e->old != NULL)
			link_retire(e->old);
	}
	e->ready_ms = now_of(e);
	e->proven = true;
	e->status.facts = *f;
	set_state(e, ENDPOINT_READY, "");
	log_info(NULL, "ready: relay %s, %zu VMs claimed%s", e->name,
	    f->claimed,
	    f->binding ? "" : " (channel-binding is off at the relay)");
	if (f->denied > 0)
		log_warn(NULL, "%zu claims were denied", f->denied);
	tell(e);
}

static void
on_changed(void *arg, struct link *l)
{
	struct endpoint *e = arg;

	if (l != e->current)
		return;
	e->status.facts = *link_facts(l);
	tell(e);
}

/* 12.5: a new tunnel inside the window, before the old one is left. */
static void
on_goaway(void *arg, struct link *l, const struct frame_goaway *goaway)
{
	uint32_t spread = goaway->reconnect_max_ms > goaway->reconnect_min_ms
	    ? goaway->reconnect_max_ms - goaway->reconnect_min_ms
	    : 0;
	struct endpoint *e = arg;
	int64_t lived = e->ready_ms != 0 ? now_of(e) - e->ready_ms : 0;
	uint32_t random = 0;
	int64_t wait;

	if (l != e->current || goaway->code == FRAME_GOAWAY_SUPERSEDED) {
		log_info(NULL,
		    "tunnel: %s: the relay has a newer one of this key",
		    e->name);
		return;
	}
	(void)secret_random(&random, sizeof(random), NULL);
	wait = goaway->reconnect_min_ms +
	    (int64_t)(((uint64_t)random * (spread + 1)) >> 32);
	/* A relay that sends every tunnel away would have us dial without a
	 * pause. */
	if (!backoff_moves(&e->backoff, lived))
		wait += next_wait(e);
	if (!e->stopping)
		e->dial_at_ms = now_of(e) + wait;
	log_info(NULL, "tunnel: %s: the relay is going away (code %u); moving",
	    e->name, goaway->code);
	tell(e);
}

/* Not worth another try by itself: we would get the same answer. */
static const struct final {
	unsigned code;
	enum endpoint_state state;
	const char *words;
} finals[] = {
	{ TUNNEL_CLOSE_UNTRUSTED, ENDPOINT_STOPPED,
	    "the relay does not know this agent's key, or has revoked it "
	    "(4402): have it put into relay.yaml (attest-agent key show)" },
	{ TUNNEL_CLOSE_SUPERSEDED, ENDPOINT_PARKED,
	    "another agent with this key has taken over (4409)" },
	{ TUNNEL_CLOSE_UPGRADE, ENDPOINT_STOPPED,
	    "the relay wants a newer attest-agent (4426)" },
};

static const struct final *
find_final(unsigned code)
{
	size_t i;

	for (i = 0; i < sizeof(finals) / sizeof(finals[0]); i++)
		if (finals[i].code == code)
			return &finals[i];
	return NULL;
}

static void
current_over(struct endpoint *e, unsigned code, const char *why)
{
	const struct final *final = find_final(code);
	char words[200];

	if (e->ready_ms != 0)
		backoff_ended(&e->backoff, now_of(e) - e->ready_ms);
	e->ready_ms = 0;
	e->current = e->next; /* if there is one, it takes over */
	e->next = NULL;
	if (e->current != NULL) {
		set_state(e,
		    link_is_ready(e->current) ? ENDPOINT_READY
					      : ENDPOINT_CONNECTING,
		    why);
		return;
	}
	if (e->stopping)
		return;
	if (final != NULL) {
		e->dial_at_ms = NEVER;
		set_state(e, final->state, final->words);
		log_warn(NULL, "tunnel: %s: %s", e->name, e->status.last_error);
		return;
	}
	(void)snprintf(words, sizeof(words), "%.150s (%u)", why, code);
	wait_and_dial(e, words);
}

static void
on_over(void *arg, struct link *l, unsigned code, const char *why)
{
	struct endpoint *e = arg;

	if (l == e->old)
		e->old = NULL;
	else if (l == e->current)
		current_over(e, code, why);
	else if (l == e->next) {
		e->next = NULL;
		/* Still served by the current one; try again later. */
		if (!e->stopping)
			e->dial_at_ms = now_of(e) + next_wait(e);
	}
	link_free(l);
	e->link_count--;
	tell(e);
}

/* Time goes by for one link, which must not take for ever to get ready. */
static void
tick_link(struct endpoint *e, struct link *l, int64_t now, int64_t *next)
{
	int64_t due;

	if (l == NULL)
		return;
	due = link_tick(l);
	if (due < *next)
		*next = due;
	if (l != e->old && !link_is_ready(l) &&
	    now - e->started_ms > GREETING_MS)
		link_close(l, TUNNEL_CLOSE_LOST, "no answer in time");
}

void
endpoint_set_worker(struct endpoint *e, struct worker *w)
{
	e->config.worker = w;
}

int64_t
endpoint_tick(struct endpoint *e, int64_t now_ms)
{
	int64_t next = NEVER;

	tick_link(e, e->current, now_ms, &next);
	tick_link(e, e->next, now_ms, &next);
	tick_link(e, e->old, now_ms, &next);
	if (now_ms >= e->dial_at_ms && e->next == NULL)
		dial(e);
	return e->dial_at_ms < next ? e->dial_at_ms : next;
}

void
endpoint_claim(struct endpoint *e)
{
	if (e->current != NULL)
		link_claim(e->current);
}

struct link *
endpoint_link(const struct endpoint *e, uint64_t id)
{
	struct link *const all[] = { e->current, e->old, e->next };
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i] != NULL && link_id(all[i]) == id)
			return all[i];
	return NULL;
}

void
endpoint_wake_up(struct endpoint *e)
{
	if (e->current == NULL)
		return;
	e->backoff.tries = 0;
	link_close(e->current, TUNNEL_CLOSE_LOST, "suspended");
}

void
endpoint_unpark(struct endpoint *e)
{
	uint32_t wait;

	if (e->status.state != ENDPOINT_PARKED || e->stopping)
		return;
	wait = next_wait(e);
	e->dial_at_ms = now_of(e) + wait;
	set_state(e, ENDPOINT_WAITING, NULL);
	e->status.retry_ms = wait;
}

void
endpoint_stop(struct endpoint *e)
{
	e->stopping = true;
	e->dial_at_ms = NEVER;
	if (e->next != NULL)
		link_close(e->next, TUNNEL_CLOSE_OK, "ending");
	if (e->current != NULL)
		link_retire(e->current);
}

const struct endpoint_status *
endpoint_status(const struct endpoint *e)
{
	return &e->status;
}

bool
endpoint_is_idle(const struct endpoint *e)
{
	return e->link_count == 0;
}

bool
endpoint_is_proven(const struct endpoint *e)
{
	return e->proven;
}

struct endpoint *
endpoint_new(const struct endpoint_options *options, int64_t now_ms)
{
	struct endpoint *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->options = *options;
	e->config = options->link;
	e->config.slot = options->slot;
	e->config.ready = on_ready;
	e->config.changed = on_changed;
	e->config.goaway = on_goaway;
	e->config.over = on_over;
	e->config.arg = e;
	e->dial_at_ms = now_ms;
	(void)snprintf(
	    e->status.url, sizeof(e->status.url), "%s", options->url);
	(void)snprintf(e->status.address, sizeof(e->status.address), "%s",
	    options->address);
	(void)snprintf(e->name, sizeof(e->name),
	    options->address[0] != '\0' ? "%s (%s)" : "%s%s", options->url,
	    options->address);
	set_state(e, ENDPOINT_WAITING, "");
	return e;
}

void
endpoint_free(struct endpoint *e)
{
	free(e);
}
