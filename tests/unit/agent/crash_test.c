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

/* What the host, and the owner, have seen of the child before it died. */
struct seen {
	bool registered, measured, approved, released, done;
	struct vault_validate measure;
	struct vault_validate_answer release;
};

/* She is asked before each release of what the child registers. */
static const char *const asks[] = { "approve", "always", "approve-at",
	"release", NULL };

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

static void
start(void)
{
	struct vault_launch_answer launch;
	struct vault_launch in;

	lab_message(&in, &lab);
	lab_launch(&launch, &lab, &in);
	lab_measure(&seen->measure, &lab, lab_start(&lab, &launch));
	seen->measured = true;
}

static void
release(void)
{
	lab_validate(&seen->release, &lab, &seen->measure);
	seen->released = seen->release.outcome == VAULT_OK;
}

/* The owner's yes to the one question there is; false: there is none. */
static bool
say_yes(void)
{
	struct vault_ask *open = calloc(VAULT_ASKS_MAX, sizeof(*open));
	struct err err = { 0 };
	size_t count;

	assert_non_null(open);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	count = vault_asks(open, lab.vault);
	assert_true(count <= 1);
	if (count == 1)
		assert_int_equal(
		    vault_answer(lab.vault, open[0].id, true, &err), 0);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	free(open);
	return count == 1;
}

/* A vault that starts, launches, releases, ends a session, and is closed. */
static void
launch_life(long point)
{
	kill_at = point;
	lab_reopen(&lab);
	start();
	release();
	lab.boot_ms += VAULT_REPLAY_MS;
	lab_sweep(&lab);
	vault_erase_traces(lab.vault);
	vault_close(lab.vault);
}

/* A VM is registered, and its guest waits for the owner's word. */
static void
owner_life(long point)
{
	lab_reopen(&lab);
	kill_at = point;
	lab_register(&lab, "web2", asks);
	seen->registered = true;
	start();
	release();
	lab_outcome(seen->release.outcome, VAULT_PENDING);
	seen->approved = say_yes();
	release();
}

struct life {
	void (*live)(long point); /* the child's: killed at ${point} */
	const char *vm;           /* that it launches */
	bool asks;                /* the owner, before a release */
	enum way first;
};

struct counts {
	size_t registered, approved, released, receipts;
};

static int
count_line(void *arg, const struct store_audit *row)
{
	struct counts *c = arg;

	c->registered += strcmp(row->event, "register") == 0 ? 1 : 0;
	c->approved += strcmp(row->event, "approved") == 0 ? 1 : 0;
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

/* VMs, counter, log and receipts tell the same. */
static struct counts
told(void)
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
	assert_int_equal(c.registered, vault_count(lab.vault));
	return c;
}

/* A VM that is not there can be registered; lab.vm is that of ${life}. */
static void
judge_vm(const struct life *life)
{
	struct err err = { 0 };

	if (vault_find(&lab.vm, lab.vault, life->vm, &err) == 0)
		return;
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_false(seen->registered);
	lab_register(&lab, life->vm, asks);
}

/* As the host does: again, once she has said yes. */
static void
validate(
    struct vault_validate_answer *out, const struct vault_validate *measure)
{
	lab_validate(out, &lab, measure);
	if (out->outcome != VAULT_PENDING)
		return;
	assert_true(say_yes());
	lab_validate(out, &lab, measure);
}

/* After the restart, on the same store. */
static void
judge(const struct life *life)
{
	struct vault_validate_answer again;
	struct counts before;

	judge_vm(life);
	before = told();
	assert_true(before.released <= 1);
	/* An answer that a host, or the owner, has seen is on the disk. */
	if (seen->released)
		assert_int_equal(before.released, 1);
	if (seen->approved)
		assert_int_equal(before.approved, 1);
	if (life->asks)
		assert_true(before.released <= before.approved);
	if (!seen->measured)
		return;
	/* The session that the launch opened is there, whatever became of the
	 * release; what was released comes again, byte by byte, and unasked. */
	validate(&again, &seen->measure);
	if (again.outcome == VAULT_MISMATCH && seen->released)
		return; /* it was over already: swept before the kill */
	lab_outcome(again.outcome, VAULT_OK);
	if (before.released == 1)
		assert_int_equal(told().approved, before.approved);
	if (seen->released) {
		assert_int_equal(again.payload_len, seen->release.payload_len);
		assert_memory_equal(
		    again.payload, seen->release.payload, again.payload_len);
		assert_memory_equal(
		    again.header, seen->release.header, sizeof(again.header));
	}
	assert_int_equal(told().released, 1);
}

/* And the next start works. */
static void
next_start(const struct life *life)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;
	uint32_t guest = lab_begin(&lab, &launch, &m);

	validate(&answer, &m);
	lab_outcome(answer.outcome, VAULT_OK);
	assert_true(lab_opens(&lab, guest, &answer, life->vm));
}

/* True: there was such a point. */
static bool
try_point(const struct life *life, long point, enum way way)
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
	if (pid == 0) {
		how = way;
		life->live(point);
		seen->done = true;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	done = seen->done;
	if (!done && (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL))
		fail_msg("%s: point %ld, way %d: status 0x%x", life->vm, point,
		    (int)way, (unsigned)status);
	lab_reopen(&lab);
	judge(life);
	next_start(life);
	lab_close(&lab);
	return !done;
}

static void
kill_everywhere(const struct life *life)
{
	size_t points = 0;
	int way;

	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(seen != MAP_FAILED);
	for (way = (int)life->first; way < WAYS; way++) {
		long point = 1;

		while (try_point(life, point, (enum way)way)) {
			points++;
			assert_true(++point < POINTS_MAX);
		}
	}
	/* The symbols above are those that SQLite calls. */
	assert_true(points > 60);
	print_message("%s: %zu points\n", life->vm, points);
	(void)munmap(seen, sizeof(*seen));
}

/* To save time the second not before each call: torn is as early, and the
 * disk is as after the call ahead of it. */
static const struct life lives[] = {
	{ launch_life, "web1", false, BEFORE },
	{ owner_life, "web2", true, TORN },
};

/* One test for all lives: a child whose life fails must not go on to the
 * next test, and be killed there. */
static void
killed_at_every_write(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lives) / sizeof(lives[0]); i++)
		kill_everywhere(&lives[i]);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(killed_at_every_write),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
