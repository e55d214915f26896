#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/enrol.h"
#include "agent/config.h"
#include "agent/enrolled.h"

static const char usage[] =
    "usage: attest-agent enrol [--ca FILE] [--allow-no-binding] LINK\n"
    "\n"
    "Become known to a relay by the line that its operator gave you:\n"
    "https://HOST[:PORT][/BASE]/e/TOKEN#sha256/PIN.  Makes this agent's key\n"
    "if there is none, sends its public half with a proof, and remembers the\n"
    "relay and its pin in the state folder, so that attest-agent run needs no\n"
    "more.  Not sure that it went well?  The same line can be used again.\n"
    "\n"
    "  --ca FILE           authorities for the relay's certificate, beside\n"
    "                      the pin; without it the pin alone decides\n"
    "  --allow-no-binding  for a relay behind a TLS balancer\n"
    "\n"
    "exit status: 0 enrolled, 1 refused or failed, 2 usage\n"
    "\n"
    "example: attest-agent enrol 'https://attest.cloud.example/e/T#sha256/P'\n";

static int
load_or_make(
    struct key **out, const struct state *state, bool *made, struct err *err)
{
	*made = false;
	if (key_load(out, state, err) == 0)
		return 0;
	if (err->code != ERR_NOT_FOUND)
		return -1;
	*made = true;
	return key_new(out, state, err);
}

static int
enrol(const struct cli *cli, const struct enrol_link *link,
    const struct enrol_options *options, struct err *err)
{
	struct state state = { .dir_fd = -1, .lock_fd = -1 };
	char tenant[ENROL_NAME_MAX], text[KEY_TEXT_LEN];
	struct key *key = NULL;
	bool made;
	int rc = -1;

	if (state_open(&state, cli->state_dir, err) != 0)
		return -1;
	if (load_or_make(&key, &state, &made, err) != 0 ||
	    enrol_send(tenant, link, key, options, err) != 0 ||
	    enrolled_write(&state, link->relay, options->ca,
		options->allow_no_binding, err) != 0)
		goto out;
	(void)printf("relay   %s\ntenant  %s\nkey     %s%s\n", link->base,
	    tenant, key_format(text, key), made ? " (made now)" : "");
	rc = 0;
out:
	key_free(key);
	state_close(&state);
	return rc;
}

int
cli_enrol(const struct cli *cli, int argc, char **argv)
{
	struct enrol_options options = { 0 };
	struct enrol_link link;
	const char *text = NULL;
	struct err err = { 0 };
	int i, got, rc;

	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		if (cli_flag(argv, i, "allow-no-binding")) {
			options.allow_no_binding = true;
			continue;
		}
		got = cli_value(&options.ca, argc, argv, &i, "ca");
		if (got < 0)
			return cli_misuse(usage, "enrol: --ca wants a value");
		if (got > 0)
			continue;
		if (argv[i][0] == '-' || text != NULL)
			return cli_misuse(usage, "enrol: %s?", argv[i]);
		text = argv[i];
	}
	if (text == NULL)
		return cli_misuse(usage, "enrol: want the link");
	if (enrol_link_parse(&link, text, &err) != 0)
		return cli_misuse(usage, "enrol: %s", err.msg);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return CLI_FAILED;
	rc = enrol(cli, &link, &options, &err);
	secret_wipe(&link, sizeof(link));
	curl_global_cleanup();
	return rc == 0 ? CLI_OK : cli_fail(&err);
}
