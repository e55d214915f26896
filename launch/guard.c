#include "launch/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/clean.h"
#include "launch/report.h"
#include "launch/wait.h"

#define IN_FLIGHT_S 5 /* for a guest whose start was asked for */

/* Nothing comes; end of file: the launcher is over, or dead. */
static void
await_end(int fd)
{
	char none;

	while (read(fd, &none, 1) < 0 && errno == EINTR)
		;
}

static void
clean(struct record *r, const struct record_view *v)
{
	const struct clean_rule rule = { .patience_s = 0,
		.in_flight_s = IN_FLIGHT_S,
		.also_running =
		    (v->words & (RECORD_FAILED | RECORD_BOUND)) != 0 };

	switch (clean_run(v, r->id, &rule)) {
	case CLEAN_LATER:
		report_say("guest %s: asked for, and not there yet: a sweep "
			   "looks again",
		    v->domain);
		record_leave(r);
		return;
	case CLEAN_ENDED:
		report_say("guest %s destroyed", v->domain);
		break;
	case CLEAN_LEFT:
		report_say("guest %s is in use, and left as it is", v->domain);
		break;
	case CLEAN_NONE:
	case CLEAN_AGAIN:
		break;
	}
	record_end(r);
}

static int
guard(int fd, struct record *r)
{
	struct record_view v;
	struct err err = { 0 };

	await_end(fd);
	if (record_read(&v, r, &err) != 0) {
		report_say("%s", err.msg);
		return 1;
	}
	if (v.asked && (v.words & RECORD_DONE) == 0)
		clean(r, &v);
	else
		record_end(r);
	return 0;
}

/* What ends its parent must not reach it; its output is its parent's stderr. */
static void
become(int fd, struct record *r)
{
	static const int passed_by[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT,
		SIGPIPE };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(passed_by) / sizeof(passed_by[0]); i++)
		(void)signal(passed_by[i], SIG_IGN);
	(void)setsid();
	(void)prctl(PR_SET_NAME, "attest-guard");
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0)
		_exit(1);
	_exit(guard(fd, r));
}

int
guard_start(struct guard *g, struct record *record, struct err *err)
{
	int pair[2];

	g->pid = 0;
	if (pipe2(pair, O_CLOEXEC) != 0)
		return err_set(err, ERR_IO, "pipe: %s", strerror(errno));
	g->pid = fork();
	if (g->pid == 0) {
		(void)close(pair[1]);
		become(pair[0], record);
	}
	(void)close(pair[0]);
	if (g->pid < 0) {
		g->pid = 0;
		(void)close(pair[1]);
		return err_set(err, ERR_IO, "fork: %s", strerror(errno));
	}
	g->fd = pair[1];
	return 0;
}

enum guard_end
guard_end(struct guard *g, unsigned wait_s)
{
	pid_t pid = g->pid, got;
	int status = 0;

	if (pid <= 0)
		return GUARD_OVER;
	g->pid = 0;
	(void)close(g->fd);
	if (!wait_end_ms(pid, (int64_t)wait_s * 1000))
		return GUARD_TRYING;
	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	return got > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0
	    ? GUARD_OVER
	    : GUARD_GONE;
}
