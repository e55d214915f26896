#include "relay/serve.h"

#include "common/log.h"
#include "common/secret.h"
#include "relay/listen.h"
#include "relay/privileges.h"
#include "relay/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define DRAIN_SLACK_MS 2000
#define READY_MAX 2048
#define CERT_WARN_DAYS 14

struct server {
	struct relay relay;
	struct loop *loop;
	struct listeners *listeners;
	size_t started; /* workers */
	size_t drained;
	bool draining;
	struct loop_timer deadline;
};

static void
tell_workers(struct server *s, enum message_kind kind)
{
	for (size_t i = 0; i < s->started; i++) {
		struct message *m = calloc(1, sizeof(*m));

		if (m == NULL)
			abort(); /* nothing can be ended in order any more */
		m->kind = kind;
		loop_post(s->relay.workers[i]->loop, &m->mail);
	}
}

static void
on_deadline(void *arg)
{
	struct server *s = arg;

	loop_stop(s->loop);
}

static void
on_term(void *arg)
{
	struct server *s = arg;

	if (s->draining) {
		log_info(NULL, "second signal: ending at once");
		loop_stop(s->loop);
		return;
	}
	s->draining = true;
	log_info(NULL, "draining: no new connections; %u are open",
	    atomic_load(&s->relay.connections));
	listeners_close(s->listeners);
	s->listeners = NULL;
	atomic_store(&s->relay.draining, true);
	tell_workers(s, MESSAGE_DRAIN);
	loop_timer_set(&s->deadline,
	    s->relay.setup->config.timeouts.drain + DRAIN_SLACK_MS);
}

static void
on_mail(void *arg, struct mail *mail)
{
	struct server *s = arg;

	message_free((struct message *)mail);
	if (++s->drained == s->started)
		loop_stop(s->loop);
}

static size_t
worker_count(const struct relay_config *c)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (c->workers > 0)
		return (size_t)c->workers;
	return cpus > 0 ? (size_t)cpus : 1;
}

static int
make_workers(struct server *s, struct err *err)
{
	size_t count = worker_count(&s->relay.setup->config);
	uint8_t keys[TLS_TICKET_KEYS_LEN];
	int rc = -1;

	s->relay.workers = calloc(count, sizeof(struct worker *));
	if (s->relay.workers == NULL)
		return err_set(err, ERR_MEMORY, "no memory for workers");
	if (secret_random(keys, sizeof(keys), err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (worker_new(&s->relay.workers[i], &s->relay, (uint32_t)i,
			span_of(keys, sizeof(keys)), err) != 0)
			goto out;
		s->relay.worker_count++;
	}
	rc = 0;
out:
	secret_wipe(keys, sizeof(keys));
	return rc;
}

static int
start(struct server *s, char *ready, struct err *err)
{
	const struct relay_config *c = &s->relay.setup->config;

	if (loop_new(&s->loop, on_mail, s, err) != 0)
		return -1;
	s->relay.main_loop = s->loop;
	loop_timer_init(&s->deadline, s->loop, on_deadline, s);
	if (loop_signal(s->loop, SIGTERM, on_term, s, err) != 0 ||
	    loop_signal(s->loop, SIGINT, on_term, s, err) != 0 ||
	    listeners_open(&s->listeners, &s->relay, ready, READY_MAX, err) !=
		0 ||
	    privileges_drop(c->user, err) != 0 || make_workers(s, err) != 0)
		return -1;
	for (size_t i = 0; i < s->relay.worker_count; i++) {
		if (worker_start(s->relay.workers[i], err) != 0)
			return -1;
		s->started++;
	}
	return listeners_start(s->listeners, s->loop, err);
}

static void
warn_of(const struct relay_setup *setup)
{
	int public = tls_identity_days(setup->public);
	int internal = tls_identity_days(setup->internal);

	if (public < CERT_WARN_DAYS)
		log_warn(NULL, "public.certificate ends in %d days", public);
	if (internal < CERT_WARN_DAYS)
		log_warn(
		    NULL, "internal.certificate ends in %d days", internal);
	if (setup->config.host_auth == 0)
		log_warn(NULL, "hosts.auth is empty: no host is let in");
	if (tenants_count(setup->tenants) == 0)
		log_warn(NULL, "there are no tenants: no agent is let in");
}

int
serve(struct relay_setup *setup, struct err *err)
{
	struct server s = { 0 };
	char ready[READY_MAX];
	int rc = -1;

	signal(SIGPIPE, SIG_IGN);
	privileges_raise_files();
	if (relay_init(&s.relay, setup, err) != 0)
		return -1;
	if (start(&s, ready, err) != 0)
		goto out;
	warn_of(setup);
	log_info(NULL, "ready: %s", ready);
	if (loop_run(s.loop, err) != 0)
		goto out;
	log_info(NULL, "ended");
	rc = 0;
out:
	listeners_close(s.listeners);
	tell_workers(&s, MESSAGE_QUIT);
	for (size_t i = 0; i < s.started; i++)
		worker_join(s.relay.workers[i]);
	for (size_t i = 0; i < s.relay.worker_count; i++)
		worker_free(s.relay.workers[i]);
	free(s.relay.workers);
	if (s.loop != NULL) {
		loop_timer_free(&s.deadline);
		for (struct mail *m = loop_take(s.loop), *next; m != NULL;
		     m = next) {
			next = m->next;
			message_free((struct message *)m);
		}
	}
	loop_free(s.loop);
	relay_fini(&s.relay);
	return rc;
}
