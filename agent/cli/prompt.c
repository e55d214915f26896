#include "agent/cli/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/* Signals that would end us and leave the terminal without echo. */
static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

struct terminal {
	int fd, signal_fd;
	struct termios old;
	sigset_t mask;
};

/* A signal stays pending, and takes its course once all is as it was. */
static int
wait_for_line(const struct terminal *t)
{
	struct pollfd fds[] = { { t->fd, POLLIN, 0 },
		{ t->signal_fd, POLLIN, 0 } };

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return -1;
	return fds[1].revents == 0 ? 0 : -1;
}

static int
read_line(const struct terminal *t, uint8_t out[PROMPT_MAX], size_t *len)
{
	*len = 0;
	for (;;) {
		uint8_t c;
		ssize_t n;

		if (wait_for_line(t) != 0)
			return -1;
		n = read(t->fd, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != 1)
			return -1;
		if (c == '\n')
			return 0;
		if (*len >= PROMPT_MAX)
			return -1;
		out[(*len)++] = c;
	}
}

static int
ask(struct secret *out, const struct terminal *t, const char *what,
    const char *tail, struct err *err)
{
	uint8_t line[PROMPT_MAX];
	size_t len = 0;
	int rc = -1;

	(void)dprintf(t->fd, "%s%s: ", what, tail);
	if (read_line(t, line, &len) != 0 || len == 0)
		(void)err_set(
		    err, ERR_USAGE, "want 1 to %d characters", PROMPT_MAX);
	else
		rc = secret_copy(out, span_of(line, len), err);
	secret_wipe(line, sizeof(line));
	(void)dprintf(t->fd, "\n");
	return rc;
}

static int
quieten(struct terminal *t, struct err *err)
{
	struct termios quiet;
	sigset_t signals;
	size_t i;

	*t = (struct terminal){ .signal_fd = -1 };
	t->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (t->fd < 0 || tcgetattr(t->fd, &t->old) != 0) {
		if (t->fd >= 0)
			(void)close(t->fd);
		return err_set(err, ERR_IO,
		    "no terminal to ask at; use --secret-file or "
		    "--secret-fd");
	}
	(void)sigemptyset(&signals);
	for (i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		(void)sigaddset(&signals, ending[i]);
	(void)sigprocmask(SIG_BLOCK, &signals, &t->mask);
	t->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	quiet = t->old;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	(void)tcsetattr(t->fd, TCSAFLUSH, &quiet);
	return 0;
}

static void
restore(struct terminal *t)
{
	(void)tcsetattr(t->fd, TCSAFLUSH, &t->old);
	(void)close(t->fd);
	if (t->signal_fd >= 0)
		(void)close(t->signal_fd);
	(void)sigprocmask(SIG_SETMASK, &t->mask, NULL);
}

int
prompt_secret(struct secret *out, const char *what, struct err *err)
{
	struct secret again = { 0 };
	struct terminal t;
	int rc = -1;

	if (quieten(&t, err) != 0)
		return -1;
	if (ask(out, &t, what, "", err) != 0 ||
	    ask(&again, &t, what, " (again)", err) != 0)
		goto out;
	if (!secret_equal(secret_span(out), secret_span(&again))) {
		(void)err_set(err, ERR_USAGE, "the two answers differ");
		goto out;
	}
	rc = 0;
out:
	restore(&t);
	secret_free(&again);
	if (rc != 0)
		secret_free(out);
	return rc;
}

int
prompt_once(struct secret *out, const char *what, struct err *err)
{
	struct terminal t;
	int rc;

	if (quieten(&t, err) != 0)
		return -1;
	rc = ask(out, &t, what, "", err);
	restore(&t);
	return rc;
}
