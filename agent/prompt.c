#include "agent/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static int
read_line(int fd, uint8_t out[PROMPT_MAX], size_t *len)
{
	*len = 0;
	for (;;) {
		uint8_t c;
		ssize_t n = read(fd, &c, 1);

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
ask(struct secret *out, int fd, const char *what, const char *tail,
    struct err *err)
{
	uint8_t line[PROMPT_MAX];
	size_t len = 0;
	int rc = -1;

	(void)dprintf(fd, "%s%s: ", what, tail);
	if (read_line(fd, line, &len) != 0 || len == 0)
		(void)err_set(
		    err, ERR_USAGE, "want 1 to %d characters", PROMPT_MAX);
	else
		rc = secret_copy(out, span_of(line, len), err);
	secret_wipe(line, sizeof(line));
	(void)dprintf(fd, "\n");
	return rc;
}

int
prompt_secret(struct secret *out, const char *what, struct err *err)
{
	struct secret again = { 0 };
	struct termios old;
	struct termios quiet;
	int rc = -1;
	int fd;

	fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || tcgetattr(fd, &old) != 0) {
		if (fd >= 0)
			(void)close(fd);
		return err_set(err, ERR_IO,
		    "no terminal to ask at; use --secret-file or "
		    "--secret-fd");
	}
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	(void)tcsetattr(fd, TCSAFLUSH, &quiet);
	if (ask(out, fd, what, "", err) != 0 ||
	    ask(&again, fd, what, " (again)", err) != 0)
		goto out;
	if (!secret_equal(secret_span(out), secret_span(&again))) {
		(void)err_set(err, ERR_USAGE, "the two answers differ");
		goto out;
	}
	rc = 0;
out:
	(void)tcsetattr(fd, TCSAFLUSH, &old);
	(void)close(fd);
	secret_free(&again);
	if (rc != 0)
		secret_free(out);
	return rc;
}
