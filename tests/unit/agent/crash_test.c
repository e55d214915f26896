#include "tests/unit/agent/lab.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/vault/vault_receipt.h"

/*
 * kill -9 of the vault at each call that changes a file: SQLite's are ours
 * here, since a program's own symbols come ahead of a library's.  Each point
 * is tried three ways: before the call, in the middle of what it writes, and
 * after it.
 */

#define POINTS_MAX 1000

enum way { BEFORE, TORN, AFTER, WAYS };

static long kill_at; /* calls left; 0: never */
static enum way how;

/* What the host has seen of the child before it died. */
struct seen {
	bool launched, measured, released, done;
	struct vault_launch_answer launch;
	struct vault_validate measure;
	struct vault_validate_answer release;
};

static void
die(void)
{
	(void)kill(getpid(), SIGKILL);
	for (;;)
		(void)pause();
}

static bool
now(void)
{
	return kill_at > 0 && --kill_at == 0;
}

static long
changed(bool hit, long number, long a, long b, long c, long d, long e)
{
	long rc;

	if (hit && how != AFTER)
		die();
	rc = syscall(number, a, b, c, d, e);
	if (hit)
		die();
	return rc;
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t at);
ssize_t
pwrite64(int fd, const void *buf, size_t len, off64_t at)
{
	bool hit = now();

	if (hit && how == TORN)
		(void)syscall(SYS_pwrite64, fd, buf, len / 2, at);
	return changed(
	    hit, SYS_pwrite64, fd, (long)buf, (long)len, (long)at, 0);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at);
ssize_t
pwrite(int fd, const void *buf, size_t len, off_t at)
{
	return pwrite64(fd, buf, len, at);
}

/* A kill loses nothing that the kernel has: a point like the others, and no
 * need to wait for the disk. */
static int
synced(void)
{
	if (now())
		die();
	return 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return synced();
}

int
fsync(int fd)
{
	(void)fd;
	return synced();
}

int
ftruncate64(int fd, off64_t len)
{
	return (int)changed(now(), SYS_ftruncate, fd, (long)len, 0, 0, 0);
}

int
ftruncate(int fd, off_t len)
{
	return ftruncate64(fd, len);
}

int
unlink(const char *path)
{
	return (int)changed(now(), SYS_unlink, (long)path, 0, 0, 0, 0);
}

int
rename(const char *from, const char *to)
{
	return (int)changed(now(), SYS_rename, (long)from, (long)to, 0, 0, 0);
}

static struct lab lab;
static struct seen *seen;

/* The child: a vault that starts, launches, releases, ends a session, and is
 * closed. */
static void
live(long point, enum way way)
{
	struct vault_launch in;
	uint32_t guest;

	how = way;
	kill_at = point;
	lab_reopen(&lab);
	lab_message(&in, &lab);
	lab_launch(&seen->launch, &lab, &in);
	seen->launched = seen->launch.outcome == VAULT_OK;
	guest = lab_start(&lab, &seen->launch);
	lab_measure(&seen->measure, &lab, guest);
	seen->measured = true;
	lab_validate(&seen->release, &lab, &seen->measure);
	seen->released = seen->release.outcome == VAULT_OK;
	lab.boot_ms += VAULT_REPLAY_MS;
	lab_sweep(&lab);
	vault_erase_traces(lab.vault);
	vault_close(lab.vault);
	seen->done = true;
	_exit(0);
}

struct counts {
	size_t released, receipts;
};

static int
count_line(void *arg, const struct store_audit *row)
{
	struct counts *c = arg;

	c->released += strcmp(row->event, "released") == 0 ? 1 : 0;
	return 0;
}

static int
count_receipt(void *arg, const struct vault_receipt *r)
{
	struct counts *c = arg;

	(void)r;
	c->receipts++;
	return 0;
}

/* Counter, log and receipts tell the same. */
static size_t
releases(void)
{
	struct counts c = { 0 };
	struct err err = { 0 };
	uint64_t log = 0;

	assert_int_equal(vault_log_verify(lab.vault, &log, &err), 0);
	assert_int_equal(
	    vault_log(lab.vault, 0, NULL, count_line, &c, &err), 0);
	assert_int_equal(
	    vault_receipt_each(lab.vault, 0, count_receipt, &c, &err), 0);
	assert_int_equal(c.released, lab_released(&lab));
	assert_int_equal(c.receipts, c.released);
	return c.released;
}

/* After the restart, on the same store. */
static void
judge(void)
{
	struct vault_validate_answer again;
	size_t before = releases();
	struct err err = { 0 };

	assert_true(before <= 1);
	/* An answer that a host has seen is on the disk. */
	if (seen->released)
		assert_int_equal(before, 1);
	if (!seen->measured)
		return;
	/* The session that the launch opened is there, whatever became of the
	 * release; what was released comes again, byte by byte. */
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	vault_validate(&again, lab.vault, &seen->measure);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	if (again.outcome == VAULT_MISMATCH && seen->released)
		return; /* it was over already: swept before the kill */
	lab_outcome(again.outcome, VAULT_OK);
	if (seen->released) {
		assert_int_equal(again.payload_len, seen->release.payload_len);
		assert_memory_equal(
		    again.payload, seen->release.payload, again.payload_len);
		assert_memory_equal(
		    again.header, seen->release.header, sizeof(again.header));
	}
	assert_int_equal(releases(), 1);
}

/* And the next start works. */
static void
next_start(void)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;
	uint32_t guest = lab_begin(&lab, &launch, &m);

	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
	assert_true(lab_opens(&lab, guest, &answer, "web1"));
}

/* True: there was such a point. */
static bool
try_point(long point, enum way way)
{
	int status = 0;
	bool done;
	pid_t pid;

	memset(seen, 0, sizeof(*seen));
	lab_open(&lab);
	lab_register(&lab, "web1", NULL);
	/* The child has the store for itself. */
	vault_close(lab.vault);
	lab.vault = NULL;
	state_close(&lab.state);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		live(point, way);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	done = seen->done;
	if (!done && (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL))
		fail_msg("point %ld, way %d: status 0x%x", point, (int)way,
		    (unsigned)status);
	lab_reopen(&lab);
	judge();
	next_start();
	lab_close(&lab);
	return !done;
}

static void
killed_at_every_write(void **state)
{
	size_t points = 0;
	int way;

	(void)state;
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(seen != MAP_FAILED);
	for (way = 0; way < WAYS; way++) {
		long point = 1;

		while (try_point(point, (enum way)way)) {
			points++;
			assert_true(++point < POINTS_MAX);
		}
	}
	/* The symbols above are those that SQLite calls. */
	assert_true(points > 60);
	print_message("%zu points\n", points);
	(void)munmap(seen, sizeof(*seen));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(killed_at_every_write),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
