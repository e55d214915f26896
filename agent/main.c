#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/cli_chain.h"
#include "agent/cli/cli_digest.h"
#include "agent/cli/cli_ovmf.h"
#include "agent/cli/cli_verify.h"
#include "agent/json.h"
#include "agent/part.h"
#include "agent/sandbox.h"

static const char usage[] =
    "usage: attest-agent [--state DIR] [--config FILE] COMMAND ...\n"
    "\n"
    "The guest owner's side of remote attestation for AMD SEV and SEV-ES: it\n"
    "dials out to a relay, judges the machines that want to start her VMs,\n"
    "and releases their secrets to genuine ones only.\n"
    "\n"
    "  key new|show               this agent's identity\n"
    "  enrol LINK                 become known to a relay\n"
    "  vm add|list|show|remove|disable|enable\n"
    "                             the VMs whose secrets it holds\n"
    "  run                        serve\n"
    "  status                     how the tunnel of a running agent is\n"
    "  watch                      what happens, and questions to you\n"
    "  approve|deny ID            your word on one of them\n"
    "  lock, unlock               forget the keys for a while\n"
    "  receipts list|show|export  signed evidence of each release\n"
    "  log show|verify            who asked for what, and what came of it\n"
    "  api token                  for the owner's API over HTTPS\n"
    "  cancel SESSION             end a launch that was not released\n"
    "  explain [VM|REF]           why launches were refused\n"
    "  doctor, diag               what is wrong here; one file about it\n"
    "  service install|...        run it with systemd, as this user\n"
    "  export, import             hand VMs over to another agent\n"
    "  help nvram|firmware|...    what an owner has to know\n"
    "\n"
    "  chain verify|show          certificate chains of platforms\n"
    "  digest                     the launch digest of a guest\n"
    "  verify                     a launch measurement\n"
    "  ovmf show                  what a firmware image offers\n"
    "\n"
    "  --state DIR    state folder (ATTEST_AGENT_STATE; default\n"
    "                 ~/.local/state/attest-agent)\n"
    "  --config FILE  default ~/.config/attest-agent/agent.yaml, if there\n"
    "  --help         this text; each command has one of its own\n"
    "  --version      name and version\n"
    "\n"
    "exit status: 0 good, 1 failed or refused, 2 usage; more for run, verify\n"
    "\n"
    "example: attest-agent run --relay wss://attest.cloud.example/sev\n";

typedef int family_fn(const struct cli *cli, int argc, char **argv);

static const struct {
	const char *verb;
	family_fn *family;
	int (*offline)(int argc, char **argv);
} verbs[] = {
	{ "key", cli_key, NULL },
	{ "enrol", cli_enrol, NULL },
	{ "vm", cli_vm, NULL },
	{ "run", cli_run, NULL },
	{ "status", cli_status, NULL },
	{ "log", cli_log, NULL },
	{ "api", cli_api, NULL },
	{ "cancel", cli_cancel, NULL },
	{ "receipts", cli_receipts, NULL },
	{ "watch", cli_watch, NULL },
	{ "approve", cli_word, NULL },
	{ "deny", cli_word, NULL },
	{ "lock", cli_lock, NULL },
	{ "unlock", cli_unlock, NULL },
	{ "explain", cli_explain, NULL },
	{ "doctor", cli_doctor, NULL },
	{ "diag", cli_diag, NULL },
	{ "service", cli_service, NULL },
	{ "export", cli_export, NULL },
	{ "import", cli_import, NULL },
	{ "help", cli_topic, NULL },
	{ "chain", NULL, cli_chain },
	{ "digest", NULL, cli_digest },
	{ "verify", NULL, cli_verify },
	{ "ovmf", NULL, cli_ovmf },
	/* What `run` starts; not for people. */
	{ PART_API, part_api, NULL },
	{ PART_NET, part_net, NULL },
	{ PART_VAULT, part_vault, NULL },
};

/* A descriptor that was closed for us would go to the next file we open, and
 * what is printed into that file: the store, or a socket. */
static void
fill_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY); /* no place to write */
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

/* What was asked for and did not get out was not done: a receipt that is
 * exported into a full disk is no evidence. */
static int
flushed(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	(void)fprintf(stderr, "attest-agent: stdout: %s\n", strerror(errno));
	return status == CLI_OK ? CLI_FAILED : status;
}

int
main(int argc, char **argv)
{
	struct cli cli = { 0 };
	size_t v;
	int i;

	fill_standard();
	sandbox_harden();
	json_setup();
	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		int got;

		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		if (cli_flag(argv, i, "version")) {
			(void)printf("attest-agent %s\n", ATTEST_VERSION);
			return CLI_OK;
		}
		got = cli_value(&cli.state_dir, argc, argv, &i, "state");
		if (got == 0)
			got = cli_value(&cli.config, argc, argv, &i, "config");
		if (got <= 0)
			return cli_misuse(usage, "%s%s", argv[i],
			    got < 0 ? " wants a value" : "?");
	}
	for (v = 0; i < argc && v < sizeof(verbs) / sizeof(verbs[0]); v++) {
		if (strcmp(argv[i], verbs[v].verb) != 0)
			continue;
		if (verbs[v].family != NULL)
			return flushed(
			    verbs[v].family(&cli, argc - i, argv + i));
		return verbs[v].offline(argc - i, argv + i);
	}
	return cli_misuse(
	    usage, "%s", i < argc ? "unknown command" : "want a command");
}
