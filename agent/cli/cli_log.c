#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/json.h"

static const char usage[] =
    "usage: attest-agent log show|verify [--json] [--vm NAME|UUID] "
    "[--after N]\n"
    "\n"
    "The owner's log: who asked for what, and why it was refused.\n"
    "\n"
    "  show      print it, oldest line first\n"
    "  verify    recompute its chain of hashes\n"
    "  --vm V    of one VM only\n"
    "  --after N from behind line N\n"
    "  --json    one JSON object a line\n"
    "\n"
    "exit status: 0 good, 1 failed or the chain is broken, 2 usage\n";

static void
print_line(const json_t *line, bool json)
{
	if (json) {
		cli_print_json(line);
		return;
	}
	(void)printf("%6lld %s %-10s", cli_number(line, "seq"),
	    cli_text(line, "time"), cli_text(line, "event"));
	if (cli_text(line, "vm")[0] != '\0')
		(void)printf(" vm %s", cli_text(line, "vm"));
	if (cli_text(line, "session")[0] != '\0')
		(void)printf(" session %s", cli_text(line, "session"));
	(void)printf(" %s\n", cli_text(line, "detail"));
}

int
cli_log_each(const struct cli *cli, const char *vm, uint64_t after,
    cli_log_fn *fn, void *arg, struct err *err)
{
	uint8_t in[12 + REGISTRATION_NAME_MAX];
	size_t count;

	/* Page by page, so that a long log needs no long answer. */
	do {
		struct writer w = writer_of(in, sizeof(in));
		json_t *page = NULL;
		const json_t *lines;
		size_t i;

		writer_be64(&w, after);
		writer_be32(&w, OWNER_LOG_MAX);
		if (vm != NULL)
			writer_put(&w, span_str(vm));
		if (!writer_ok(&w))
			return err_set(err, ERR_USAGE, "VM: too long a name");
		if (cli_ask(&page, cli, OWNER_LOG, writer_span(&w), err) != 0)
			return -1;
		lines = json_object_get(page, "lines");
		count = json_array_size(lines);
		for (i = 0; i < count; i++) {
			const json_t *line = json_array_get(lines, i);

			fn(arg, line);
			after = (uint64_t)cli_number(line, "seq");
		}
		json_decref(page);
	} while (count == OWNER_LOG_MAX);
	return 0;
}

static void
print_one(void *arg, const json_t *line)
{
	const bool *json = arg;

	print_line(line, *json);
}

static int
show(const struct cli *cli, const char *vm, uint64_t after, bool json)
{
	struct err err = { 0 };

	if (cli_log_each(cli, vm, after, print_one, &json, &err) != 0)
		return cli_fail_as(json, &err);
	return CLI_OK;
}

static int
verify(const struct cli *cli, bool json)
{
	struct err err = { 0 };
	json_t *v = NULL;

	if (cli_ask(&v, cli, OWNER_VERIFY, (struct span){ 0 }, &err) != 0)
		return cli_fail_as(json, &err);
	if (json)
		cli_print_json(v);
	else
		(void)printf(
		    "%lld lines, chain unbroken\n", cli_number(v, "lines"));
	json_decref(v);
	return CLI_OK;
}

int
cli_log(const struct cli *cli, int argc, char **argv)
{
	const char *verb = NULL;
	const char *vm = NULL;
	const char *after = "0";
	uint64_t from = 0;
	bool json = false;
	int i;

	for (i = 1; i < argc; i++) {
		int got = 0;

		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		if (cli_flag(argv, i, "json")) {
			json = true;
			continue;
		}
		got = cli_value(&vm, argc, argv, &i, "vm");
		if (got == 0)
			got = cli_value(&after, argc, argv, &i, "after");
		if (got < 0)
			return cli_misuse(
			    usage, "log: %s wants a value", argv[i]);
		if (got > 0)
			continue;
		if (verb != NULL || argv[i][0] == '-')
			return cli_misuse(usage, "log: %s?", argv[i]);
		verb = argv[i];
	}
	if (!json_uint_text(&from, after, INT64_MAX))
		return cli_misuse(usage, "log: --after: want a number");
	if (verb != NULL && strcmp(verb, "show") == 0)
		return show(cli, vm, from, json);
	if (verb != NULL && strcmp(verb, "verify") == 0)
		return verify(cli, json);
	return cli_misuse(usage, "log: want show or verify");
}
