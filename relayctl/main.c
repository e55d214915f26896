#include "relayctl/call.h"
#include "relayctl/command.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_GOOD = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_UNREACHED = 3 };

#define UUIDS_MAX 64 /* of one request */

static const char usage[] =
    "usage: attest-relayctl [--socket PATH] [--json] COMMAND ...\n"
    "       attest-relayctl --connect https://HOST:PORT --ca FILE\n"
    "           --cert FILE --key FILE [--json] COMMAND ...\n"
    "\n"
    "What a running attest-relay does, and changes to it.\n"
    "\n"
    "  status                    how the relay is\n"
    "  tunnels                   agents that are connected\n"
    "  tenants [list]\n"
    "  tenants add NAME [--self-certifying] [--first-claim] [--tunnels N]\n"
    "      [--claims N] [--streams N] [--requests N] [--memory SIZE]\n"
    "  tenants remove NAME       with its keys, tokens and UUIDs\n"
    "  tokens [list]\n"
    "  tokens create --tenant T [--ttl 10m] [--uses 1] [--url BASE]\n"
    "                            prints the line for attest-agent enrol\n"
    "  tokens create --tenant T --agent [--ttl 365d]\n"
    "                            prints a token for attest-agent run\n"
    "  tokens revoke ID\n"
    "  keys [list]\n"
    "  keys add --tenant T ed25519:KEY\n"
    "  keys revoke ed25519:KEY   its tunnel is closed within a second\n"
    "  claims [list]\n"
    "  claims add --tenant T UUID...\n"
    "  claims release UUID...\n"
    "  drain                     end in order, as SIGTERM does\n"
    "  reload                    read relay.yaml again, as SIGHUP does\n"
    "  log-level [set LEVEL]     error, warn, info or debug\n"
    "  trail [--lines N]         who changed what, and when\n"
    "\n"
    "  --socket PATH  default /run/attest-relay/admin.sock\n"
    "  --json         the answer as it comes\n"
    "  --help         this text\n"
    "  --version      name and version\n"
    "\n"
    "exit status: 0 done, 1 refused or failed, 2 usage, 3 no relay there\n"
    "\n"
    "example: attest-relayctl token create --tenant acme --ttl 10m --uses 1\n";

struct globals {
	struct call_target target;
	bool json;
};

/* A flag for every command; returns the words taken, 0: it is none, -1: it
 * lacks its value. */
static int
read_global(struct globals *g, int argc, char **argv)
{
	const struct {
		const char *name;
		const char **value;
	} flags[] = {
		{ "--socket", &g->target.socket },
		{ "--connect", &g->target.url },
		{ "--ca", &g->target.ca },
		{ "--cert", &g->target.cert },
		{ "--key", &g->target.key },
	};

	if (strcmp(argv[0], "--json") == 0) {
		g->json = true;
		return 1;
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(argv[0], flags[i].name) != 0)
			continue;
		if (argc < 2)
			return -1;
		*flags[i].value = argv[1];
		return 2;
	}
	return 0;
}

static int
misuse(const char *words)
{
	(void)fprintf(stderr,
	    "attest-relayctl: %s\n"
	    "attest-relayctl --help tells more\n",
	    words);
	return EXIT_USAGE;
}

static int
unknown(const char *command)
{
	struct err err;

	if (command == NULL)
		return misuse("want a command");
	(void)err_set(&err, ERR_USAGE, "no such command: %.64s", command);
	return misuse(err.msg);
}

static int
show(const struct globals *g, const struct command *c, long status,
    const json_t *answer, const json_t *local)
{
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (g->json) {
		(void)json_dumpf(answer, stdout, JSON_COMPACT);
		(void)printf("\n");
	}
	if (status == 200) {
		if (!g->json)
			command_show(c, answer, local);
		return EXIT_GOOD;
	}
	if (error == NULL)
		error = json_string_value(json_object_get(answer, "title"));
	if (error == NULL)
		error = "refused";
	/* Faults of a reload come as whole lines. */
	(void)fprintf(stderr, "attest-relayctl: %.*s\n",
	    (int)(strlen(error) - (error[strlen(error) - 1] == '\n')), error);
	return EXIT_REFUSED;
}

static int
run(const struct globals *g, const struct command *c, const json_t *body,
    const json_t *local)
{
	json_t *answer = NULL;
	struct err err;
	long http = 0;
	int status;

	if (g->target.url != NULL &&
	    (g->target.cert == NULL || g->target.key == NULL))
		return misuse("--connect wants --cert and --key");
	if (json_array_size(json_object_get(body, "uuids")) > UUIDS_MAX)
		return misuse("at most 64 UUIDs at once");
	if (call(&answer, &http, &g->target, c->method, c->path, body, &err) !=
	    0) {
		(void)fprintf(stderr, "attest-relayctl: %s\n", err.msg);
		return err.code == ERR_IO ? EXIT_UNREACHED : EXIT_REFUSED;
	}
	status = show(g, c, http, answer, local);
	json_decref(answer);
	/* A token that is shown to nobody is there all the same. */
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return status;
	(void)fprintf(stderr, "attest-relayctl: stdout: %s\n", strerror(errno));
	return EXIT_REFUSED;
}

int
main(int argc, char **argv)
{
	struct globals g = { .target = {
				 .socket = "/run/attest-relay/admin.sock" } };
	json_t *body = NULL, *local = NULL;
	const struct command *c;
	char *rest[256];
	int count = 0, used, status;
	struct err err;

	for (int i = 1; i < argc;) {
		int took = read_global(&g, argc - i, argv + i);

		if (strcmp(argv[i], "--help") == 0) {
			(void)fputs(usage, stdout);
			return EXIT_GOOD;
		}
		if (strcmp(argv[i], "--version") == 0) {
			(void)printf("attest-relayctl %s\n", ATTEST_VERSION);
			return EXIT_GOOD;
		}
		if (took < 0 || count == 256)
			return misuse(
			    took < 0 ? "a flag wants a value" : "too much");
		if (took == 0)
			rest[count++] = argv[i++];
		i += took;
	}
	c = command_find(count, rest, &used);
	if (c == NULL)
		return unknown(count > 0 ? rest[0] : NULL);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return EXIT_REFUSED;
	status =
	    command_read(c, &body, &local, count - used, rest + used, &err) == 0
	    ? run(&g, c, body, local)
	    : misuse(err.msg);
	json_decref(body);
	json_decref(local);
	curl_global_cleanup();
	return status;
}
