#include "relay/host_impl.h"

#include "common/clock.h"
#include "relay/busy.h"

#include <stdlib.h>

/*
 * A request that crosses workers wakes a thread twice, and one that does not
 * wakes none.  So a host whose requests go to another worker's tunnels moves
 * there, between an answer and the next request: then nobody else knows of it.
 *
 * The rule: after CROSSINGS requests in a row for tunnels of one other worker,
 * if that was less than ROOM percent busy of late; so one busy tunnel does not
 * draw everything to one processor while others idle.  The other way round, of
 * a worker that is over FULL percent busy, hosts move away, wherever their
 * tunnels are, if another one is less than IDLE percent busy.  MOVES at a time,
 * until the next look shows what came of it.
 */

#define CROSSINGS 8
#define NEAR 64 /* requests without crossing: is it too crowded here? */
#define ROOM 80
#define FULL 95
#define IDLE 50
#define MOVES 4

void
host_routed(struct host *h, uint32_t to)
{
	if (to != h->near) {
		h->near = to;
		h->near_count = 0;
	}
	if (h->near_count < NEAR)
		h->near_count++;
}

static struct busy *
look(struct worker *w, uint32_t index)
{
	struct busy *b = &w->others[index];
	uint64_t now = clock_us();
	struct timespec ts;

	if (!busy_due(b, now))
		return b;
	/* A thread that has ended. */
	if (clock_gettime(w->relay->workers[index]->clock, &ts) != 0)
		ts = (struct timespec){ 0 };
	busy_look(b, now,
	    (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
	return b;
}

/* Where is it better than here?  NULL: nowhere, or too many move there now. */
static struct busy *
better(const struct host *h)
{
	struct worker *w = h->worker;
	struct busy *to;

	if (h->near != w->index) {
		to = look(w, h->near);
		return to->percent < ROOM && to->used < MOVES ? to : NULL;
	}
	to = look(w, w->index);
	if (to->percent < FULL || to->percent == BUSY_UNKNOWN)
		return NULL;
	for (uint32_t i = 0; i < w->relay->worker_count; i++) {
		to = look(w, i);
		if (to->percent < IDLE && to->used < MOVES)
			return to;
	}
	return NULL;
}

static void
move(struct host *h, uint32_t index)
{
	struct worker *from = h->worker;
	struct relay *r = from->relay;
	struct worker *to = r->workers[index];
	struct message_host *m = calloc(1, sizeof(*m));

	if (m == NULL || atomic_load(&r->draining) || !http_leave(h->http)) {
		free(m);
		return;
	}
	m->m.kind = MESSAGE_HOST;
	/* Counted there before we look again: who begins to drain after that
	 * look waits for what is on its way, and before it, nothing goes. */
	atomic_fetch_add(&to->load, 1);
	if (atomic_load(&r->draining)) {
		http_enter(h->http, from->loop, &from->host_settings);
		relay_send(from, index, &m->m);
		return;
	}
	loop_timer_free(&h->timer);
	TAILQ_REMOVE(&from->all_hosts, h, link);
	counter_add(&from->counters.moves, 1);
	m->host = h;
	relay_send(from, index, &m->m);
	worker_peer_gone(from);
}

void
host_move(void *arg)
{
	struct host *h = arg;
	struct busy *to;

	if (h->http == NULL || h->handle.generation != 0)
		return;
	to = better(h);
	h->near_count = 0;
	if (to == NULL)
		return;
	to->used++;
	move(h, (uint32_t)(to - h->worker->others));
}

void
host_settle(struct host *h)
{
	struct worker *w = h->worker;

	if (w->relay->worker_count > 1 &&
	    h->near_count >= (h->near == w->index ? NEAR : CROSSINGS))
		loop_soon(w->loop, &h->move);
}

void
host_arrive(struct worker *w, struct message_host *m)
{
	struct host *h = m->host;

	m->host = NULL;
	if (h == NULL) {
		worker_peer_gone(w);
		return;
	}
	h->worker = w;
	loop_timer_init(&h->timer, w->loop, host_timer, h);
	TAILQ_INSERT_TAIL(&w->all_hosts, h, link);
	http_enter(h->http, w->loop, &w->host_settings);
	if (w->draining && h->http != NULL)
		host_drain(h, !atomic_load(&w->relay->successor));
}
