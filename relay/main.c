#include "common/log.h"
#include "common/loop_memory.h"
#include "common/tls_memory.h"
#include "relay/serve.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_BAD = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "usage: attest-relay [--config FILE] [--check | --takeover]\n"
    "       attest-relay --example | --help | --version\n"
    "\n"
    "The cloud's edge of remote attestation: agents of guest owners dial in,\n"
    "compute hosts post, and the relay carries the bodies unread.\n"
    "\n"
    "  -c, --config FILE  configuration (default /etc/attest-relay/relay.yaml)\n"
    "      --check        check the configuration, certificates and keys, say\n"
    "                     all that is wrong with FILE:LINE:COLUMN, and end\n"
    "      --takeover     take the place of the relay that runs: its ports,\n"
    "                     then its agents, without a loss; it ends when they\n"
    "                     have moved.  Without one, start as usual\n"
    "      --example      print a configuration with every key and default\n"
    "      --help         this text\n"
    "      --version      name and version\n"
    "\n"
    "SIGHUP reloads certificates, tenants, tokens, limits and the log's level;\n"
    "a bad file changes nothing.  SIGTERM drains: agents are told to come\n"
    "back, requests under way are answered.  A second one ends at once.\n"
    "\n"
    "exit status: 0 good, 1 bad configuration or failure, 2 usage\n"
    "\n"
    "example: attest-relay --config relay.yaml --check\n";

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, 'k' },
	{ "takeover", no_argument, NULL, 't' },
	{ "example", no_argument, NULL, 'e' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ 0 },
};

static int
run(const struct serve_options *serving, bool check)
{
	const char *file = serving->file;
	struct conf_report report = { 0 };
	struct relay_setup *setup;
	struct err err;
	int status = EXIT_BAD;

	if (setup_load(&setup, file, &report) != 0) {
		fputs(
		    report.text != NULL ? report.text : "no memory\n", stderr);
		goto out;
	}
	if (check) {
		log_open(STDERR_FILENO, LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
		setup_warn(setup);
		printf("%s: good: %zu tenants, %zu tokens\n", file,
		    tenants_count(setup->tenants), setup->hosts.token_count);
		status = EXIT_OK;
		goto out;
	}
	log_open(
	    STDERR_FILENO, setup->config.log_level, setup->config.log_format);
	if (serve(setup, serving, &err) != 0) {
		log_error(NULL, "%s", err.msg);
		goto out;
	}
	status = EXIT_OK;
out:
	setup_drop(setup);
	conf_report_free(&report);
	return status;
}

/* getopt_long() has said what is wrong, or ${words} do. */
static int
misuse(const char *words, const char *what)
{
	if (words != NULL)
		fprintf(stderr, "attest-relay: %s: %.200s\n", words, what);
	fputs("usage: attest-relay [--config FILE] [--check | --takeover]\n"
	      "attest-relay --help tells more\n",
	    stderr);
	return EXIT_USAGE;
}

static int
print_example(void)
{
	char *text = conf_example(&relay_config_table, relay_config_head);

	if (text == NULL)
		return EXIT_BAD;
	fputs(text, stdout);
	free(text);
	return EXIT_OK;
}

int
main(int argc, char **argv)
{
	struct serve_options serving = { .file =
					     "/etc/attest-relay/relay.yaml" };
	bool check = false;
	int opt;

	tls_memory();
	loop_memory();
	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			serving.file = optarg;
			break;
		case 'k':
			check = true;
			break;
		case 't':
			serving.takeover = true;
			break;
		case 'e':
			return print_example();
		case 'h':
			fputs(usage, stdout);
			return EXIT_OK;
		case 'v':
			printf("attest-relay %s (%s)\n", ATTEST_VERSION,
			    tls_library());
			return EXIT_OK;
		default:
			return misuse(NULL, NULL);
		}
	}
	if (optind != argc)
		return misuse("unexpected word", argv[optind]);
	return run(&serving, check);
}
