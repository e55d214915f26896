/* attest-launch: the compute host's side. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "launch/check.h"
#include "launch/json.h"
#include "launch/qemu.h"
#include "launch/report.h"
#include "launch/selftest.h"
#include "launch/start.h"
#include "launch/step.h"
#include "launch/sweep.h"

static const char usage[] =
    "usage: attest-launch COMMAND ...\n"
    "\n"
    "The compute host's side of remote attestation for AMD SEV and SEV-ES: it\n"
    "gets the owner's launch session, has the guest's measurement judged, and\n"
    "gives the guest its secret, or does not let it run.\n"
    "\n"
    "  start DOMAIN.xml|--domain NAME [--service URL] [--uuid U]\n"
    "        [--connect URI] [--transient] [--autodestroy] [--state DIR]\n"
    "           start a guest of libvirt; returns when it runs\n"
    "  sweep [--state DIR]\n"
    "           destroy what a start that was killed with its guard has left\n"
    "  qemu --service URL --uuid U [--policy N] -- qemu-system-x86_64 ...\n"
    "           start a guest with plain QEMU; stays until it ends\n"
    "  check --service URL\n"
    "           is the service reached, and does it let this host in?\n"
    "  selftest [--qemu PATH] [--firmware FILE] [--connect URI] [--service URL]\n"
    "           what can this host do?  as far as that goes without an owner\n"
    "  fetch [--qemu PATH]\n"
    "           print what this host would send for a launch\n"
    "  launch --service URL [--uuid U] [--in FILE] [--idempotency-key K]\n"
    "  validate --service URL [--uuid U] [--in FILE]\n"
    "           one request each: JSON on stdin or in FILE, JSON on stdout\n"
    "\n"
    "  --service URL      base of the attestation service, https\n"
    "  --ca FILE          its certificate authorities (PEM); the system's\n"
    "                     by default\n"
    "  --cert FILE, --key FILE\n"
    "                     certificate of this host (mTLS)\n"
    "  --token-file FILE  bearer token of this host\n"
    "  --tls-min 1.2      accept TLS 1.2, too; 1.3 by default\n"
    "  --timeout S        for a request with all its tries, and for each step\n"
    "                     of QEMU; 120 by default\n"
    "  --libvirt-timeout S\n"
    "                     for each question to libvirt, and for each guest of\n"
    "                     a sweep; 120 by default\n"
    "  --state DIR        where starts under way are kept;\n"
    "                     /var/lib/attest-launch by default, for others than\n"
    "                     root attest-launch in the XDG state folder\n"
    "  --json             one object a step on stdout (always so with launch,\n"
    "                     validate and fetch)\n"
    "  --help, --version\n"
    "\n"
    "exit status: 0 good, 1 refused, 2 usage, 3 no answer in time, 4 the guest\n"
    "as configured, 5 no SEV on this host, 6 a fault of ours, 75 the owner has\n"
    "not approved yet\n";

static const struct {
	const char *name;
	enum outcome (*run)(int argc, char **argv);
	bool guest; /* what comes of it is a guest that runs, and no answer */
} verbs[] = {
	{ "start", start_libvirt, true },
	{ "sweep", sweep, false },
	{ "qemu", qemu_start, true },
	{ "check", check_service, false },
	{ "selftest", selftest, false },
	{ "fetch", qemu_fetch, false },
	{ "launch", step_launch, false },
	{ "validate", step_validate, false },
};

/* "--help" before a "--" is for us. */
static bool
wants(int argc, char **argv, const char *flag)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], flag) == 0)
			return true;
	return false;
}

/* An answer that stdout did not take is none; a guest that runs, runs. */
static int
finish(enum outcome rc, bool guest)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return (int)rc;
	report_say("stdout does not take the answer");
	return rc == OUTCOME_OK && !guest ? OUTCOME_BUG : (int)rc;
}

/*
 * Whoever started us may have closed some of 0 to 2: then the next file that we
 * open, a record of a launch, would be where our words go.  For reading, so
 * that stdout still takes no answer.
 */
static bool
hold_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
			return false;
	return true;
}

int
main(int argc, char **argv)
{
	struct err err = { 0 };

	if (!hold_standard_files())
		return OUTCOME_BUG;
	if (wants(argc, argv, "--help")) {
		(void)fputs(usage, stdout);
		return finish(OUTCOME_OK, false);
	}
	if (wants(argc, argv, "--version")) {
		(void)puts("attest-launch " ATTEST_VERSION);
		return finish(OUTCOME_OK, false);
	}
	/* Whoever started us may ignore these; we wait for our children, and
	 * stdout may be a pipe that closes. */
	(void)signal(SIGCHLD, SIG_DFL);
	/* The token: no core file, no tracing by others of the user.  It ends
	 * with exec, so that a QEMU of ours is as any other. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	json_setup();
	if (service_setup(&err) != 0) {
		report_say("%s", err.msg);
		return OUTCOME_BUG;
	}
	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]);
	     i++)
		if (strcmp(verbs[i].name, argv[1]) == 0)
			return finish(
			    verbs[i].run(argc - 1, argv + 1), verbs[i].guest);
	report_say("%s; see --help",
	    argc > 1 ? "no such command" : "a command is needed");
	return OUTCOME_USAGE;
}
