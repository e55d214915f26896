#include <stdio.h>

#include "agent/cli/cli.h"
#include "common/uuid.h"

static const char usage[] =
    "usage: attest-agent cancel SESSION [--json]\n"
    "\n"
    "End a launch session that is open: its keys are erased, and its guest\n"
    "gets nothing. The log tells the sessions (attest-agent log show).\n"
    "\n"
    "example: attest-agent cancel 8c1e2f04-8a63-4b0a-9d6e-7f3a5c1b2d90\n";

int
cli_cancel(const struct cli *cli, int argc, char **argv)
{
	const char *word = NULL;
	struct err err = { 0 };
	json_t *reply = NULL;
	struct uuid session;
	bool json = false;
	int i;

	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		if (cli_flag(argv, i, "json"))
			json = true;
		else if (word == NULL && argv[i][0] != '-')
			word = argv[i];
		else
			return cli_misuse(usage, "cancel: %s?", argv[i]);
	}
	if (word == NULL || uuid_parse(&session, span_str(word), &err) != 0)
		return cli_misuse(usage, "cancel: want the id of a session");
	if (cli_ask(&reply, cli, OWNER_CANCEL,
		span_of(session.bytes, sizeof(session.bytes)), &err) != 0)
		return cli_fail_as(json, &err);
	if (json)
		cli_print_json(reply);
	else
		(void)printf("cancelled %s\n", cli_text(reply, "cancelled"));
	json_decref(reply);
	return CLI_OK;
}
