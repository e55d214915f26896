#include "launch/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launch/domain_xml.h"
#include "launch/libvirt.h"
#include "launch/report.h"

#define GUARD_S 60    /* to find a daemon that destroys */
#define IN_FLIGHT_S 5 /* for a guest whose start was asked for */
#define PAUSE_MS 200

/* The words between us; a watch fits PIPE_BUF, so that it comes whole. */
enum word { WATCH = 'w', ANSWERED = 'a', RELEASE = 'r' };

struct watch {
	char word;
	char name[DOMAIN_NAME_MAX + 1];
	char id[UUID_TEXT_LEN + 1];
};

/* KILLED: it was there, and libvirt may or may not have ended it by now. */
enum sight { ABSENT, DESTROYED, KILLED, UNKNOWN };

/* Whole, or not at all (end of file). */
static bool
take(int fd, void *out, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, (char *)out + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

static int
give(struct guard *g, const void *data, size_t len, struct err *err)
{
	ssize_t n;

	do
		n = write(g->fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)len)
		return err_set(err, ERR_CLOSED,
		    "the guard that would destroy the guest is gone");
	return 0;
}

/* A connection of its own: that of who died may be the trouble. */
static enum sight
look(const char *uri, const struct watch *w)
{
	struct libvirt_guest *guest = NULL;
	struct libvirt *l = NULL;
	enum sight seen = UNKNOWN;

	if (libvirt_open(&l, uri, NULL) != OUTCOME_OK)
		return UNKNOWN;
	if (libvirt_find(&guest, l, w->name, NULL) == OUTCOME_OK) {
		if (guest == NULL || !libvirt_guest_marked(guest, w->id))
			seen = ABSENT;
		else
			seen = libvirt_destroy(guest, NULL) == OUTCOME_OK
			    ? DESTROYED
			    : KILLED;
	}
	libvirt_guest_free(guest);
	libvirt_close(l);
	return seen;
}

static time_t
now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Until it is gone; a guest that was asked for may still be on its way. */
static int
destroy(const char *uri, const struct watch *w, bool answered)
{
	const struct timespec pause = { 0, PAUSE_MS * 1000000L };
	time_t start = now_s();
	bool killed = false;

	/* A daemon that lets us connect and then says nothing is no reason to
	 * wait for ever: that ends us, and the launcher tells of it. */
	(void)alarm(GUARD_S + IN_FLIGHT_S);
	for (;;) {
		enum sight seen = look(uri, w);
		time_t gone = now_s() - start;

		killed |= seen == KILLED;
		if (seen == DESTROYED || (seen == ABSENT && killed)) {
			report_say("guest %s destroyed", w->name);
			return 0;
		}
		if (seen == ABSENT && (answered || gone >= IN_FLIGHT_S))
			return 0;
		if (gone >= GUARD_S)
			break;
		(void)nanosleep(&pause, NULL);
	}
	report_say("guest %s: libvirt does not say that it is gone: look for "
		   "it, it is paused",
	    w->name);
	return 1;
}

static int
guard(int fd, const char *uri)
{
	bool answered = false;
	struct watch w;
	char word;

	/* Ended before it had a guest. */
	if (!take(fd, &w, sizeof(w)) || w.word != WATCH)
		return 0;
	while (take(fd, &word, 1)) {
		if (word == RELEASE)
			return 0;
		answered = word == ANSWERED;
	}
	return destroy(uri, &w, answered);
}

/* What ends its parent must not reach it; its output is its parent's stderr. */
static void
become(int fd, const char *uri)
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
	_exit(guard(fd, uri));
}

int
guard_start(struct guard *g, const char *uri, struct err *err)
{
	int pair[2];

	g->pid = 0;
	if (pipe2(pair, O_CLOEXEC) != 0)
		return err_set(err, ERR_IO, "pipe: %s", strerror(errno));
	g->pid = fork();
	if (g->pid == 0) {
		(void)close(pair[1]);
		become(pair[0], uri);
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

int
guard_watch(struct guard *g, const char *name, const char *id, struct err *err)
{
	struct watch w = { .word = WATCH };

	(void)snprintf(w.name, sizeof(w.name), "%s", name);
	(void)snprintf(w.id, sizeof(w.id), "%s", id);
	return give(g, &w, sizeof(w), err);
}

int
guard_answered(struct guard *g, struct err *err)
{
	char word = ANSWERED;

	return give(g, &word, 1, err);
}

void
guard_release(struct guard *g)
{
	char word = RELEASE;

	if (g->pid <= 0)
		return;
	(void)give(g, &word, 1, NULL);
	(void)guard_end(g, NULL);
}

int
guard_end(struct guard *g, struct err *err)
{
	int status = 0;
	pid_t got;

	if (g->pid <= 0)
		return 0;
	(void)close(g->fd);
	do
		got = waitpid(g->pid, &status, 0);
	while (got < 0 && errno == EINTR);
	g->pid = 0;
	if (got > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(err, ERR_IO, "the guest may still be there");
}
