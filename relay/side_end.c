#include "relay/side_impl.h"

#include "common/clock.h"

/* Leaving: the agent's wish, a newer tunnel, or the end of the relay. */

/* docs/protocol.md 12.5: the window in which agents come back grows with their
 * number, as a thousand of them are what a relay greets in a second. */
#define WINDOW_MIN_MS 500
#define WINDOW_MAX_MS 5000
#define STAY_MS 1000 /* behind the window: for the new tunnel to stand */

void
side_close_drained(struct side *s)
{
	tunnel_close(s->tunnel,
	    s->close_code != 0 ? s->close_code : TUNNEL_CLOSE_OK, "drained");
}

void
side_goaway(void *arg, const struct frame_goaway *goaway)
{
	struct side *s = arg;

	/* Saying it again changes nothing, and would fill the log. */
	if (s->agent_leaves)
		return;
	log_info(
	    &s->subject, "the agent is going away (code %u)", goaway->code);
	s->agent_leaves = true;
	side_leave(s);
	side_return_queued(s);
	if (s->stay_until_ms != 0)
		side_close_drained(s);
}

/* Make before break: the agent leaves once its next tunnel stands.  If it is
 * the one to go, or that tunnel is what made us go, there is no wait. */
void
side_drained(void *arg)
{
	struct side *s = arg;

	if (s->agent_leaves || s->close_code == TUNNEL_CLOSE_SUPERSEDED) {
		side_close_drained(s);
		return;
	}
	if (s->window_ms == 0)
		s->window_ms = WINDOW_MAX_MS; /* the tunnel's own GOAWAY */
	s->stay_until_ms = clock_ms() + s->window_ms + STAY_MS;
	side_touch(s);
}

static void
go_away(struct side *s, enum frame_goaway_code code, unsigned close_code,
    uint32_t window_ms)
{
	/* A superseded tunnel stays one when the relay ends: its agent must
	 * not come back for it. */
	if (s->close_code != TUNNEL_CLOSE_SUPERSEDED)
		s->close_code = close_code;
	s->window_ms = window_ms;
	side_leave(s);
	side_return_queued(s);
	if (s->stay_until_ms != 0 && close_code == TUNNEL_CLOSE_SUPERSEDED)
		side_close_drained(s);
	else if (tunnel_phase(s->tunnel) == TUNNEL_GREETING)
		tunnel_close(s->tunnel, close_code, "going away");
	else
		tunnel_goaway(
		    s->tunnel, code, 0, window_ms, (struct span){ NULL, 0 });
}

void
side_supersede(struct worker *w, struct handle tunnel)
{
	struct side *s = slab_get(&w->tunnels, tunnel);

	if (s == NULL)
		return;
	log_info(&s->subject, "superseded by a newer tunnel of its key");
	go_away(
	    s, FRAME_GOAWAY_SUPERSEDED, TUNNEL_CLOSE_SUPERSEDED, WINDOW_MAX_MS);
}

/* Workers have about the same number of tunnels. */
static uint32_t
drain_window(const struct worker *w)
{
	size_t tunnels = w->tunnels.used * w->relay->worker_count;

	return tunnels < WINDOW_MIN_MS ? WINDOW_MIN_MS
	    : tunnels < WINDOW_MAX_MS  ? (uint32_t)tunnels
				       : WINDOW_MAX_MS;
}

void
side_drain_all(struct worker *w)
{
	uint32_t window_ms = drain_window(w);
	struct side *s, *next;

	for (s = TAILQ_FIRST(&w->all_sides); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		go_away(
		    s, FRAME_GOAWAY_RESTART, TUNNEL_CLOSE_DRAINING, window_ms);
	}
}

void
side_move_all(struct worker *w)
{
	uint32_t window_ms = drain_window(w);
	struct side *s;

	/* Those that greet are asked once they are welcome. */
	TAILQ_FOREACH(s, &w->all_sides, link)
	tunnel_ask_to_move(s->tunnel, 0, window_ms);
}

void
side_close_all(struct worker *w)
{
	struct side *s, *next;

	for (s = TAILQ_FIRST(&w->all_sides); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		tunnel_close(s->tunnel, TUNNEL_CLOSE_DRAINING, "shutting down");
	}
}

void
side_free_all(struct worker *w)
{
	struct side *s, *next;

	for (s = TAILQ_FIRST(&w->all_sides); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		conn_close(s->conn, "shutting down");
	}
}
