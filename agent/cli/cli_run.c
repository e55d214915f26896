#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/config.h"
#include "agent/enrolled.h"
#include "agent/keeper.h"
#include "common/log.h"

#define LOCK_WAIT_MS 2000

static const char usage[] =
    "usage: attest-agent run [--relay URL] [--ca FILE] [options]\n"
    "\n"
    "Dial out to a relay and answer launches of the registered VMs until\n"
    "SIGTERM.  Every option is a key of agent.yaml, too.\n"
    "\n"
    "  --relay URL          wss://HOST[:PORT][/BASE][#PIN]   relay.url\n"
    "                       #no-binding or #PIN,no-binding: accept this one\n"
    "                       behind a TLS-terminating balancer\n"
    "                       again for more relays, each with a\n"
    "                       tunnel of its own                relay.urls\n"
    "  --ca FILE            authorities for its certificate  relay.ca\n"
    "  --pin sha256/BASE64  its public key, beside that      relay.pin\n"
    "  --relay-name NAME    what it must call itself         relay.name\n"
    "  --relay-certificate FILE, --relay-key FILE   ours, PEM; where the\n"
    "                       relay asks for it  relay.certificate, relay.key\n"
    "  --relay-token-file FILE  the same with a token    relay.token-file\n"
    "  --allow-no-binding   accept every relay behind a TLS balancer\n"
    "                                            relay.allow-no-binding\n"
    "  --proxy URL          HTTP proxy; else HTTPS_PROXY     proxy.url\n"
    "  --key-server URL     where AMD's CEKs are fetched     key-server.url\n"
    "  --key-server-ca FILE authorities for its certificate  key-server.ca\n"
    "  --key-server-gap T   time between two requests        key-server.gap\n"
    "  --offline            never fetch any              key-server.offline\n"
    "  --api-socket         owner's API on api.sock          api.socket\n"
    "  --api-listen A:P     and on HTTPS, with               api.listen\n"
    "  --api-certificate FILE, --api-key FILE   api.certificate, api.key\n"
    "  --listen ADDR:PORT   answer hosts by HTTPS, with or\n"
    "                       without a relay                  direct.listen\n"
    "  --certificate FILE   its certificate, PEM        direct.certificate\n"
    "  --key FILE           and private key             direct.key\n"
    "  --client-ca FILE     authorities of hosts        direct.client-ca\n"
    "                       (who is let in: direct.auth, direct.tokens)\n"
    "  --log-level WORD     error, warn, info, debug         log.level\n"
    "  -v                   the same as --log-level debug\n"
    "  --log-format WORD    text, json, journal              log.format\n"
    "\n"
    "exit status: 0 ended by a signal, 1 the state cannot be used, 2 usage,\n"
    "3 its process for secrets died, 4 no relay will have this agent\n"
    "\n"
    "example: attest-agent run --relay wss://attest.cloud.example/sev\n";

static const struct {
	const char *flag;
	const char *key;
} flags[] = {
	{ "ca", "relay.ca" },
	{ "pin", "relay.pin" },
	{ "relay-name", "relay.name" },
	{ "relay-certificate", "relay.certificate" },
	{ "relay-key", "relay.key" },
	{ "relay-token-file", "relay.token-file" },
	{ "proxy", "proxy.url" },
	{ "key-server", "key-server.url" },
	{ "key-server-ca", "key-server.ca" },
	{ "key-server-gap", "key-server.gap" },
	{ "api-listen", "api.listen" },
	{ "api-certificate", "api.certificate" },
	{ "api-key", "api.key" },
	{ "listen", "direct.listen" },
	{ "certificate", "direct.certificate" },
	{ "key", "direct.key" },
	{ "client-ca", "direct.client-ca" },
	{ "log-level", "log.level" },
	{ "log-format", "log.format" },
};

static int
read_flags(struct config *c, int argc, char **argv, struct err *err)
{
	bool first = true;
	size_t f;
	int i;

	for (i = 1; i < argc; i++) {
		const char *relay = NULL;
		int got = 0;

		if (strcmp(argv[i], "-v") == 0 || strcmp(argv[i], "-vv") == 0) {
			c->log_level = LOG_LEVEL_DEBUG;
			continue;
		}
		if (cli_flag(argv, i, "api-socket")) {
			c->api_socket = true;
			continue;
		}
		if (cli_flag(argv, i, "offline")) {
			c->key_offline = true;
			continue;
		}
		if (cli_flag(argv, i, "allow-no-binding")) {
			c->allow_no_binding = true;
			continue;
		}
		got = cli_value(&relay, argc, argv, &i, "relay");
		if (got > 0 && config_add_relay(c, relay, first, err) != 0)
			return -1;
		first = first && got <= 0;
		for (f = 0; got == 0 && f < sizeof(flags) / sizeof(flags[0]);
		     f++) {
			const char *value = NULL;

			got = cli_value(&value, argc, argv, &i, flags[f].flag);
			if (got > 0 &&
			    conf_set(c, &config_table, flags[f].key, value,
				err) != 0)
				return -1;
		}
		if (got <= 0)
			return err_set(err, ERR_USAGE, "run: %s%s", argv[i],
			    got < 0 ? " wants a value" : "?");
	}
	return 0;
}

int
cli_run_config(struct config *out, const struct cli *cli, int argc, char **argv,
    struct err *err)
{
	if (config_load(out, cli->config, err) != 0)
		return -1;
	if (read_flags(out, argc, argv, err) != 0)
		return -1;
	return enrolled_read(out, cli->state_dir, err);
}

int
cli_run(const struct cli *cli, int argc, char **argv)
{
	struct state state = { .dir_fd = -1, .lock_fd = -1 };
	struct config config = { 0 };
	int status = CLI_FAILED;
	struct dialer_relay relays[DIALER_ENDPOINTS_MAX];
	size_t count;
	struct err err = { 0 };
	sigset_t signals;
	int i;

	for (i = 1; i < argc; i++)
		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (cli_run_config(&config, cli, argc, argv, &err) != 0) {
		status = cli_misuse(usage, "%s", err.msg);
		goto out;
	}
	log_open(STDERR_FILENO, (enum log_level)config.log_level,
	    (enum log_format)config.log_format);
	if (state_open(&state, cli->state_dir, &err) != 0 ||
	    config_relays(relays, &count, &config, &err) != 0 ||
	    state_lock(&state, LOCK_WAIT_MS, &err) != 0 ||
	    keeper_run(&status, cli, &state, &config, argc, argv, &err) != 0) {
		status = cli_fail(&err);
		goto out;
	}
	log_info(NULL, "ended");
out:
	state_close(&state);
	config_free(&config);
	return status;
}
