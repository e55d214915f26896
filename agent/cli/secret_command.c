#include "agent/cli/secret_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOT_FOUND 127 /* as shells have it */

int
secret_command_parse(
    struct secret_command *out, const char *line, struct err *err)
{
	size_t at = 0;
	char quote = '\0';
	bool open = false; /* inside a word */

	memset(out, 0, sizeof(*out));
	for (; *line != '\0'; line++) {
		bool blank = *line == ' ' || *line == '\t';

		if (at + 2 > sizeof(out->text))
			return err_set(err, ERR_LIMIT,
			    "command of more than %d bytes",
			    SECRET_COMMAND_LEN_MAX - 2);
		if (quote == '\0' && blank) {
			if (open)
				out->text[at++] = '\0';
			open = false;
			continue;
		}
		if (!open) {
			if (out->count >= SECRET_COMMAND_WORDS_MAX)
				return err_set(err, ERR_LIMIT,
				    "command of more than %d words",
				    SECRET_COMMAND_WORDS_MAX);
			out->words[out->count++] = &out->text[at];
			open = true;
		}
		if (quote != '\0' && *line == quote)
			quote = '\0';
		else if (quote == '\0' && (*line == '\'' || *line == '"'))
			quote = *line;
		else
			out->text[at++] = *line;
	}
	if (quote != '\0')
		return err_set(err, ERR_USAGE, "a quote that does not end");
	if (out->count == 0 || out->words[0][0] == '\0')
		return err_set(err, ERR_USAGE, "want a command");
	return 0;
}

static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* In the child: only what is safe behind fork(). */
static void
become(const struct secret_command *c, int fd, pid_t parent)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	(void)setpgid(0, 0);
	/* A key at the terminal ends our group, which is not this one's. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(NOT_FOUND);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(fd, STDOUT_FILENO) < 0)
		_exit(NOT_FOUND);
	(void)execvp(c->words[0], c->words);
	_exit(NOT_FOUND);
}

static int
collect(
    struct secret *room, size_t *len, int fd, int64_t until, struct err *err)
{
	for (;;) {
		struct pollfd p = { fd, POLLIN, 0 };
		int64_t left = until - now_ms();
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return err_set(
			    err, ERR_IO, "the command takes too long");
		n = read(fd, room->ptr + *len, room->len - *len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return err_set(err, ERR_IO, "%s", strerror(errno));
		if (n == 0)
			return 0;
		*len += (size_t)n;
		if (*len == room->len)
			return err_set(err, ERR_LIMIT,
			    "the command wrote more than %zu bytes",
			    room->len - 1);
	}
}

/* It may have closed its stdout and go on all the same. */
static bool
has_ended(pid_t pid, int64_t until)
{
	struct pollfd p = { .events = POLLIN };
	int64_t left;
	int n = 0;

	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p.fd < 0)
		return false;
	do {
		left = until - now_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	(void)close(p.fd);
	return n > 0;
}

/* Nothing of it is left running, whatever became of it. */
static int
reap(pid_t pid, bool failed, int64_t until, const char *name, struct err *err)
{
	bool kill_it = failed || !has_ended(pid, until);
	int status = 0;

	if (kill_it && !failed)
		(void)err_set(err, ERR_IO, "the command takes too long");
	if (kill_it)
		(void)kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(err, ERR_IO, "%s", strerror(errno));
	if (kill_it)
		return -1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
		return err_set(err, ERR_IO, "%.80s: cannot be run", name);
	return err_set(err, ERR_IO, "%.80s: ended with status %d", name,
	    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int
secret_command_run(struct secret *out, const struct secret_command *c,
    size_t max, unsigned wait_ms, struct err *err)
{
	struct secret room = { 0 };
	const pid_t self = getpid();
	int ends[2] = { -1, -1 };
	int64_t until = now_ms() + wait_ms;
	size_t len = 0;
	bool failed;
	pid_t pid;
	int rc = -1;

	if (secret_alloc(&room, max + 1, err) != 0)
		return -1;
	if (pipe2(ends, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
		(void)err_set(err, ERR_IO, "%s", strerror(errno));
		goto out;
	}
	if (pid == 0)
		become(c, ends[1], self);
	(void)setpgid(pid, pid); /* whichever of the two is first */
	(void)close(ends[1]);
	ends[1] = -1;
	failed = collect(&room, &len, ends[0], until, err) != 0;
	if (reap(pid, failed, until, c->words[0], err) != 0)
		goto out;
	if (len > 0 && room.ptr[len - 1] == '\n')
		len--;
	if (len == 0)
		(void)err_set(
		    err, ERR_USAGE, "%.80s: wrote nothing", c->words[0]);
	else
		rc = secret_copy(out, span_of(room.ptr, len), err);
out:
	if (ends[0] >= 0)
		(void)close(ends[0]);
	if (ends[1] >= 0)
		(void)close(ends[1]);
	secret_free(&room);
	return rc;
}
