#include <stdio.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/key.h"

static const char usage[] =
    "usage: attest-agent key new|show|seal-to|passphrase [--json]\n"
    "\n"
    "The agent's identity, by which a relay knows it: an Ed25519 key in the\n"
    "state folder.  Prints its public half in the form of relay.yaml.\n"
    "\n"
    "  new     make it; refuses if there is one\n"
    "  show    print it\n"
    "  passphrase  keep the key of the store under one; --help for it\n"
    "  seal-to print another key, of this agent's store, to which others can\n"
    "          seal an export (attest-agent export --help)\n"
    "  --json  {\"key\": \"ed25519:...\"}, or x25519 for seal-to\n"
    "\n"
    "example: attest-agent key new\n";

static int
seal_to(const struct cli *cli, bool json)
{
	struct err err = { 0 };
	json_t *reply = NULL;

	if (cli_ask(&reply, cli, OWNER_MOVE_KEY, (struct span){ 0 }, &err) != 0)
		return cli_fail_as(json, &err);
	if (json)
		cli_print_json(reply);
	else
		(void)printf("%s\n", cli_text(reply, "key"));
	json_decref(reply);
	return CLI_OK;
}

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

	if (argc > 1 && strcmp(argv[1], "passphrase") == 0)
		return cli_key_passphrase(cli, argc - 1, argv + 1);
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
	if (verb != NULL && strcmp(verb, "seal-to") == 0)
		return seal_to(cli, json);
	if (verb == NULL ||
	    (strcmp(verb, "new") != 0 && strcmp(verb, "show") != 0))
		return cli_misuse(usage, "key: want new, show or seal-to");
	if (state_open(&state, cli->state_dir, &err) != 0)
		return cli_fail_as(json, &err);
	rc = strcmp(verb, "new") == 0 ? key_new(&key, &state, &err)
				      : key_load(&key, &state, &err);
	if (rc != 0 && err.code == ERR_NOT_FOUND)
		(void)err_set(&err, ERR_NOT_FOUND,
		    "%s: no key yet: attest-agent key new", state.dir);
	state_close(&state);
	if (rc != 0)
		return cli_fail_as(json, &err);
	(void)printf(
	    json ? "{\"key\":\"%s\"}\n" : "%s\n", key_format(text, key));
	key_free(key);
	return CLI_OK;
}
