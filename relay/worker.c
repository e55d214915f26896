#include "relay/worker.h"

#include "common/log.h"
#include "common/tls_memory.h"
#include "relay/busy.h"
#include "relay/directory.h"
#include "relay/hop.h"
#include "relay/host_search.h"
#include "relay/host_side.h"
#include "relay/peer_link.h"
#include "relay/tunnel_side.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define QUIT_MS 250 /* for closing words on their way out */
/* What a stranger who asks on and reads nothing can make us keep is these two
 * and one answer. */
#define IN_MAX (HTTP_HEAD_MAX + 4096)
#define HOST_OUT_LOW (8 * 1024)
#define HOST_OUT_MAX (512 * 1024)        /* an answer, and problems */
#define TUNNEL_OUT_MAX (2 * 1024 * 1024) /* twice the window and frames */
#define TUNNEL_OUT_LOW (256 * 1024)
#define LINGER_MS 2000
#define RATE_MIN 512 /* bytes a second */

static void
fill_settings(struct worker *w)
{
	const struct relay_timeouts *t = &w->setup->config.timeouts;

	w->host_settings = (struct http_settings){
		.conn = { .handshake_ms = (uint32_t)t->handshake,
		    .stall_ms = (uint32_t)t->stall,
		    .linger_ms = LINGER_MS,
		    .in_max = IN_MAX,
		    .out_max = HOST_OUT_MAX,
		    .out_low = HOST_OUT_LOW },
		.head_ms = (uint32_t)t->head,
		.body_ms = (uint32_t)t->body,
		.rate_after_ms = (uint32_t)t->body / 2,
		.rate_min = RATE_MIN,
		.idle_ms = (uint32_t)t->idle,
	};
	w->tunnel_settings = w->host_settings.conn;
	w->tunnel_settings.in_max = LOOP_SCRATCH_LEN;
	w->tunnel_settings.out_max = TUNNEL_OUT_MAX;
	w->tunnel_settings.out_low = TUNNEL_OUT_LOW;
}

static void
tell_main(struct worker *w, enum message_kind kind, bool *told)
{
	struct message *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return; /* main has a deadline of its own */
	*told = true;
	m->kind = kind;
	loop_post(w->relay->main_loop, &m->mail);
}

static void
maybe_drained(struct worker *w)
{
	if (w->moving && !w->moved_told && TAILQ_EMPTY(&w->all_sides))
		tell_main(w, MESSAGE_MOVED, &w->moved_told);
	if (w->draining && !w->drained_told && atomic_load(&w->load) == 0)
		tell_main(w, MESSAGE_DRAINED, &w->drained_told);
}

void
worker_peer_gone(struct worker *w)
{
	atomic_fetch_sub(&w->load, 1);
	maybe_drained(w);
}

static void
accept_peer(struct worker *w, struct message_accept *m)
{
	struct peer peer = { .relay = w->relay,
		.source = m->source,
		.public = m->public,
		.handshaking = true,
		.counted = true };
	int fd = m->fd;

	m->fd = -1;
	if (m->relay
		? hop_accept(w, fd, &peer, m->port) != 0
		: host_accept(w, fd, m->public ? PATH_PUBLIC : PATH_INTERNAL,
		      &peer, m->port) != 0) {
		peer_gone(&peer);
		worker_peer_gone(w);
	}
}

static void
drain(struct worker *w)
{
	if (w->draining)
		return;
	w->draining = true;
	host_drain_all(w, !atomic_load(&w->relay->successor));
	side_drain_all(w);
	peer_links_drain(w);
	hops_drain(w);
	loop_timer_set(&w->drain_timer, w->setup->config.timeouts.drain);
	maybe_drained(w);
}

static void
on_drain_timer(void *arg)
{
	struct worker *w = arg;

	host_close_all(w, "drained");
	host_errands_end(w);
	side_close_all(w);
	peer_links_close(w);
	hops_close(w);
}

static void
on_quit_timer(void *arg)
{
	struct worker *w = arg;

	loop_stop(w->loop);
}

static void
quit(struct worker *w)
{
	w->draining = true;
	host_close_all(w, "shutting down");
	host_errands_end(w);
	side_close_all(w);
	peer_links_close(w);
	hops_close(w);
	loop_timer_free(&w->drain_timer);
	loop_timer_init(&w->drain_timer, w->loop, on_quit_timer, w);
	loop_timer_set(
	    &w->drain_timer, atomic_load(&w->load) == 0 ? 0 : QUIT_MS);
}

/* Another relay stands: agents go there, and who waits for one. */
static void
move(struct worker *w)
{
	w->moving = true;
	w->moved_told = false;
	side_move_all(w);
	host_wake_held(w);
	maybe_drained(w);
}

static void
change_setup(struct worker *w, struct message_setup *m)
{
	struct relay_setup *old = w->setup;

	tls_server_free(w->public);
	tls_server_free(w->internal);
	w->setup = m->setup;
	w->public = m->public;
	w->internal = m->internal;
	m->setup = NULL;
	m->public = m->internal = NULL;
	fill_settings(w);
	loop_slow_max(
	    w->loop, (unsigned)w->setup->config.limits.handshake_steps);
	side_judge_all(w, old);
	setup_drop(old);
	relay_setup_taken(w->relay);
}

static void
job_back(struct worker *w, struct job *job)
{
	if (job->hop)
		hop_job_back(w, job);
	else
		host_job_back(w, job);
}

static void
pending(struct worker *w, struct message_pending *m)
{
	if (m->hop)
		hop_pending(w, m);
	else
		host_pending(w, m);
}

static void
handle_message(struct worker *w, struct message *m)
{
	switch (m->kind) {
	case MESSAGE_ACCEPT:
		accept_peer(w, (struct message_accept *)m);
		break;
	case MESSAGE_HOST:
		host_arrive(w, (struct message_host *)m);
		break;
	case MESSAGE_ROUTES:
		atomic_store(&w->wake_sent, false);
		host_wake_held(w);
		break;
	case MESSAGE_JOB:
		side_submit(w, (struct job *)m);
		return; /* taken */
	case MESSAGE_JOB_BACK:
		job_back(w, (struct job *)m);
		return; /* taken */
	case MESSAGE_CANCEL:
		side_cancel(w, (struct message_cancel *)m);
		break;
	case MESSAGE_PENDING:
		pending(w, (struct message_pending *)m);
		break;
	case MESSAGE_SUPERSEDE:
		side_supersede(w, ((struct message_tunnel *)m)->tunnel);
		break;
	case MESSAGE_UNSETTLE:
		side_unsettle(w, ((struct message_tunnel *)m)->tunnel);
		break;
	case MESSAGE_DIRECTORY:
		((struct directory_op *)m)->done(w, (struct directory_op *)m);
		return; /* taken */
	case MESSAGE_SETUP:
		change_setup(w, (struct message_setup *)m);
		break;
	case MESSAGE_JUDGE:
		side_judge_all(w, NULL);
		break;
	case MESSAGE_QUOTA:
		side_quota(w, ((struct message_tunnel *)m)->tunnel);
		break;
	case MESSAGE_TUNNELS:
		side_list_all(w, (struct message_tunnels *)m);
		loop_post(w->relay->main_loop, &m->mail);
		return;
	case MESSAGE_REGISTRY:
		registry_op_home((struct registry_op *)m, w);
		return; /* taken */
	case MESSAGE_BEAT:
		atomic_store(&w->beat, ((struct message_beat *)m)->number);
		break;
	case MESSAGE_ERRAND:
		host_errand(w, (struct message_errand *)m);
		return; /* taken */
	case MESSAGE_ERRAND_CANCEL:
		host_errand_cancel(w, (struct message_errand *)m);
		break;
	case MESSAGE_MOVE:
		move(w);
		break;
	case MESSAGE_STAY:
		w->moving = false;
		break;
	case MESSAGE_DRAIN:
		drain(w);
		break;
	case MESSAGE_QUIT:
		quit(w);
		break;
	default:
		break; /* main's */
	}
	message_free(m);
}

static void
on_mail(void *arg, struct mail *mail)
{
	handle_message(arg, (struct message *)mail);
}

static void
on_own_task(void *arg)
{
	struct worker *w = arg;
	struct mail *mail, *next, *sorted = NULL;

	for (mail = w->own; mail != NULL; mail = next) {
		next = mail->next;
		mail->next = sorted;
		sorted = mail;
	}
	w->own = NULL;
	for (mail = sorted; mail != NULL; mail = next) {
		next = mail->next;
		handle_message(w, (struct message *)mail);
	}
}

void
relay_send(struct worker *from, uint32_t to, struct message *m)
{
	if (to != from->index) {
		loop_post(to == RELAY_MAIN ? from->relay->main_loop
					   : from->relay->workers[to]->loop,
		    &m->mail);
		return;
	}
	m->mail.next = from->own;
	from->own = &m->mail;
	loop_soon(from->loop, &from->own_task);
}

void
relay_routes_changed(struct worker *from)
{
	struct relay *r = from->relay;

	/* Who waits has counted itself before its last look at the routes. */
	if (atomic_load(&r->held) == 0)
		return;
	for (size_t i = 0; i < r->worker_count; i++) {
		struct message *m;

		if (atomic_exchange(&r->workers[i]->wake_sent, true))
			continue;
		m = calloc(1, sizeof(*m));
		if (m == NULL) {
			atomic_store(&r->workers[i]->wake_sent, false);
			continue; /* they wait in vain, and are told so */
		}
		m->kind = MESSAGE_ROUTES;
		relay_send(from, (uint32_t)i, m);
	}
}

int
worker_tls(struct ssl_ctx_st **public, struct ssl_ctx_st **internal,
    const struct relay *relay, const struct relay_setup *setup, struct err *err)
{
	struct span none = { NULL, 0 };
	struct span keys = setup->config.tls_tickets
	    ? span_of(relay->ticket_keys, sizeof(relay->ticket_keys))
	    : none;
	bool tls12 = setup->config.tls_min == 0;

	*internal = NULL;
	/* Agents keep no tickets. */
	if (tls_server(public, setup->public, tls12, none, err) != 0)
		return -1;
	if (tls_server(internal, setup->internal, tls12, keys, err) == 0)
		return 0;
	tls_server_free(*public);
	*public = NULL;
	return -1;
}

int
worker_new(
    struct worker **out, struct relay *relay, uint32_t index, struct err *err)
{
	struct worker *w;

	*out = NULL;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a worker");
	w->relay = relay;
	w->index = index;
	w->setup = setup_hold(relay->setup);
	fill_settings(w);
	slab_init(&w->hosts, index);
	slab_init(&w->tunnels, index);
	TAILQ_INIT(&w->all_hosts);
	TAILQ_INIT(&w->held);
	TAILQ_INIT(&w->errands);
	TAILQ_INIT(&w->all_sides);
	loop_task_init(&w->own_task, on_own_task, w);
	if (loop_new(&w->loop, on_mail, w, err) != 0 ||
	    worker_tls(&w->public, &w->internal, relay, w->setup, err) != 0) {
		worker_free(w);
		return -1;
	}
	loop_timer_init(&w->drain_timer, w->loop, on_drain_timer, w);
	loop_timer_init(&w->search_timer, w->loop, host_search_again, w);
	if (w->setup->cluster != NULL &&
	    (tls_peer(&w->cluster, w->setup->cluster, err) != 0 ||
		host_search_init(w, err) != 0)) {
		worker_free(w);
		return -1;
	}
	loop_slow_max(
	    w->loop, (unsigned)w->setup->config.limits.handshake_steps);
	*out = w;
	return 0;
}

static void *
run(void *arg)
{
	struct worker *w = arg;
	struct err err;

	if (loop_run(w->loop, &err) != 0)
		log_error(NULL, "worker %u: %s", w->index, err.msg);
	/* What is still open ends with its memory, in this thread. */
	host_free_all(w);
	host_errands_end(w);
	side_free_all(w);
	hops_close(w);
	peer_links_free(w);
	tls_memory_end();
	return NULL;
}

int
worker_start(struct worker *w, struct err *err)
{
	sigset_t all, before;
	int rc;

	w->others = calloc(w->relay->worker_count, sizeof(*w->others));
	if (w->others == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a worker");
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return err_set(
		    err, ERR_IO, "worker %u: %s", w->index, strerror(rc));
	/* Time itself: then it is always busy, and nobody moves to it. */
	if (pthread_getcpuclockid(w->thread, &w->clock) != 0)
		w->clock = CLOCK_MONOTONIC;
	return 0;
}

void
worker_join(struct worker *w)
{
	pthread_join(w->thread, NULL);
}

/* Without the loop that it is for: a host ends as if it had come. */
static void
free_mail(struct worker *w, struct mail *mail)
{
	struct mail *next;

	for (; mail != NULL; mail = next) {
		struct message *m = (struct message *)mail;

		next = mail->next;
		if (m->kind == MESSAGE_HOST)
			host_arrive(w, (struct message_host *)m);
		message_free(m);
	}
	host_free_all(w);
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	if (w->loop != NULL) {
		free_mail(w, loop_take(w->loop));
		loop_timer_free(&w->drain_timer);
		loop_timer_free(&w->search_timer);
		loop_task_cancel(&w->own_task);
	}
	free_mail(w, w->own);
	loop_free(w->loop);
	tls_server_free(w->public);
	tls_server_free(w->internal);
	tls_server_free(w->cluster);
	host_search_end(w);
	setup_drop(w->setup);
	slab_free(&w->hosts);
	slab_free(&w->tunnels);
	free(w->others);
	free(w);
}
