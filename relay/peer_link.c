#include "relay/peer_link.h"

#include "common/clock.h"
#include "common/tls.h"
#include "relay/directory.h"
#include "relay/peer_wire.h"
#include "relay/side_impl.h"

#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 1000 /* with TLS; a relay that is down is passed by soon */
#define PING_MS 1000    /* and one that hangs is found out */
#define AGAIN_MS 100    /* after a failure, before the next try */
#define LINKS_MAX 256   /* of a worker: relays */

struct peer_link {
	struct side side; /* first; conn NULL: no connection */
	LIST_ENTRY(peer_link) links;
	char node[DIRECTORY_NODE_MAX + 1];
	uint64_t again_ms;
	bool placed; /* side.handle is in the slab */
};

static void
on_send(void *arg, struct span head, struct span body)
{
	struct side *s = arg;

	if (s->conn != NULL)
		peer_wire_put(s->conn, head, body);
}

/* Words from a relay that none of ours says. */
static void
not_ours(struct side *s)
{
	tunnel_close(s->tunnel, TUNNEL_CLOSE_FRAME, "claims from a relay");
}

static void
on_claim(void *arg, uint32_t number, const struct frame_claim *claim)
{
	(void)number;
	(void)claim;
	not_ours(arg);
}

static void
on_unclaim(void *arg, const struct frame_unclaim *unclaim)
{
	(void)unclaim;
	not_ours(arg);
}

/* Its certificate has said who it is. */
static void
on_hello(void *arg, const struct frame_hello *hello)
{
	struct side *s = arg;
	struct frame_welcome welcome = { .tenant = span_str("relay"),
		.ping_ms = PING_MS };
	struct err err;

	if (tunnel_welcome(s->tunnel, &welcome, clock_ms(), &err) != 0) {
		tunnel_close(s->tunnel, TUNNEL_CLOSE_FRAME, err.msg);
		return;
	}
	log_info(&s->subject, "up: %.*s", (int)hello->software.len,
	    (const char *)hello->software.ptr);
	side_pump(s);
}

static void
on_goaway(void *arg, const struct frame_goaway *goaway)
{
	struct side *s = arg;

	(void)goaway;
	s->leaving = true;
	side_return_queued(s);
}

static void
on_reset(
    void *arg, uint32_t stream, void *user, uint32_t code, struct span text)
{
	struct side *s = arg;
	struct job *job = user;

	/* It crossed with a GOAWAY. */
	job->unheard = s->leaving && code == FRAME_RESET_REFUSED;
	side_reset(arg, stream, user, code, text);
}

static void
on_tunnel_closed(void *arg, unsigned code, const char *why)
{
	struct peer_link *p = arg;
	struct side *s = &p->side;

	s->leaving = true;
	side_return_queued(s);
	log_info(&s->subject, "down: %s (%u)", why, code);
	loop_timer_cancel(&s->timer);
	if (s->conn != NULL)
		conn_finish(s->conn, "link closed");
}

static const struct tunnel_ops link_ops = {
	.send = on_send,
	.data = side_data,
	.reset = on_reset,
	.writable = side_writable,
	.goaway = on_goaway,
	.drained = side_drained,
	.closed = on_tunnel_closed,
	.hello = on_hello,
	.claim = on_claim,
	.unclaim = on_unclaim,
	.response = side_response,
	.pending = side_pending,
};

static void
on_open(void *arg)
{
	struct side *s = arg;
	struct frame_challenge f = {
		.nonce = span_of(s->nonce, sizeof(s->nonce)),
		.relay_name =
		    span_str(directory_node(s->worker->relay->directory)),
		.time_ms = clock_wall_ms(),
	};
	struct err err;

	if (tunnel_start(s->tunnel, &f, &err) != 0)
		tunnel_close(s->tunnel, TUNNEL_CLOSE_FRAME, err.msg);
	side_touch(s);
}

static size_t
on_data(void *arg, uint8_t *ptr, size_t len)
{
	struct side *s = arg;
	struct err err;
	int64_t taken = peer_wire_take(
	    s->tunnel, s->conn, span_of(ptr, len), clock_ms(), &err);

	if (taken < 0) {
		tunnel_close(s->tunnel, TUNNEL_CLOSE_FRAME, err.msg);
		return len;
	}
	if (s->conn != NULL)
		side_touch(s);
	return (size_t)taken;
}

static void
on_written(void *arg)
{
	struct side *s = arg;

	loop_soon(s->worker->loop, &s->pump);
}

static void
release(void *arg)
{
	struct peer_link *p = arg;

	loop_timer_free(&p->side.timer);
	loop_task_cancel(&p->side.pump);
	tunnel_free(p->side.tunnel);
	queue_free(p->side.queue);
	free(p);
}

/* A link that was there once stays, for its waits. */
static void
on_conn_closed(void *arg, const char *why)
{
	struct peer_link *p = arg;
	struct worker *w = p->side.worker;

	p->side.conn = NULL;
	tunnel_close(p->side.tunnel, TUNNEL_CLOSE_LOST, why);
	p->again_ms = clock_ms() + AGAIN_MS;
	if (p->placed)
		slab_remove(&w->tunnels, p->side.handle);
	p->placed = false;
	loop_timer_free(&p->side.timer);
	loop_task_cancel(&p->side.pump);
	worker_peer_gone(w);
}

static const struct conn_ops conn_ops = {
	.open = on_open,
	.data = on_data,
	.drained = on_written,
	.closed = on_conn_closed,
};

static void
on_timer(void *arg)
{
	struct side *s = arg;

	tunnel_tick(s->tunnel, clock_ms());
	side_touch(s);
}

/* Nodes come and go, and their names with them. */
static bool
make_place(struct peer_link *idle)
{
	if (idle == NULL)
		return false;
	LIST_REMOVE(idle, links);
	release(idle);
	return true;
}

/* Some request on it may take minutes yet, as an owner is asked; whoever has
 * taken the place of that relay is there for the others. */
static bool
is_on_its_way_out(const struct peer_link *p)
{
	return p->side.conn != NULL && p->side.leaving &&
	    tunnel_phase(p->side.tunnel) == TUNNEL_DRAINING;
}

static struct peer_link *
find(struct worker *w, const char *node)
{
	struct peer_link *p, *idle = NULL;
	size_t count = 0;

	LIST_FOREACH(p, &w->links, links)
	{
		if (strcmp(p->node, node) == 0 && !is_on_its_way_out(p))
			return p;
		if (p->side.conn == NULL)
			idle = p;
		count++;
	}
	if (count >= LINKS_MAX && !make_place(idle))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->side.worker = w;
	p->side.agent_leaves = true; /* nobody is waited for when it drains */
	memcpy(p->node, node, strlen(node) + 1);
	log_subject_set(&p->side.subject, "relay %s", node);
	TAILQ_INIT(&p->side.open);
	loop_timer_init(&p->side.timer, w->loop, on_timer, &p->side);
	loop_task_init(&p->side.pump, side_pump, &p->side);
	LIST_INSERT_HEAD(&w->links, p, links);
	return p;
}

static int
dial(struct peer_link *p, const char *address, struct err *err)
{
	struct tunnel_config config = { .role = TUNNEL_RELAY,
		.max_streams = TUNNEL_STREAMS_MAX,
		.ping_ms = PING_MS };
	struct side *s = &p->side;
	struct worker *w = s->worker;

	/* What is left of the last connection. */
	tunnel_free(s->tunnel);
	s->leaving = false;
	s->tunnel = tunnel_new(&config, &link_ops, s, clock_ms());
	if (s->tunnel == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a link");
	if (slab_add(&s->handle, &w->tunnels, s, err) != 0)
		return -1;
	p->placed = true;
	w->link_settings = w->tunnel_settings;
	w->link_settings.handshake_ms = CONNECT_MS;
	if (conn_dial(&s->conn, w->loop, w->cluster, address, p->node,
		&w->link_settings, &conn_ops, s, err) != 0) {
		slab_remove(&w->tunnels, s->handle);
		p->placed = false;
		return -1;
	}
	atomic_fetch_add(&w->load, 1);
	return 0;
}

bool
peer_link(
    struct worker *w, const char *node, const char *address, struct handle *out)
{
	struct peer_link *p = find(w, node);
	struct err err;

	if (p == NULL || w->cluster == NULL || w->draining)
		return false;
	if (p->side.conn == NULL) {
		if (clock_ms() < p->again_ms)
			return false;
		if (dial(p, address, &err) != 0) {
			log_info(&p->side.subject, "not dialled: %s", err.msg);
			p->again_ms = clock_ms() + AGAIN_MS;
			return false;
		}
	}
	*out = p->side.handle;
	return !p->side.leaving;
}

void
peer_links_drain(struct worker *w)
{
	struct peer_link *p;

	LIST_FOREACH(p, &w->links, links)
	{
		if (p->side.conn == NULL)
			continue;
		p->side.leaving = true;
		side_return_queued(&p->side);
		tunnel_goaway(p->side.tunnel, FRAME_GOAWAY_SHUTDOWN, 0, 0,
		    (struct span){ NULL, 0 });
	}
}

void
peer_links_close(struct worker *w)
{
	struct peer_link *p;

	LIST_FOREACH(p, &w->links, links)
	if (p->side.conn != NULL)
		tunnel_close(
		    p->side.tunnel, TUNNEL_CLOSE_DRAINING, "shutting down");
}

void
peer_links_free(struct worker *w)
{
	struct peer_link *p;

	while ((p = LIST_FIRST(&w->links)) != NULL) {
		if (p->side.conn != NULL)
			conn_close(p->side.conn, "shutting down");
		LIST_REMOVE(p, links);
		release(p);
	}
}
