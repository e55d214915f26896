#include <stdio.h>
#include <string.h>

#include "agent/cli.h"
#include "agent/key.h"

static const char usage[] =
    "usage: attest-agent key new|show [--json]\n"
    "\n"
    "The agent's identity, by which a relay knows it: an Ed25519 key in the\n"
    "state folder.  Prints its public half in the form of relay.yaml.\n"
    "\n"
    "  new     make it; refuses if there is one\n"
    "  show    print it\n"
    "  --json  {\"key\": \"ed25519:...\"}\n"
    "\n"
    "example: attest-agent key new\n";

int
cli_key(const struct cli *cli, int argc, char **argv)
{
	struct state state;
	struct key *key = NULL;
	struct err err = { 0 };
	char text[KEY_TEXT_LEN];
	const char *verb = NULL;
	bool json = false;
	int rc;
	int i;

	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		if (cli_flag(argv, i, "json"))
			json = true;
		else if (verb == NULL && argv[i][0] != '-')
			verb = argv[i];
		else
			return cli_misuse(usage, "key: %s?", argv[i]);
	}
	if (verb == NULL ||
	    (strcmp(verb, "new") != 0 && strcmp(verb, "show") != 0))
		return cli_misuse(usage, "key: want new or show");
	if (state_open(&state, cli->state_dir, &err) != 0)
		return cli_fail_as(json, &err);
	rc = strcmp(verb, "new") == 0 ? key_new(&key, &state, &err)
				      : key_load(&key, &state, &err);
	state_close(&state);
	if (rc != 0)
		return cli_fail_as(json, &err);
	(void)printf(
	    json ? "{\"key\":\"%s\"}\n" : "%s\n", key_format(text, key));
	key_free(key);
	return CLI_OK;
}
