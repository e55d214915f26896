#include "agent/part.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PART_FDS_MAX 3
#define PART_HIGH_FD 64 /* above all that a part finds open */

static char **
make_argv(const char *name, const struct cli *cli, int argc, char **argv)
{
	char **out = calloc((size_t)argc + 6, sizeof(*out));
	size_t n = 0;
	int i;

	if (out == NULL)
		return NULL;
	/* execv() takes what it does not write to as if it did. */
	out[n++] = (char *)(uintptr_t) "attest-agent";
	if (cli->state_dir != NULL) {
		out[n++] = (char *)(uintptr_t) "--state";
		out[n++] = (char *)(uintptr_t)cli->state_dir;
	}
	if (cli->config != NULL) {
		out[n++] = (char *)(uintptr_t) "--config";
		out[n++] = (char *)(uintptr_t)cli->config;
	}
	out[n++] = (char *)(uintptr_t)name;
	for (i = 1; i < argc; i++)
		out[n++] = argv[i];
	return out;
}

/* In the child: nothing but system calls. */
static void
become(char **argv, const int *fds, size_t count, pid_t parent)
{
	int high[PART_FDS_MAX];
	sigset_t none;
	size_t i;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	/* First out of the way, as one may stand in the place of another. */
	for (i = 0; i < count; i++)
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PART_HIGH_FD);
	for (i = 0; i < count; i++)
		if (dup2(high[i], PART_PAIR_FD + (int)i) < 0)
			_exit(1);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* ^C is for the whole group; the parent says when it is time. */
	(void)signal(SIGINT, SIG_IGN);
	(void)execv("/proc/self/exe", argv);
	_exit(1);
}

int
part_spawn(pid_t *out, const char *name, const struct cli *cli, int argc,
    char **argv, const int *fds, size_t count, struct err *err)
{
	char **words = make_argv(name, cli, argc, argv);
	pid_t parent = getpid();
	pid_t pid;

	if (words == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a process");
	pid = fork();
	if (pid == 0)
		become(words, fds, count, parent);
	free(words);
	if (pid < 0)
		return err_set(
		    err, ERR_INTERNAL, "no process: %s", strerror(errno));
	*out = pid;
	return 0;
}
