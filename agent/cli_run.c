#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli.h"
#include "agent/config.h"
#include "agent/control.h"
#include "agent/dialer.h"
#include "common/log.h"

#define LOCK_WAIT_MS 2000

static const char usage[] =
    "usage: attest-agent run [--relay URL] [--ca FILE] [options]\n"
    "\n"
    "Dial out to a relay and answer launches of the registered VMs until\n"
    "SIGTERM.  Every option is a key of agent.yaml, too.\n"
    "\n"
    "  --relay URL          wss://HOST[:PORT][/BASE][#PIN]   relay.url\n"
    "                       again for more relays, each with a\n"
    "                       tunnel of its own                relay.urls\n"
    "  --ca FILE            authorities for its certificate  relay.ca\n"
    "  --pin sha256/BASE64  its public key, beside that      relay.pin\n"
    "  --relay-name NAME    what it must call itself         relay.name\n"
    "  --allow-no-binding   accept a relay behind a TLS balancer\n"
    "                                            relay.allow-no-binding\n"
    "  --proxy URL          HTTP proxy; else HTTPS_PROXY     proxy.url\n"
    "  --log-level WORD     error, warn, info, debug         log.level\n"
    "  -v                   the same as --log-level debug\n"
    "  --log-format WORD    text, json, journal              log.format\n"
    "\n"
    "exit status: 0 ended by a signal, 1 the relay will not have this agent\n"
    "or the state cannot be used, 2 usage\n"
    "\n"
    "example: attest-agent run --relay wss://attest.cloud.example/sev\n";

static const struct {
	const char *flag;
	const char *key;
} flags[] = {
	{ "ca", "relay.ca" },
	{ "pin", "relay.pin" },
	{ "relay-name", "relay.name" },
	{ "proxy", "proxy.url" },
	{ "log-level", "log.level" },
	{ "log-format", "log.format" },
};

/* One running agent. */
struct running {
	struct state state;
	struct config config;
	struct key *key;
	struct vault *vault;
	struct dialer_relay relays[DIALER_ENDPOINTS_MAX];
	struct dialer *dialer;
	struct worker *worker;
	struct control *control;
};

static bool
is_zero(const struct uuid *u)
{
	static const struct uuid zero;

	return uuid_equal(u, &zero);
}

/* Each line of the owner's log, once it is on the disk. */
static void
echo(void *arg, const struct store_audit *row)
{
	char session[UUID_TEXT_LEN + 1] = "";
	char vm[UUID_TEXT_LEN + 1] = "";
	struct log_subject subject;

	(void)arg;
	if (!is_zero(&row->session))
		(void)uuid_format(session, &row->session);
	log_subject_set(&subject, "vm %s", uuid_format(vm, &row->vm));
	if (strcmp(row->event, "ALARM") == 0)
		log_error(&subject, "#%llu ALARM: %s%s%s",
		    (unsigned long long)row->seq, row->detail,
		    session[0] != '\0' ? "; session " : "", session);
	else
		log_info(&subject, "#%llu %s: %s%s%s",
		    (unsigned long long)row->seq, row->event, row->detail,
		    session[0] != '\0' ? "; session " : "", session);
}

static json_t *
describe_relay(const struct endpoint_status *s)
{
	char since[TIMES_TEXT_LEN] = "";

	/* A name that was never found yet has no state to date. */
	if (s->since_wall_ms != 0)
		(void)times_rfc3339(since, s->since_wall_ms);
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:I,s:I,s:I,s:I,s:I,"
			 "s:s}",
	    "relay", s->url, "address", s->address, "state",
	    endpoint_state_name(s->state), "since", since, "relay-name",
	    s->facts.relay_name, "tenant", s->facts.tenant, "channel-binding",
	    s->facts.binding ? 1 : 0, "session-number",
	    (json_int_t)s->facts.session_number, "claimed",
	    (json_int_t)s->facts.claimed, "denied", (json_int_t)s->facts.denied,
	    "standby", (json_int_t)s->facts.standby, "clock-skew-ms",
	    (json_int_t)s->facts.skew_ms, "last-error", s->last_error);
}

/* The relay that is best off speaks for all; then comes each by itself. */
static json_t *
describe(const struct dialer_status *s, size_t vms)
{
	json_t *v = describe_relay(&s->relays[s->best]);
	json_t *head, *list = json_array();
	size_t i;

	head = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I}", "schema",
	    "attest-agent.status/1", "version", ATTEST_VERSION, "vms",
	    (json_int_t)vms, "tunnels", (json_int_t)s->tunnels, "answers",
	    (json_int_t)s->answers, "relays-ready", (json_int_t)s->ready);
	for (i = 0; i < s->count; i++)
		if (json_array_append_new(
			list, describe_relay(&s->relays[i])) != 0)
			break;
	if (i < s->count || json_object_update(head, v) != 0 ||
	    json_object_set(head, "relays", list) != 0) {
		json_decref(head);
		head = NULL;
	}
	json_decref(v);
	json_decref(list);
	return head;
}

static int
tell_status(struct running *r, struct buf *out, struct err *err)
{
	struct dialer_status s;
	size_t vms = 0;
	json_t *v;
	char *text;
	json_free_t give_back;
	int rc;

	dialer_get_status(&s, r->dialer);
	free(worker_names(r->worker, &vms));
	v = describe(&s, vms);
	text = v != NULL ? json_dumps(v, JSON_COMPACT | JSON_PRESERVE_ORDER)
			 : NULL;
	json_decref(v);
	if (text == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the status");
	rc = buf_append(out, span_str(text), err);
	json_get_alloc_funcs(NULL, &give_back);
	give_back(text);
	return rc;
}

static int
answer(void *arg, unsigned op, struct span in, struct buf *out, struct err *err)
{
	struct running *r = arg;

	if (op == OWNER_STATUS)
		return tell_status(r, out, err);
	return worker_ask(r->worker, op, in, out, err);
}

static void
signalled(void *arg, int number)
{
	struct running *r = arg;

	log_info(NULL, "ending: signal %d", number);
	dialer_stop(r->dialer);
}

static int
read_flags(struct config *c, int argc, char **argv, struct err *err)
{
	bool first = true;
	size_t f;
	int i;

	for (i = 1; i < argc; i++) {
		const char *relay = NULL;
		int got = 0;

		if (strcmp(argv[i], "-v") == 0 || strcmp(argv[i], "-vv") == 0) {
			c->log_level = LOG_LEVEL_DEBUG;
			continue;
		}
		if (cli_flag(argv, i, "allow-no-binding")) {
			c->allow_no_binding = true;
			continue;
		}
		got = cli_value(&relay, argc, argv, &i, "relay");
		if (got > 0 && config_add_relay(c, relay, first, err) != 0)
			return -1;
		first = first && got <= 0;
		for (f = 0; got == 0 && f < sizeof(flags) / sizeof(flags[0]);
		     f++) {
			const char *value = NULL;

			got = cli_value(&value, argc, argv, &i, flags[f].flag);
			if (got > 0 &&
			    conf_set(c, &config_table, flags[f].key, value,
				err) != 0)
				return -1;
		}
		if (got <= 0)
			return err_set(err, ERR_USAGE, "run: %s%s", argv[i],
			    got < 0 ? " wants a value" : "?");
	}
	return 0;
}

static int
start(struct running *r, struct err *err)
{
	struct vault_options vault = { .clock = times_system(), .echo = echo };
	struct dialer_options dialer = {
		.relays = r->relays,
		.relay_name = r->config.relay_name[0] != '\0'
		    ? r->config.relay_name
		    : NULL,
		.allow_no_binding = r->config.allow_no_binding,
		.clock = times_system(),
	};
	struct control_ops control = { answer, signalled, r };
	struct worker_ops worker;

	if (config_relays(r->relays, &dialer.relay_count, &r->config, err) !=
		0 ||
	    state_lock(&r->state, LOCK_WAIT_MS, err) != 0)
		return -1;
	if (key_load(&r->key, &r->state, err) != 0) {
		if (err->code == ERR_NOT_FOUND)
			(void)err_set(err, ERR_NOT_FOUND,
			    "%s: no key yet: attest-agent key new",
			    r->state.dir);
		return -1;
	}
	dialer.key = r->key;
	if (vault_open(&r->vault, &r->state, &vault, err) != 0 ||
	    dialer_new(&r->dialer, &dialer, err) != 0)
		return -1;
	worker = dialer_worker_ops(r->dialer);
	if (worker_start(&r->worker, r->vault, &worker, err) != 0)
		return -1;
	dialer_set_worker(r->dialer, r->worker);
	return control_start(&r->control, &r->state, &control, err);
}

/* The control thread may be asking the worker: it goes first. */
static void
end(struct running *r)
{
	control_stop(r->control);
	worker_stop(r->worker);
	if (r->dialer != NULL)
		dialer_set_worker(r->dialer, NULL);
	dialer_free(r->dialer);
	vault_close(r->vault);
	key_free(r->key);
	state_close(&r->state);
	config_free(&r->config);
}

int
cli_run(const struct cli *cli, int argc, char **argv)
{
	struct running r = { .state = { .dir_fd = -1, .lock_fd = -1 } };
	int status = CLI_FAILED;
	struct err err = { 0 };
	sigset_t signals;
	int i;

	for (i = 1; i < argc; i++)
		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
	/* Every thread inherits this; the control thread takes them. */
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (config_load(&r.config, cli->config, &err) != 0 ||
	    read_flags(&r.config, argc, argv, &err) != 0) {
		status = cli_misuse(usage, "%s", err.msg);
		goto out;
	}
	log_open(STDERR_FILENO, (enum log_level)r.config.log_level,
	    (enum log_format)r.config.log_format);
	if (state_open(&r.state, cli->state_dir, &err) != 0 ||
	    start(&r, &err) != 0) {
		status = cli_fail(&err);
		goto out;
	}
	status = dialer_run(r.dialer) == 0 ? CLI_OK : CLI_FAILED;
	log_info(NULL, "ended");
out:
	end(&r);
	return status;
}
