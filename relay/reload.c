#include "relay/reload.h"

#include "common/log.h"
#include "relay/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A worker's turn lasts milliseconds; main serves nobody meanwhile. */
#define TAKEN_WITHIN_MS 2000

/* What is used once, at the start. */
static const char *const fixed[] = {
	"user",
	"state",
	"workers",
	"admin.socket",
	"admin.listen",
	"public.listen",
	"internal.listen",
	"cluster.directory",
	"cluster.password-file",
	"cluster.node",
	"cluster.listen",
	"cluster.advertise",
	"cluster.certificate",
	"cluster.key",
	"cluster.ca",
	"cluster.lease",
	"cluster.fence",
	"takeover.socket",
	"sandbox.seccomp",
	"sandbox.landlock",
};
#define FIXED (sizeof(fixed) / sizeof(fixed[0]))

static char *
tell_fixed(const struct relay_config *old, const struct relay_config *new)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < FIXED; i++) {
		if (conf_same(old, new, &relay_config_table, fixed[i]))
			continue;
		fprintf(out, "needs a restart: %s\n", fixed[i]);
		log_warn(NULL, "needs a restart: %s", fixed[i]);
	}
	fclose(out);
	if (len == 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void
log_lines(const char *text)
{
	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, "\n");

		log_error(NULL, "%.*s", (int)len, text);
		text += len + (text[len] == '\n' ? 1 : 0);
	}
}

/* One for each worker, whole or not at all. */
static int
make_messages(struct message_setup **out, struct relay *r,
    struct relay_setup *setup, struct err *err)
{
	for (size_t i = 0; i < r->worker_count; i++) {
		struct message_setup *m = calloc(1, sizeof(*m));

		if (m == NULL)
			return err_set(err, ERR_MEMORY, "no memory");
		out[i] = m;
		m->m.kind = MESSAGE_SETUP;
		m->setup = setup_hold(setup);
		if (worker_tls(&m->public, &m->internal, r, setup, err) != 0)
			return -1;
	}
	return 0;
}

static int
use(struct relay *r, struct relay_setup *setup, struct err *err)
{
	struct message_setup **list = calloc(r->worker_count, sizeof(*list));
	int rc = -1;

	if (list == NULL)
		return err_set(err, ERR_MEMORY, "no memory");
	setup->number = ++r->setups;
	if (tenants_bind(setup->tenants, r->accounts, err) != 0 ||
	    make_messages(list, r, setup, err) != 0)
		goto out;
	for (size_t i = 0; i < r->worker_count; i++) {
		relay_setup_sent(r);
		loop_post(r->workers[i]->loop, &list[i]->m.mail);
		list[i] = NULL;
	}
	relay_use(r, setup_hold(setup));
	relay_apply_limits(r);
	/* "reloaded" is a promise: nobody is judged by the old one then. */
	if (!relay_await_taken(r, TAKEN_WITHIN_MS))
		log_warn(NULL, "a worker is busy: it reloads when it can");
	rc = 0;
out:
	for (size_t i = 0; i < r->worker_count; i++)
		if (list[i] != NULL)
			message_free(&list[i]->m);
	free(list);
	return rc;
}

/* By the old level or the new one, whichever lets it be seen. */
static void
tell_done(const struct relay_setup *setup, int old_level)
{
	const struct relay_config *c = &setup->config;

	log_open(STDERR_FILENO,
	    old_level > c->log_level ? old_level : c->log_level, c->log_format);
	log_info(NULL, "reloaded: %zu tenants, %zu tokens",
	    tenants_count(setup->tenants), setup->hosts.token_count);
	log_set_level(c->log_level);
}

int
reload_run(struct relay *r, char **said)
{
	struct conf_report report = { 0 };
	int level = r->setup->config.log_level;
	struct relay_setup *setup;
	struct err err;
	int rc = -1;

	*said = NULL;
	/* Once there is a successor, the manager listens to that one. */
	if (!atomic_load(&r->successor))
		notify_reloading(&r->notify);
	if (setup_load(&setup, r->file, &report) != 0)
		goto out;
	*said = tell_fixed(&r->setup->config, &setup->config);
	if (use(r, setup, &err) != 0) {
		conf_complain(&report, "name", "%s", err.msg);
		goto out;
	}
	tell_done(setup, level);
	rc = 0;
out:
	r->reloads[rc != 0]++;
	if (rc != 0) {
		free(*said);
		*said = report.text;
		report.text = NULL;
		log_error(
		    NULL, "not reloaded: the configuration stays as it was");
		log_lines(*said);
	}
	setup_drop(setup);
	conf_report_free(&report);
	if (!atomic_load(&r->successor))
		notify_send(&r->notify, "READY=1");
	return rc;
}
