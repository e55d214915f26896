#include "relay/serve_impl.h"

#include "common/log.h"
#include "relay/confine.h"
#include "relay/directory.h"
#include "relay/folder.h"
#include "relay/privileges.h"
#include "relay/reload.h"
#include "relay/worker.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define DRAIN_SLACK_MS 2000

void
serve_tell_workers(struct server *s, enum message_kind kind)
{
	for (size_t i = 0; i < s->started; i++) {
		struct message *m = calloc(1, sizeof(*m));

		if (m == NULL)
			abort(); /* nothing can be ended in order any more */
		m->kind = kind;
		loop_post(s->relay.workers[i]->loop, &m->mail);
	}
}

void
serve_maybe_end(struct server *s)
{
	if (s->draining && s->drained == s->started &&
	    !handover_busy(s->handover))
		loop_stop(s->loop);
}

static void
end_in_time(struct server *s)
{
	loop_timer_set(&s->deadline,
	    s->relay.setup->config.timeouts.drain + DRAIN_SLACK_MS);
}

static void
drain(struct server *s)
{
	s->draining = true;
	notify_send(&s->relay.notify, "STOPPING=1");
	log_info(NULL, "draining: no new connections; %u are open",
	    atomic_load(&s->relay.connections));
	handover_refuse(s->handover);
	listeners_close(s->listeners);
	s->listeners = NULL;
	atomic_store(&s->relay.draining, true);
	serve_tell_workers(s, MESSAGE_DRAIN);
	end_in_time(s);
	if (handover_taking(s->handover))
		admin_leave(s->admin);
	handover_give_back(s->handover);
}

/* The agents have moved, or had their time.  We may have been told to end
 * before they were asked to. */
static void
finish_giving(struct server *s)
{
	if (!s->draining)
		drain(s);
	admin_handed(s->admin);
	handover_done(s->handover);
	end_in_time(s);
	serve_maybe_end(s);
}

static void
on_deadline(void *arg)
{
	struct server *s = arg;

	if (handover_giving(s->handover))
		finish_giving(s);
	else
		loop_stop(s->loop);
}

static void
on_term(void *arg)
{
	struct server *s = arg;

	if (s->draining) {
		log_info(NULL, "second signal: ending at once");
		loop_stop(s->loop);
	} else if (handover_giving(s->handover)) {
		finish_giving(s);
	} else {
		drain(s);
	}
}

/* Said once, the rest of it is for signals. */
static void
on_operator(void *arg)
{
	struct server *s = arg;

	if (!s->draining)
		on_term(s);
}

static int
reload(void *arg, char **said)
{
	struct server *s = arg;
	int rc = reload_run(&s->relay, said);

	if (rc == 0)
		handover_changed(s->handover, PARCEL_SETUP);
	return rc;
}

static void
on_changed(void *arg)
{
	struct server *s = arg;

	handover_changed(s->handover, PARCEL_REGISTRY);
}

static const struct admin_ops admin_ops = {
	.drain = on_operator,
	.reload = reload,
	.changed = on_changed,
};

static void
on_hup(void *arg)
{
	struct server *s = arg;
	char *said;

	if (s->draining)
		return;
	reload(s, &said);
	free(said);
}

static void
on_mail(void *arg, struct mail *mail)
{
	struct server *s = arg;
	struct message *m = (struct message *)mail;

	switch (m->kind) {
	case MESSAGE_MOVED:
		s->moved++;
		if (handover_giving(s->handover) && s->moved == s->started)
			finish_giving(s);
		break;
	case MESSAGE_DRAINED:
		s->drained++;
		serve_maybe_end(s);
		break;
	case MESSAGE_REGISTRY:
	case MESSAGE_TUNNELS:
		admin_mail(s->admin, m);
		return; /* taken */
	default:
		handover_mail(s->handover, m);
		return; /* taken */
	}
	message_free(m);
}

/*
 * Start and end.
 */

/* Before the workers, which look whether there is one. */
static int
join_cluster(struct server *s, struct err *err)
{
	const struct relay_setup *setup = s->relay.setup;
	const struct relay_cluster *c = &setup->config.cluster;
	char address[DIRECTORY_ADDRESS_MAX + 1];
	struct directory_settings settings = { .url = c->directory,
		.password = setup->directory_password,
		.node = c->node,
		.address = c->advertise[0] != '\0' ? c->advertise : address,
		.lease_ms = (uint32_t)c->lease,
		.fence_ms = (uint32_t)c->fence };

	if (c->directory[0] == '\0')
		return 0;
	listeners_address(
	    address, sizeof(address), s->listeners, INHERIT_CLUSTER);
	return directory_open(&s->relay.directory, &s->relay, &settings, err);
}

/* Of hosts, and of other relays for theirs: not before those that come to the
 * relay before us go on to ours, as we could not give them to its agents. */
void
serve_requests(struct server *s)
{
	listeners_accept(s->listeners, INHERIT_INTERNAL, true);
	listeners_accept(s->listeners, INHERIT_CLUSTER, true);
}

static size_t
worker_count(const struct relay_config *c)
{
	cpu_set_t mine;

	if (c->workers > 0)
		return (size_t)c->workers;
	/* Those that we may run on: taskset and containers give fewer, and two
	 * workers on one processor only wait for each other. */
	if (sched_getaffinity(0, sizeof(mine), &mine) == 0)
		return (size_t)CPU_COUNT(&mine);
	return 1;
}

static int
start_workers(struct server *s, struct err *err)
{
	size_t count = worker_count(&s->relay.setup->config);

	s->relay.workers = calloc(count, sizeof(struct worker *));
	if (s->relay.workers == NULL)
		return err_set(err, ERR_MEMORY, "no memory for workers");
	for (size_t i = 0; i < count; i++) {
		if (worker_new(
			&s->relay.workers[i], &s->relay, (uint32_t)i, err) != 0)
			return -1;
		s->relay.worker_count++;
	}
	for (size_t i = 0; i < count; i++) {
		if (worker_start(s->relay.workers[i], err) != 0)
			return -1;
		s->started++;
	}
	return 0;
}

static int
start(struct server *s, bool takeover, struct err *err)
{
	const struct relay_config *c = &s->relay.setup->config;

	if (loop_new(&s->loop, on_mail, s, err) != 0)
		return -1;
	s->relay.main_loop = s->loop;
	loop_timer_init(&s->deadline, s->loop, on_deadline, s);
	upkeep_start(&s->upkeep, &s->relay, s->loop, UPKEEP_PRUNE_MS);
	if (handover_new(&s->handover, &s->relay, &succession_ops, s, err) !=
		0 ||
	    loop_signal(s->loop, SIGTERM, on_term, s, err) != 0 ||
	    loop_signal(s->loop, SIGINT, on_term, s, err) != 0 ||
	    loop_signal(s->loop, SIGHUP, on_hup, s, err) != 0 ||
	    succession_open(s, takeover, err) != 0 ||
	    admin_new(&s->admin, &s->relay, &admin_ops, s, err) != 0 ||
	    admin_listen(s->admin, handover_taking(s->handover), s->listeners,
		err) != 0 ||
	    folder_make(c->state, 0700, c->user, err) != 0 ||
	    privileges_drop(c->user, err) != 0 ||
	    confine(c, s->relay.file, err) != 0 ||
	    relay_open_state(&s->relay, err) != 0 ||
	    join_cluster(s, err) != 0 || start_workers(s, err) != 0 ||
	    admin_start(s->admin, s->loop, err) != 0 ||
	    listeners_start(s->listeners, s->loop, err) != 0 ||
	    handover_start(s->handover, s->loop, s->listeners, err) != 0)
		return -1;
	watchdog_start(&s->watchdog, &s->relay);
	listeners_accept(s->listeners, INHERIT_PUBLIC, true);
	if (!handover_taking(s->handover))
		serve_requests(s);
	return 0;
}

static void
stop(struct server *s)
{
	listeners_close(s->listeners);
	serve_tell_workers(s, MESSAGE_QUIT);
	for (size_t i = 0; i < s->started; i++)
		worker_join(s->relay.workers[i]);
	/* What it sends home still finds the loops of the workers. */
	directory_close(s->relay.directory);
	s->relay.directory = NULL;
	relay_close_state(&s->relay);
	for (size_t i = 0; i < s->relay.worker_count; i++)
		worker_free(s->relay.workers[i]);
	free(s->relay.workers);
	handover_free(s->handover);
	admin_free(s->admin);
	if (s->loop != NULL) {
		watchdog_stop(&s->watchdog);
		loop_timer_free(&s->deadline);
		upkeep_stop(&s->upkeep);
		for (struct mail *m = loop_take(s->loop), *next; m != NULL;
		     m = next) {
			next = m->next;
			message_free((struct message *)m);
		}
	}
	loop_free(s->loop);
	notify_close(&s->relay.notify);
	relay_fini(&s->relay);
}

int
serve(struct relay_setup *setup, const struct serve_options *options,
    struct err *err)
{
	struct server s = { 0 };
	int rc = -1;

	signal(SIGPIPE, SIG_IGN);
	privileges_raise_files();
	if (relay_init(&s.relay, setup, err) != 0)
		return -1;
	s.relay.file = options->file;
	notify_open(&s.relay.notify);
	if (start(&s, options->takeover, err) != 0)
		goto out;
	setup_warn(setup);
	log_info(NULL, "ready: %s", s.ready);
	notify_send(&s.relay.notify, "READY=1\nSTATUS=%.300s", s.ready);
	if (loop_run(s.loop, err) != 0)
		goto out;
	log_info(NULL, "ended");
	rc = 0;
out:
	stop(&s);
	return rc;
}
