#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/doctor.h"
#include "agent/key.h"
#include "agent/seal_key.h"

#define DISK_MIN (64ull << 20) /* bytes; a release takes some KiB */
#define SYNC_SLOW_MS 250

/* A record of a launch is a write and a sync: do one, and see. */
static void
check_disk(struct doctor *d, const struct state *state)
{
	static const uint8_t bytes[4096];
	struct timespec from = { 0 };
	struct timespec to = { 0 };
	struct statvfs fs = { 0 };
	unsigned long long room;
	long ms;
	int bad;
	int fd;

	/* A file over the limit of sizes is an error, not the end of us. */
	(void)signal(SIGXFSZ, SIG_IGN);
	fd = openat(state->dir_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	bad = fd < 0 || write(fd, bytes, sizeof(bytes)) != sizeof(bytes) ||
	    fsync(fd) != 0;
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	if (bad)
		doctor_say(d, DOCTOR_FAIL, "disk",
		    "make room, or mount it for writing; until then hosts get "
		    "503",
		    "%.200s cannot be written: %s", state->dir,
		    strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	if (bad || fstatvfs(state->dir_fd, &fs) != 0)
		return;
	room = (unsigned long long)fs.f_bavail * fs.f_frsize;
	ms = (to.tv_sec - from.tv_sec) * 1000 +
	    (to.tv_nsec - from.tv_nsec) / 1000000;
	if (room < DISK_MIN)
		doctor_say(d, DOCTOR_WARN, "disk", "make room",
		    "%llu KiB are left", room / 1024);
	else if (ms > SYNC_SLOW_MS)
		doctor_say(d, DOCTOR_WARN, "disk",
		    "put the state on a faster disk: each launch waits for it",
		    "a sync takes %ld ms", ms);
	else
		doctor_say(d, DOCTOR_OK, "disk", "",
		    "%llu MiB are left, a sync takes %ld ms", room >> 20, ms);
}

static void
check_key(struct doctor *d, const struct state *state)
{
	char text[KEY_TEXT_LEN];
	struct key *key = NULL;
	struct err err = { 0 };

	if (key_load(&key, state, &err) == 0)
		doctor_say(
		    d, DOCTOR_OK, "key", "", "%s", key_format(text, key));
	else if (err.code == ERR_NOT_FOUND)
		doctor_say(d, DOCTOR_FAIL, "key",
		    "attest-agent key new, or enrol LINK", "no key yet");
	else
		doctor_say(d, DOCTOR_FAIL, "key",
		    "chmod 0600 agent.key; if it is broken, put it back from "
		    "a copy or make another",
		    "%.200s", err.msg);
	key_free(key);
}

/* 1: it is there; 0: not; -1: told that it is not ours alone. */
static int
check_file(struct doctor *d, const struct state *state, const char *name)
{
	struct stat st;

	if (fstatat(state->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	if (S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	    (st.st_mode & 077) == 0)
		return 1;
	doctor_say(d, DOCTOR_FAIL, "store", "chown and chmod 0600 it",
	    "%s: owner %u, mode %04o, want a file of yours alone", name,
	    (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
	return -1;
}

/* Not opened: a running agent holds it. */
static void
check_store(struct doctor *d, const struct state *state)
{
	int store = check_file(d, state, "agent.db");
	struct secret seal = { 0 };
	struct err err = { 0 };
	bool has_seal;

	if (store < 0 || check_file(d, state, "generation") < 0)
		return;
	has_seal =
	    seal_key_load(&seal, state, &err) == 0 || err.code == ERR_CLOSED;
	secret_free(&seal);
	if (!has_seal && err.code != ERR_NOT_FOUND)
		doctor_say(d, DOCTOR_FAIL, "store",
		    "chown and chmod 0600 it, or put it back from a copy",
		    "%.200s", err.msg);
	else if (store != 0 && !has_seal)
		doctor_say(d, DOCTOR_FAIL, "store",
		    "put its seal key back from a copy: without it nothing in "
		    "the store opens",
		    "agent.db is there, and its seal key is not");
	else if (has_seal && store == 0)
		doctor_say(d, DOCTOR_WARN, "store",
		    "if VMs were registered here, put agent.db back",
		    "a seal key is there, and no agent.db");
	else if (store != 0)
		doctor_say(d, DOCTOR_OK, "store", "", "agent.db, %s",
		    err.code == ERR_CLOSED ? "its key under a passphrase"
					   : "its key in a file or credential");
	else
		doctor_say(d, DOCTOR_WARN, "store",
		    "attest-agent vm add NAME ...", "nothing is registered");
}

void
doctor_state(struct doctor *d, const char *dir)
{
	struct state state;
	struct err err = { 0 };

	if (state_open(&state, dir, &err) != 0) {
		doctor_say(d, DOCTOR_FAIL, "state",
		    "chmod 0700 the folder, or give another by --state",
		    "%.200s", err.msg);
		return;
	}
	doctor_say(d, DOCTOR_OK, "state", "", "%.200s", state.dir);
	check_key(d, &state);
	check_store(d, &state);
	check_disk(d, &state);
	state_close(&state);
}
