#include "launch/clean.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/libvirt.h"
#include "launch/wait.h"

#define LOOK_S 40 /* libvirt's own keepalive takes 30 */
#define PAUSE_MS_MIN 200
#define PAUSE_MS_MAX 2000

enum clean_end
clean_judge(struct clean *c, enum clean_sight seen, unsigned words,
    unsigned in_flight_s, int64_t now_s)
{
	switch (seen) {
	case CLEAN_DESTROYED:
		return CLEAN_ENDED;
	case CLEAN_IN_USE:
		return CLEAN_LEFT;
	case CLEAN_KILLED:
		c->killed = true;
		return CLEAN_AGAIN;
	case CLEAN_ABSENT:
		break;
	case CLEAN_NO_ANSWER:
		/* What hung in between may start a guest when it goes on. */
		c->absent = false;
		return CLEAN_AGAIN;
	}
	if (c->killed)
		return CLEAN_ENDED;
	if ((words & RECORD_ANSWERED) != 0)
		return CLEAN_NONE;
	if (!c->absent)
		c->absent_since_s = now_s;
	c->absent = true;
	return now_s - c->absent_since_s >= in_flight_s ? CLEAN_LATER
							: CLEAN_AGAIN;
}

/* Somebody's, by what libvirt and QEMU say of it? */
static int
in_use(bool *is, const struct libvirt_guest *guest, unsigned words,
    const struct clean_rule *rule)
{
	enum libvirt_state state = libvirt_guest_state(guest);
	bool resuming = (words & RECORD_RESUMING) != 0;

	*is = state != LIBVIRT_PAUSED;
	if (state == LIBVIRT_UNKNOWN)
		return -1;
	if (*is || (!resuming && !rule->ask_qemu))
		return 0;
	/* Paused: by its start, or by an operator, after it ran? */
	if (libvirt_guest_has_run(is, guest) == 0)
		return 0;
	/* A QEMU that does not answer: we never told it to run. */
	*is = false;
	return resuming ? -1 : 0;
}

static enum clean_sight
judge_guest(struct libvirt_guest *guest, const struct record_view *v,
    const char *id, const struct clean_rule *rule)
{
	bool is = false;

	if (guest == NULL)
		return CLEAN_ABSENT;
	if (libvirt_guest_marked(&is, guest, id) != 0)
		return CLEAN_NO_ANSWER;
	if (!is)
		return CLEAN_ABSENT;
	if (!rule->also_running) {
		if (in_use(&is, guest, v->words, rule) != 0)
			return CLEAN_NO_ANSWER;
		if (is)
			return CLEAN_IN_USE;
	}
	return libvirt_destroy(guest, NULL) == OUTCOME_OK ? CLEAN_DESTROYED
							  : CLEAN_KILLED;
}

/* A connection of its own: that of who died may be the trouble. */
static enum clean_sight
look(const struct record_view *v, const char *id,
    const struct clean_rule *rule)
{
	struct libvirt_guest *guest = NULL;
	enum clean_sight seen = CLEAN_NO_ANSWER;
	struct libvirt *l = NULL;

	if (libvirt_open(&l, v->connect, NULL) != OUTCOME_OK)
		return CLEAN_NO_ANSWER;
	if (libvirt_find(&guest, l, v->domain, NULL) == OUTCOME_OK)
		seen = judge_guest(guest, v, id, rule);
	/* This process ends with its answer; an orderly close would ask the
	 * daemon once more. */
	return seen;
}

static enum clean_sight
look_apart(const struct record_view *v, const char *id,
    const struct clean_rule *rule, int64_t ms)
{
	pid_t parent = getpid(), pid = fork();
	int status = 0;

	if (pid == 0) {
		/* With the one that asks, also if it is killed. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
		    getppid() != parent)
			_exit(CLEAN_NO_ANSWER);
		_exit((int)look(v, id, rule));
	}
	if (pid < 0)
		return CLEAN_NO_ANSWER;
	if (!wait_end_ms(pid, ms))
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) <= CLEAN_NO_ANSWER
	    ? (enum clean_sight)WEXITSTATUS(status)
	    : CLEAN_NO_ANSWER;
}

enum clean_end
clean_run(
    const struct record_view *v, const char *id, const struct clean_rule *rule)
{
	int64_t start = wait_now_ms(), pause = PAUSE_MS_MIN;
	struct clean c = { 0 };

	for (;;) {
		int64_t left = rule->patience_s == 0
		    ? LOOK_S * 1000
		    : start + (int64_t)rule->patience_s * 1000 - wait_now_ms();
		enum clean_sight seen;
		enum clean_end end;

		if (left <= 0)
			return CLEAN_AGAIN;
		seen = look_apart(v, id, rule,
		    left < LOOK_S * 1000 ? left : LOOK_S * 1000);
		end = clean_judge(&c, seen, v->words, rule->in_flight_s,
		    wait_now_ms() / 1000);
		if (end != CLEAN_AGAIN)
			return end;
		wait_rest_ms(pause);
		pause = pause * 2 < PAUSE_MS_MAX ? pause * 2 : PAUSE_MS_MAX;
	}
}
