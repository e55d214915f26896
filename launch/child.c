#include "launch/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES_MAX 4

int
child_socket(int pair[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return err_set(err, ERR_IO, "socket: %s", strerror(errno));
	return 0;
}

/* After fork(): tell the parent by ${report} why there is no program. */
static void
become(
    char *const *argv, pid_t parent, const int *files, int report, bool quiet)
{
	int null, why;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		goto out;
	/* It died before we asked to be told. */
	if (getppid() != parent)
		_exit(127);
	for (; *files >= 0; files++)
		if (fcntl(*files, F_SETFD, 0) != 0)
			goto out;
	if (quiet) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
		    dup2(null, STDOUT_FILENO) < 0)
			goto out;
	}
	/* We ignore it; whether QEMU does is its own choice. */
	(void)signal(SIGPIPE, SIG_DFL);
	(void)execvp(argv[0], argv);
out:
	why = errno;
	(void)!write(report, &why, sizeof(why));
	_exit(127);
}

int
child_start(struct child *c, char *const *argv, const int pair[2],
    const int *files, bool quiet, struct err *err)
{
	int keep[FILES_MAX + 2] = { pair[1], -1 };
	pid_t parent = getpid();
	int report[2], why = 0;
	ssize_t n;

	c->pid = 0;
	c->fd = -1;
	for (size_t i = 0; files != NULL && files[i] >= 0; i++) {
		if (i == FILES_MAX) {
			err_set(err, ERR_INTERNAL, "too many descriptors");
			goto fail;
		}
		keep[i + 1] = files[i];
		keep[i + 2] = -1;
	}
	if (pipe2(report, O_CLOEXEC) != 0) {
		err_set(err, ERR_IO, "pipe: %s", strerror(errno));
		goto fail;
	}
	c->pid = fork();
	if (c->pid == 0)
		become(argv, parent, keep, report[1], quiet);
	(void)close(report[1]);
	if (c->pid < 0) {
		err_set(err, ERR_IO, "fork: %s", strerror(errno));
		c->pid = 0;
		(void)close(report[0]);
		goto fail;
	}
	/* End of file: exec has closed the other end. */
	while ((n = read(report[0], &why, sizeof(why))) < 0 && errno == EINTR)
		;
	(void)close(report[0]);
	if (n != 0) {
		err_set(err, ERR_IO, "%s: %s", argv[0],
		    strerror(n == sizeof(why) ? why : EIO));
		child_kill(c);
		goto fail;
	}
	(void)close(pair[1]);
	c->fd = pair[0];
	return 0;
fail:
	(void)close(pair[0]);
	(void)close(pair[1]);
	return -1;
}

void
child_kill(struct child *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	if (c->pid <= 0)
		return;
	(void)kill(c->pid, SIGKILL);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
}

/* Those that ask us to end, but what we were started to ignore (nohup). */
static void
our_signals(sigset_t *set)
{
	static const int ends[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction is;

	(void)sigemptyset(set);
	(void)sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (sigaction(ends[i], NULL, &is) != 0 ||
		    is.sa_handler != SIG_IGN)
			(void)sigaddset(set, ends[i]);
}

void
child_hold_signals(void)
{
	sigset_t set;

	our_signals(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

int
child_wait(struct child *c)
{
	int status = 0, signo;
	sigset_t set;
	pid_t got;

	our_signals(&set);
	for (;;) {
		got = waitpid(c->pid, &status, WNOHANG);
		if (got == c->pid || (got < 0 && errno != EINTR))
			break;
		if (sigwait(&set, &signo) == 0 && signo != SIGCHLD)
			(void)kill(c->pid, SIGTERM);
	}
	c->pid = 0;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return 128 + WTERMSIG(status);
}
