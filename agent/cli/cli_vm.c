#include <stdio.h>
#include <string.h>

#include "agent/cli/cli.h"

static const char usage[] =
    "usage: attest-agent vm add|list|show|remove|disable|enable ...\n"
    "\n"
    "The VMs whose secrets this agent holds.\n"
    "\n"
    "  add NAME ...         register one: attest-agent vm add --help\n"
    "  list                 all of them\n"
    "  show NAME|UUID       what is expected of one; never its secrets\n"
    "  remove NAME|UUID     forget one, and end its sessions\n"
    "  disable NAME|UUID    refuse every launch and release of it ...\n"
    "  enable NAME|UUID     ... until this\n"
    "  --json               as JSON\n"
    "\n"
    "A running agent takes every change at once.\n"
    "\n"
    "example: attest-agent vm show web1\n";

static void
print_list(const json_t *reply)
{
	const json_t *vms = json_object_get(reply, "vms");
	size_t i;

	if (json_is_true(json_object_get(reply, "locked")))
		(void)fprintf(
		    stderr, "attest-agent: locked: attest-agent unlock\n");
	for (i = 0; i < json_array_size(vms); i++) {
		const json_t *vm = json_array_get(vms, i);

		(void)printf("%-20s %s %-10s released %lld, open %lld%s\n",
		    cli_text(vm, "name"), cli_text(vm, "vm"),
		    cli_text(vm, "scheme"), cli_number(vm, "released"),
		    cli_number(vm, "open-sessions"),
		    json_is_true(json_object_get(vm, "disabled")) ? ", disabled"
								  : "");
	}
}

static void
print_words(const char *head, const json_t *list)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		(void)printf("%-10s %s\n", head,
		    json_string_value(json_array_get(list, i)));
}

/* Of CPUs and of time, and the list of what is out. */
static void
print_bounds(const json_t *vm)
{
	static const char *const names[][2] = {
		{ "valid-from", "from" },
		{ "valid-until", "until" },
		{ "cek-blocklist", "blocklist" },
	};
	const json_t *cpus = json_object_get(vm, "cpu-count");
	size_t i;

	for (i = 0; i < json_array_size(cpus); i++)
		(void)printf("%s%lld%s", i == 0 ? "vCPUs      " : ", ",
		    (long long)json_integer_value(json_array_get(cpus, i)),
		    i + 1 == json_array_size(cpus) ? "\n" : "");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (cli_text(vm, names[i][0])[0] != '\0')
			(void)printf("%-10s %s\n", names[i][1],
			    cli_text(vm, names[i][0]));
}

static void
print_limit(const json_t *vm)
{
	if (cli_number(vm, "max-instances") == 0)
		return;
	(void)printf(
	    "instances  %lld at most", cli_number(vm, "max-instances"));
	if (cli_number(vm, "per-seconds") > 0)
		(void)printf(" in %lld s", cli_number(vm, "per-seconds"));
	(void)printf(", then %s\n", cli_text(vm, "then"));
}

/* Where its rules go beyond the usual ones. */
static void
print_more(const json_t *vm)
{
	if (cli_number(vm, "roots") > 0)
		(void)printf(
		    "roots      %lld besides AMD's\n", cli_number(vm, "roots"));
	if (cli_number(vm, "denied-chips") > 0)
		(void)printf(
		    "denied     %lld chips\n", cli_number(vm, "denied-chips"));
	if (strcmp(cli_text(vm, "approve"), "never") != 0)
		(void)printf("approve    %s, at %s\n", cli_text(vm, "approve"),
		    cli_text(vm, "approve-at"));
}

static void
print_vm(const json_t *vm)
{
	const json_t *digests = json_object_get(vm, "digests");
	size_t i;

	(void)printf("name       %s\nvm         %s\nscheme     %s\n",
	    cli_text(vm, "name"), cli_text(vm, "vm"), cli_text(vm, "scheme"));
	if (json_is_true(json_object_get(vm, "disabled")))
		(void)printf("disabled   until attest-agent vm enable\n");
	if (json_object_get(vm, "shared-rank") != NULL)
		(void)printf("shared     with other agents, rank %lld\n",
		    cli_number(vm, "shared-rank"));
	(void)printf("policy     %s\n", cli_text(vm, "policy-text"));
	for (i = 0; i < json_array_size(digests); i++) {
		const json_t *d = json_array_get(digests, i);

		(void)printf("expects    %s  %s\n", cli_text(d, "digest"),
		    cli_text(d, "about"));
	}
	print_words("cloud", json_object_get(vm, "cloud-certs"));
	print_words("chip", json_object_get(vm, "chips"));
	if (json_is_true(json_object_get(vm, "any-platform")))
		(void)printf("platform   any genuine AMD machine\n");
	print_words("denied", json_object_get(vm, "deny-generations"));
	(void)printf("firmware   at least %s build %lld\n",
	    cli_text(vm, "min-api"), cli_number(vm, "min-build"));
	print_words("host", json_object_get(vm, "allow-hosts"));
	print_bounds(vm);
	print_limit(vm);
	print_more(vm);
	(void)printf("secrets    %lld\n", cli_number(vm, "secrets"));
	(void)printf("released   %lld since %s\n", cli_number(vm, "released"),
	    cli_text(vm, "registered"));
}

/* "removed 57f6...": the one member that such an answer has. */
static void
print_done(json_t *reply)
{
	void *at = json_object_iter(reply);

	(void)printf("%s %s\n", json_object_iter_key(at),
	    json_string_value(json_object_iter_value(at)));
}

static int
ask(const struct cli *cli, unsigned op, const char *word, bool json)
{
	struct err err = { 0 };
	json_t *reply = NULL;

	if (cli_ask(&reply, cli, op,
		word != NULL ? span_str(word) : (struct span){ 0 }, &err) != 0)
		return cli_fail_as(json, &err);
	if (json)
		cli_print_json(reply);
	else if (op == OWNER_LIST)
		print_list(reply);
	else if (op == OWNER_SHOW)
		print_vm(reply);
	else
		print_done(reply);
	json_decref(reply);
	return CLI_OK;
}

int
cli_vm(const struct cli *cli, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	const char *word = NULL;
	bool json = false;
	int i;

	if (strcmp(verb, "add") == 0)
		return cli_vm_add(cli, argc - 1, argv + 1);
	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		if (cli_flag(argv, i, "json"))
			json = true;
		else if (i > 1 && word == NULL && argv[i][0] != '-')
			word = argv[i];
		else if (i > 1)
			return cli_misuse(usage, "vm: %s?", argv[i]);
	}
	if (strcmp(verb, "list") == 0 && word == NULL)
		return ask(cli, OWNER_LIST, NULL, json);
	if (word == NULL)
		return cli_misuse(usage,
		    "vm: want add, list, or show, remove, disable or "
		    "enable with a VM");
	if (strcmp(verb, "show") == 0)
		return ask(cli, OWNER_SHOW, word, json);
	if (strcmp(verb, "disable") == 0)
		return ask(cli, OWNER_DISABLE, word, json);
	if (strcmp(verb, "enable") == 0)
		return ask(cli, OWNER_ENABLE, word, json);
	if (strcmp(verb, "remove") == 0)
		return ask(cli, OWNER_REMOVE, word, json);
	return cli_misuse(usage, "vm: %s?", verb);
}
