#include "relay/listen.h"

#include "common/address.h"
#include "common/log.h"
#include "relay/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096   /* a whole data centre's agents come back at once */
#define ACCEPT_TURN 64 /* connections a turn */
#define PAUSE_MS 5     /* while too many handshakes are under way */
#define FULL_MS 100    /* after running out of descriptors */

struct listener {
	struct listeners *all;
	int fd; /* owned */
	enum inherit_kind kind;
	bool on; /* accepts */
	struct loop_fd watch;
	struct loop_timer pause;
};

struct listeners {
	struct relay *relay;
	struct listener *list; /* owned */
	size_t count;
	bool started;
	bool full_told;
};

static int
open_one(struct listener *l, const char *text, struct inherit *inherit,
    struct err *err)
{
	struct sockaddr_storage sa;
	char host[ADDRESS_HOST_LEN];
	uint16_t port;

	if (address_split(host, sizeof(host), &port, text, err) != 0)
		return -1;
	(void)address_fill(&sa, host, port);
	l->fd = inherit_take(inherit, l->kind, &sa);
	if (l->fd >= 0)
		return 0;
	l->fd = address_listen(text, BACKLOG, err);
	return l->fd >= 0 ? 0 : -1;
}

static int
open_all(struct listeners *l, const struct relay_listener *config,
    enum inherit_kind kind, struct inherit *inherit, struct err *err)
{
	bool given = inherit->by_manager && kind != INHERIT_ADMIN &&
	    inherit_any(inherit, kind);
	char *const *texts = config->listen.items;
	size_t count = given ? inherit->count : config->listen.count;

	for (size_t i = 0; i < count; i++) {
		struct listener *one = &l->list[l->count];

		one->all = l;
		one->kind = kind;
		if (!given) {
			l->count++;
			if (open_one(one, texts[i], inherit, err) != 0)
				return -1;
			continue;
		}
		one->fd = inherit_take(inherit, kind, NULL);
		if (one->fd < 0)
			break;
		l->count++;
	}
	return 0;
}

static void
tell_ready(const struct listeners *l, char *ready, size_t cap)
{
	char where[ADDRESS_TEXT_LEN];
	struct writer w = writer_of(ready, cap - 1);

	for (size_t i = 0; i < l->count; i++) {
		const struct listener *one = &l->list[i];

		if (i > 0 && one->kind == l->list[i - 1].kind) {
			writer_put(&w, span_str(" and "));
		} else {
			writer_put(&w, span_str(i > 0 ? ", " : ""));
			writer_put(&w, span_str(inherit_names[one->kind]));
			writer_put(&w, span_str(" "));
		}
		writer_put(&w, span_str(address_text(where, one->fd)));
	}
	ready[w.len] = '\0';
}

void
listeners_address(
    char *out, size_t cap, const struct listeners *l, enum inherit_kind kind)
{
	struct writer w = writer_of(out, cap - 1);
	char where[ADDRESS_TEXT_LEN];

	for (size_t i = 0; i < l->count; i++) {
		if (l->list[i].kind != kind)
			continue;
		writer_put(&w, span_str(address_text(where, l->list[i].fd)));
		break;
	}
	out[w.len] = '\0';
}

int
listeners_open(struct listeners **out, struct relay *relay,
    struct inherit *inherit, char *ready, size_t cap, struct err *err)
{
	const struct relay_config *c = &relay->setup->config;
	size_t max = c->public.listen.count + c->internal.listen.count +
	    c->cluster.at.listen.count + c->admin.listen.count + inherit->count;
	struct listeners *l = calloc(1, sizeof(*l));
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);

	*out = NULL;
	if (l != NULL)
		l->list = calloc(max, sizeof(*l->list));
	if (l == NULL || l->list == NULL) {
		free(l);
		return err_set(err, ERR_MEMORY, "no memory for listeners");
	}
	l->relay = relay;
	for (size_t i = 0; i < max; i++)
		l->list[i].fd = -1;
	if (open_all(l, &c->public, INHERIT_PUBLIC, inherit, err) != 0 ||
	    open_all(l, &c->internal, INHERIT_INTERNAL, inherit, err) != 0 ||
	    open_all(l, &c->cluster.at, INHERIT_CLUSTER, inherit, err) != 0 ||
	    open_all(l, &c->admin, INHERIT_ADMIN, inherit, err) != 0) {
		listeners_close(l);
		return -1;
	}
	tell_ready(l, ready, cap);
	getsockname(l->list[0].fd, (struct sockaddr *)&sa, &len);
	relay->public_port = address_port(&sa);
	*out = l;
	return 0;
}

static void
pause_for(struct listener *l, uint64_t ms)
{
	loop_fd_want(&l->watch, 0);
	loop_timer_set(&l->pause, ms);
}

static struct worker *
least_loaded(struct relay *r)
{
	struct worker *best = r->workers[0];

	for (size_t i = 1; i < r->worker_count; i++)
		if (atomic_load(&r->workers[i]->load) <
		    atomic_load(&best->load))
			best = r->workers[i];
	return best;
}

static void
deal(struct listener *l, int fd, const struct sockaddr_storage *sa)
{
	bool public = l->kind == INHERIT_PUBLIC;
	struct relay *r = l->all->relay;
	struct worker *w = least_loaded(r);
	struct message_accept *m;
	struct peer peer;
	int one = 1;

	if (!peer_admit(
		&peer, r, source_of((const struct sockaddr *)sa), public)) {
		/* Too many: by its address, its block, or in all. */
		close(fd);
		return;
	}
	m = calloc(1, sizeof(*m));
	if (m == NULL) {
		peer_gone(&peer);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	m->m.kind = MESSAGE_ACCEPT;
	m->fd = fd;
	m->public = public;
	m->relay = l->kind == INHERIT_CLUSTER;
	m->source = peer.source;
	m->port = address_port(sa);
	atomic_fetch_add(&w->load, 1);
	loop_post(w->loop, &m->m.mail);
}

static void
on_accept(void *arg, unsigned events)
{
	struct listener *l = arg;
	struct listeners *all = l->all;
	struct relay *r = all->relay;

	(void)events;
	for (int i = 0; i < ACCEPT_TURN; i++) {
		struct sockaddr_storage sa = { 0 };
		socklen_t len = sizeof(sa);
		int fd;

		/* Bounded and served to the end: those that wait in the
		 * kernel's queue lose nothing.  Each side has its own bound,
		 * or half-open peers of the public one stopped the hosts. */
		if (atomic_load(&r->handshakes[l->kind == INHERIT_PUBLIC]) >=
		    (uint64_t)r->setup->config.limits.handshakes) {
			pause_for(l, PAUSE_MS);
			return;
		}
		fd = accept4(l->fd, (struct sockaddr *)&sa, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			all->full_told = false;
			deal(l, fd, &sa);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN)
			return;
		if (!all->full_told)
			log_error(NULL, "accept: %s", strerror(errno));
		all->full_told = true;
		pause_for(l, FULL_MS);
		return;
	}
}

static void
on_pause_over(void *arg)
{
	struct listener *l = arg;

	if (l->on)
		loop_fd_want(&l->watch, LOOP_READ);
}

int
listeners_start(struct listeners *l, struct loop *loop, struct err *err)
{
	l->started = true;
	for (size_t i = 0; i < l->count; i++) {
		struct listener *one = &l->list[i];

		loop_timer_init(&one->pause, loop, on_pause_over, one);
		if (loop_fd_init(
			&one->watch, loop, one->fd, on_accept, one, err) != 0)
			return -1;
	}
	return 0;
}

void
listeners_accept(struct listeners *l, enum inherit_kind kind, bool on)
{
	for (size_t i = 0; i < l->count; i++) {
		struct listener *one = &l->list[i];

		if (one->kind != kind)
			continue;
		one->on = on;
		loop_timer_cancel(&one->pause);
		loop_fd_want(&one->watch, on ? LOOP_READ : 0);
	}
}

size_t
listeners_fds(const struct listeners *l, struct inherit_one out[INHERIT_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < l->count && n < INHERIT_MAX; i++)
		out[n++] = (struct inherit_one){ .fd = l->list[i].fd,
			.kind = l->list[i].kind };
	return n;
}

void
listeners_close(struct listeners *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->count; i++) {
		if (l->started) {
			loop_fd_free(&l->list[i].watch);
			loop_timer_free(&l->list[i].pause);
		}
		if (l->list[i].fd >= 0)
			close(l->list[i].fd);
	}
	free(l->list);
	free(l);
}
