#include <stdio.h>
#include <string.h>

#include "agent/api/api_token.h"
#include "agent/cli/cli.h"

static const char usage[] =
    "usage: attest-agent api token [--renew] [--json]\n"
    "\n"
    "The token for the owner's API over HTTPS (api.listen in agent.yaml). It\n"
    "is printed this once; the state folder keeps its hash. A running agent\n"
    "takes a new one when it is started again.\n"
    "\n"
    "  --renew   in the place of the one before\n"
    "  --json    {\"token\": \"...\"}\n"
    "\n"
    "example: curl -H \"Authorization: Bearer $(attest-agent api token)\" \\\n"
    "             https://127.0.0.1:7445/vm\n";

int
cli_api(const struct cli *cli, int argc, char **argv)
{
	char token[API_TOKEN_LEN + 1] = "";
	const char *verb = NULL;
	struct err err = { 0 };
	struct state state;
	bool renew = false;
	bool json = false;
	int rc;
	int i;

	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		if (cli_flag(argv, i, "json"))
			json = true;
		else if (cli_flag(argv, i, "renew"))
			renew = true;
		else if (verb == NULL && argv[i][0] != '-')
			verb = argv[i];
		else
			return cli_misuse(usage, "api: %s?", argv[i]);
	}
	if (verb == NULL || strcmp(verb, "token") != 0)
		return cli_misuse(usage, "api: want token");
	if (state_open(&state, cli->state_dir, &err) != 0)
		return cli_fail_as(json, &err);
	rc = api_token_new(token, &state, renew, &err);
	state_close(&state);
	if (rc != 0)
		return cli_fail_as(json, &err);
	(void)printf(
	    "%s%s%s\n", json ? "{\"token\":\"" : "", token, json ? "\"}" : "");
	secret_wipe(token, sizeof(token));
	return CLI_OK;
}
