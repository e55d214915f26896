#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/doctor.h"
#include "agent/config.h"

static const char usage[] =
    "usage: attest-agent doctor [--json]\n"
    "\n"
    "Look for what may keep this agent from working: configuration, state\n"
    "folder and keys, disk, memory, the way to each relay (DNS, proxy, TCP,\n"
    "TLS, pin), the clock against it, AMD's key server, and a running agent's\n"
    "claims.  It changes nothing, and asks no relay for anything but its public\n"
    "description: a hello of its own would take the tunnel of an agent that\n"
    "runs elsewhere with this key.\n"
    "\n"
    "  --json  schema attest-agent.doctor/1\n"
    "\n"
    "exit status: 0 nothing failed (there may be warnings), 1 something did\n"
    "\n"
    "example: attest-agent doctor\n";

static void
check_claims(struct doctor *d, const json_t *relay)
{
	bool ready = strcmp(cli_text(relay, "state"), "ready") == 0;
	long long denied = cli_number(relay, "denied");

	if (!ready)
		doctor_say(d, DOCTOR_FAIL, "tunnel",
		    "see the lines above; attest-agent status follows it",
		    "%.100s: %s: %.100s", cli_text(relay, "relay"),
		    cli_text(relay, "state"), cli_text(relay, "last-error"));
	else if (!json_is_true(json_object_get(relay, "channel-binding")))
		doctor_say(d, DOCTOR_WARN, "tunnel",
		    "ask the operator why; a balancer that ends TLS can take "
		    "the tunnel over",
		    "%.150s: channel-binding is off", cli_text(relay, "relay"));
	else
		doctor_say(d, DOCTOR_OK, "tunnel", "", "%.150s: ready",
		    cli_text(relay, "relay"));
	if (!ready)
		return;
	doctor_say(d, denied > 0 ? DOCTOR_FAIL : DOCTOR_OK, "claims",
	    "have the UUIDs provisioned to your tenant (attest-agent vm list "
	    "shows them), or register with --new-uuid",
	    "%.100s: %lld claimed, %lld denied, %lld standby",
	    cli_text(relay, "relay"), cli_number(relay, "claimed"), denied,
	    cli_number(relay, "standby"));
}

static void
check_agent(struct doctor *d, json_t **status, const struct cli *cli)
{
	struct err err = { 0 };
	const json_t *relays;
	size_t i;

	*status = NULL;
	if (cli_ask(status, cli, OWNER_STATUS, (struct span){ 0 }, &err) != 0) {
		*status = NULL;
		doctor_say(d, DOCTOR_WARN, "agent",
		    "attest-agent run, or service install", "%.200s", err.msg);
		return;
	}
	doctor_say(d, DOCTOR_OK, "agent", "", "runs, version %.40s, %lld VMs",
	    cli_text(*status, "version"), cli_number(*status, "vms"));
	relays = json_object_get(*status, "relays");
	for (i = 0; i < json_array_size(relays); i++)
		check_claims(d, json_array_get(relays, i));
}

void
cli_examine(struct doctor *out, json_t **status, struct config *config,
    const struct cli *cli)
{
	memset(out, 0, sizeof(*out));
	doctor_state(out, cli->state_dir);
	doctor_machine(out);
	if (doctor_config(out, config, cli->config, cli->state_dir)) {
		doctor_direct(out, config);
		doctor_relays(out, config);
		doctor_key_server(out, config);
	}
	check_agent(out, status, cli);
}

json_t *
cli_checks(const struct doctor *d)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < d->count; i++) {
		const struct doctor_line *l = &d->lines[i];

		(void)json_array_append_new(list,
		    json_pack("{s:s,s:s,s:s,s:s}", "check", l->check, "level",
			doctor_level_name(l->level), "found", l->found, "fix",
			l->fix));
	}
	return list;
}

static void
print(const struct doctor *d)
{
	size_t i;

	for (i = 0; i < d->count; i++) {
		const struct doctor_line *l = &d->lines[i];

		(void)printf("%-4s  %-10s  %s\n", doctor_level_name(l->level),
		    l->check, l->found);
		if (l->level != DOCTOR_OK)
			(void)printf("      %-10s  -> %s\n", "", l->fix);
	}
}

int
cli_doctor(const struct cli *cli, int argc, char **argv)
{
	struct config config = { 0 };
	json_t *status = NULL;
	struct doctor *d;
	bool json = false;
	int rc;
	int i;

	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		if (!cli_flag(argv, i, "json"))
			return cli_misuse(usage, "doctor: %s?", argv[i]);
		json = true;
	}
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return CLI_FAILED;
	cli_examine(d, &status, &config, cli);
	if (json) {
		json_t *v = json_pack("{s:s,s:s,s:o}", "schema",
		    "attest-agent.doctor/1", "worst",
		    doctor_level_name(d->worst), "checks", cli_checks(d));

		if (v != NULL)
			cli_print_json(v);
		json_decref(v);
	} else {
		print(d);
	}
	rc = d->worst == DOCTOR_FAIL ? CLI_FAILED : CLI_OK;
	json_decref(status);
	config_free(&config);
	free(d);
	return rc;
}
