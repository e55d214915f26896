#include <stdio.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/plain.h"

static const char usage[] =
    "usage: attest-agent status [--json]\n"
    "\n"
    "Ask the running agent how its tunnels are.\n"
    "\n"
    "  --json  as JSON, schema attest-agent.status/1\n"
    "\n"
    "exit status: 0 a tunnel is ready, 1 none is or no agent runs\n";

/* With more than one relay: a line for each. */
static void
print_relays(const json_t *list)
{
	const json_t *one;
	size_t i;

	if (json_array_size(list) < 2)
		return;
	json_array_foreach(list, i, one)
	{
		(void)printf("%-8s %-10s %s", i == 0 ? "relays" : "",
		    cli_text(one, "state"), cli_text(one, "relay"));
		if (cli_text(one, "address")[0] != '\0')
			(void)printf(" (%s)", cli_text(one, "address"));
		if (cli_text(one, "last-error")[0] != '\0')
			(void)printf(": %s", cli_text(one, "last-error"));
		(void)printf("\n");
	}
}

static void
print_tunnel(const json_t *s)
{
	bool bound = json_is_true(json_object_get(s, "channel-binding"));

	(void)printf("tunnel   %s since %s\n", cli_text(s, "state"),
	    cli_text(s, "since"));
	(void)printf("relay    %s", cli_text(s, "relay"));
	if (cli_text(s, "relay-name")[0] != '\0')
		(void)printf(" (%s), tenant %s", cli_text(s, "relay-name"),
		    cli_text(s, "tenant"));
	(void)printf("\n");
	if (cli_text(s, "relay-name")[0] != '\0')
		(void)printf("binding  %s\n",
		    bound ? "bound to the TLS connection"
			  : "OFF at the relay: hellos are not bound to TLS");
}

/* Words of relays, through a process that may have fallen to one (T30). */
static void
make_plain(json_t *v)
{
	const char *name;
	char text[1024];
	json_t *one;
	size_t i;

	json_array_foreach(v, i, one) make_plain(one);
	json_object_foreach(v, name, one) make_plain(one);
	if (!json_is_string(v))
		return;
	(void)snprintf(text, sizeof(text), "%s", json_string_value(v));
	(void)json_string_set(v, plain(text));
}

/* The process that tells the rest knows nothing of it. */
static void
add_lock(json_t *s, const struct cli *cli)
{
	json_t *list = NULL;

	if (cli_number(s, "vms") == 0 &&
	    cli_ask(&list, cli, OWNER_LIST, (struct span){ 0 }, NULL) == 0)
		(void)json_object_set(
		    s, "locked", json_object_get(list, "locked"));
	json_decref(list);
}

static void
print(json_t *s)
{
	make_plain(s);

	if (json_is_true(json_object_get(s, "locked")))
		(void)printf("locked   until attest-agent unlock\n");
	if (cli_text(s, "relay")[0] != '\0')
		print_tunnel(s);
	if (cli_text(s, "direct")[0] != '\0')
		(void)printf("listens  %s\n", cli_text(s, "direct"));
	(void)printf("VMs      %lld registered, %lld claimed, %lld denied, "
		     "%lld standby\n",
	    cli_number(s, "vms"), cli_number(s, "claimed"),
	    cli_number(s, "denied"), cli_number(s, "standby"));
	(void)printf("answers  %lld over %lld tunnels\n",
	    cli_number(s, "answers"), cli_number(s, "tunnels"));
	if (cli_text(s, "last-error")[0] != '\0')
		(void)printf("error    %s\n", cli_text(s, "last-error"));
	print_relays(json_object_get(s, "relays"));
}

int
cli_status(const struct cli *cli, int argc, char **argv)
{
	struct err err = { 0 };
	json_t *s = NULL;
	bool json = false;
	int rc;
	int i;

	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		if (!cli_flag(argv, i, "json"))
			return cli_misuse(usage, "status: %s?", argv[i]);
		json = true;
	}
	if (cli_ask(&s, cli, OWNER_STATUS, (struct span){ 0 }, &err) != 0) {
		if (json)
			(void)printf("{\"schema\":\"attest-agent.status/1\","
				     "\"state\":\"not-running\"}\n");
		return cli_fail(&err);
	}
	add_lock(s, cli);
	if (json)
		cli_print_json(s);
	else
		print(s);
	rc = strcmp(cli_text(s, "state"), "ready") == 0 ||
		(cli_text(s, "relay")[0] == '\0' &&
		    cli_text(s, "direct")[0] != '\0')
	    ? CLI_OK
	    : CLI_FAILED;
	json_decref(s);
	return rc;
}
