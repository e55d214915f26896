#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/file.h"
#include "agent/state.h"

static const char usage[] =
    "usage: attest-agent service install [--now] | remove [--now] | show\n"
    "\n"
    "A systemd unit of this user for `attest-agent run`, which reads\n"
    "agent.yaml; --state and --config given here go into it.\n"
    "\n"
    "  install  write it to $XDG_CONFIG_HOME/systemd/user (~/.config/...)\n"
    "  remove   take it away\n"
    "  show     print it, and write nothing\n"
    "  --now    and have systemd start it, or stop it; without this the\n"
    "           commands for that are printed\n"
    "\n"
    "It runs while you are logged in; `loginctl enable-linger` lets it run\n"
    "from boot on.\n"
    "\n"
    "example: attest-agent service install --now\n";

#define UNIT "attest-agent.service"
#define PATH_LEN 4096

/*
 * What a user's manager can enforce without privileges: no mount namespace,
 * so no ProtectHome= and the like.  It is the fence around both processes of
 * the agent, which confine themselves further (agent/sandbox.h).
 */
static const char unit_text[] =
    "# Made by attest-agent service install.\n"
    "[Unit]\n"
    "Description=attest-agent: secrets of confidential VMs\n"
    "\n"
    "[Service]\n"
    "ExecStart=%s%s%s%s%s run --log-format journal\n"
    "Restart=on-failure\n"
    "RestartSec=5\n"
    "# Usage; no relay will have it.\n"
    "RestartPreventExitStatus=2 4\n"
    "TimeoutStopSec=30\n"
    "UMask=0077\n"
    "LimitCORE=0\n"
    "NoNewPrivileges=yes\n"
    "LockPersonality=yes\n"
    "MemoryDenyWriteExecute=yes\n"
    "RestrictRealtime=yes\n"
    "RestrictSUIDSGID=yes\n"
    "RestrictNamespaces=yes\n"
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK\n"
    "SystemCallArchitectures=native\n"
    "SystemCallFilter=@system-service seccomp landlock_create_ruleset\n"
    "SystemCallFilter=landlock_add_rule landlock_restrict_self\n"
    "SystemCallFilter=~@resources @clock @reboot @swap @raw-io @module\n"
    "SystemCallFilter=setrlimit prlimit64\n"
    "SystemCallErrorNumber=EPERM\n"
    "\n"
    "[Install]\n"
    "WantedBy=default.target\n";

/* A word of ExecStart: quoted, and with nothing that systemd would expand. */
static int
put_word(
    char *out, size_t cap, const char *flag, const char *word, struct err *err)
{
	int n;

	if (strpbrk(word, "\"\\%$\n") != NULL)
		return err_set(err, ERR_USAGE,
		    "%s: a unit cannot name a path with \" \\ %% or $", word);
	n = snprintf(out, cap, "%s\"%s\"", flag, word);
	if (n < 0 || (size_t)n >= cap)
		return err_set(err, ERR_USAGE, "%.100s...: too long", word);
	return 0;
}

/* A path that stands when the working folder is another. */
static int
put_path(
    char *out, size_t cap, const char *flag, const char *path, struct err *err)
{
	char *whole;
	int rc;

	out[0] = '\0';
	if (path == NULL || path[0] == '\0')
		return 0;
	whole = realpath(path, NULL);
	if (whole == NULL)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	rc = put_word(out, cap, flag, whole, err);
	free(whole);
	return rc;
}

/* "" for the usual place.  The user manager does not have this shell's
 * environment, so what that says of the place goes into the unit. */
static int
choose_state(char *out, size_t cap, const struct cli *cli, struct err *err)
{
	int n;

	out[0] = '\0';
	if (cli->state_dir == NULL && getenv("ATTEST_AGENT_STATE") == NULL &&
	    getenv("XDG_STATE_HOME") == NULL)
		return 0;
	if (cli->state_dir == NULL)
		return state_default(out, cap, err);
	n = snprintf(out, cap, "%s", cli->state_dir);
	if (n < 0 || (size_t)n >= cap)
		return err_set(err, ERR_USAGE, "--state: path too long");
	return 0;
}

static int
make_unit(char *out, size_t cap, const struct cli *cli, struct err *err)
{
	char program[PATH_LEN] = "";
	char state[PATH_LEN + 16], config[PATH_LEN + 16];
	char word[PATH_LEN], dir[PATH_LEN] = "";
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
	int n;

	if (len <= 0)
		return err_set(
		    err, ERR_IO, "/proc/self/exe: %s", strerror(errno));
	program[len] = '\0';
	if (choose_state(dir, sizeof(dir), cli, err) != 0 ||
	    put_word(word, sizeof(word), "", program, err) != 0 ||
	    put_path(state, sizeof(state), "--state ", dir, err) != 0 ||
	    put_path(config, sizeof(config), "--config ", cli->config, err) !=
		0)
		return -1;
	n = snprintf(out, cap, unit_text, word, state[0] != '\0' ? " " : "",
	    state, config[0] != '\0' ? " " : "", config);
	if (n < 0 || (size_t)n >= cap)
		return err_set(err, ERR_USAGE, "paths too long for a unit");
	return 0;
}

static int
unit_path(char *out, size_t cap, bool make, struct err *err)
{
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	int n = -1;

	if (xdg != NULL && xdg[0] == '/')
		n = snprintf(out, cap, "%s/systemd/user/", xdg);
	else if (home != NULL && home[0] == '/')
		n = snprintf(out, cap, "%s/.config/systemd/user/", home);
	if (n <= 0 || (size_t)n + sizeof(UNIT) > cap)
		return err_set(err, ERR_USAGE, "no home: set HOME");
	if (make && state_make_folders(out, err) != 0)
		return -1;
	(void)snprintf(out + n, cap - (size_t)n, "%s", UNIT);
	return 0;
}

/* systemctl --user, by itself: there is no shell here. */
static int
systemctl(const char *const *words, struct err *err)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		/* execvp() takes what it does not write to as if it did. */
		(void)execvp("systemctl", (char **)(uintptr_t)words);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return err_set(
		    err, ERR_INTERNAL, "systemctl: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(
		    err, ERR_IO, "systemctl --user %s failed", words[2]);
	return 0;
}

static int
install(const struct cli *cli, bool now, struct err *err)
{
	static const char *const reload[] = { "systemctl", "--user",
		"daemon-reload", NULL };
	static const char *const enable[] = { "systemctl", "--user", "enable",
		"--now", UNIT, NULL };
	char text[4 * PATH_LEN];
	char path[PATH_LEN];
	int rc;
	int fd;

	if (make_unit(text, sizeof(text), cli, err) != 0 ||
	    unit_path(path, sizeof(path), true, err) != 0)
		return -1;
	fd = file_create(path, err);
	if (fd < 0) {
		if (err->code == ERR_CONFLICT)
			(void)err_wrap(
			    err, "attest-agent service remove first");
		return -1;
	}
	rc = file_write(fd, path, span_str(text), err);
	(void)close(fd);
	if (rc != 0) {
		(void)unlink(path);
		return -1;
	}
	(void)printf("wrote %s\n", path);
	if (now)
		return systemctl(reload, err) == 0 &&
			systemctl(enable, err) == 0
		    ? 0
		    : -1;
	(void)printf("to start it, and at each login:\n"
		     "  systemctl --user daemon-reload\n"
		     "  systemctl --user enable --now " UNIT "\n");
	return 0;
}

static int
take_away(bool now, struct err *err)
{
	static const char *const disable[] = { "systemctl", "--user", "disable",
		"--now", UNIT, NULL };
	char path[PATH_LEN];

	if (unit_path(path, sizeof(path), false, err) != 0)
		return -1;
	if (access(path, F_OK) != 0)
		return err_set(err, ERR_NOT_FOUND, "%s: not there", path);
	if (now && systemctl(disable, err) != 0)
		return -1;
	if (unlink(path) != 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	(void)printf("removed %s\n", path);
	if (!now)
		(void)printf("if it runs:\n"
			     "  systemctl --user stop " UNIT "\n"
			     "  systemctl --user daemon-reload\n");
	return 0;
}

static int
show(const struct cli *cli, struct err *err)
{
	char text[4 * PATH_LEN];

	if (make_unit(text, sizeof(text), cli, err) != 0)
		return -1;
	(void)fputs(text, stdout);
	return 0;
}

int
cli_service(const struct cli *cli, int argc, char **argv)
{
	const char *verb = NULL;
	struct err err = { 0 };
	bool now = false;
	int rc;
	int i;

	for (i = 1; i < argc; i++) {
		if (cli_flag(argv, i, "help"))
			return cli_help(usage);
		if (cli_flag(argv, i, "now"))
			now = true;
		else if (verb == NULL && argv[i][0] != '-')
			verb = argv[i];
		else
			return cli_misuse(usage, "service: %s?", argv[i]);
	}
	if (verb != NULL && strcmp(verb, "install") == 0)
		rc = install(cli, now, &err);
	else if (verb != NULL && strcmp(verb, "remove") == 0)
		rc = take_away(now, &err);
	else if (verb != NULL && strcmp(verb, "show") == 0)
		rc = show(cli, &err);
	else
		return cli_misuse(
		    usage, "service: want install, remove or show");
	return rc == 0 ? CLI_OK : cli_fail(&err);
}
