#include "tests/unit/agent/lab.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/secret.h"

/*
 * Faults of what the vault stands on: its generator and its disk.  Linked
 * with --wrap=secret_random, so that the generator can fail here.
 */

int __real_secret_random(void *out, size_t len, struct err *err);
int __wrap_secret_random(void *out, size_t len, struct err *err);

static int good_draws = -1; /* draws before the generator fails; -1: never */

int
__wrap_secret_random(void *out, size_t len, struct err *err)
{
	if (good_draws == 0) {
		memset(out, 0, len);
		return err_set(err, ERR_INTERNAL, "no randomness");
	}
	if (good_draws > 0)
		good_draws--;
	return __real_secret_random(out, len, err);
}

static struct lab lab;

static int
setup(void **state)
{
	(void)state;
	good_draws = -1;
	lab_open(&lab);
	lab_register(&lab, "web1", NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	good_draws = -1;
	lab_close(&lab);
	return 0;
}

static bool
is_zeros(const void *ptr, size_t len)
{
	const uint8_t *p = ptr;
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* T9: without randomness there is no launch, whichever draw it is. */
static void
no_keys_without_randomness(void **state)
{
	struct vault_launch_answer a;
	struct vault_launch in;
	struct err err = { 0 };
	int draws;

	(void)state;
	lab_message(&in, &lab);
	/* Keys, session id, the IVs that seal the record and the evidence, and
	 * that of the log's end, at the commit. */
	for (draws = 0; draws < 5; draws++) {
		good_draws = draws;
		assert_int_equal(vault_begin(lab.vault, &err), 0);
		vault_launch(&a, lab.vault, &in);
		assert_int_equal(a.outcome,
		    draws < 2       ? VAULT_INTERNAL
			: draws < 4 ? VAULT_STORAGE
				    : VAULT_OK);
		if (draws < 2)
			assert_true(is_zeros(&a.session, sizeof(a.session)));
		assert_int_equal(vault_commit(lab.vault, &err), -1);
		good_draws = -1;
	}
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_OK);
}

static void
no_packet_without_randomness(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;
	struct err err = { 0 };
	uint32_t guest;

	(void)state;
	guest = lab_begin(&lab, &launch, &m);
	good_draws = 0;
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	vault_validate(&answer, lab.vault, &m);
	good_draws = -1;
	assert_int_equal(answer.outcome, VAULT_INTERNAL);
	assert_true(is_zeros(answer.payload, sizeof(answer.payload)));
	(void)vault_commit(lab.vault, &err);
	assert_int_equal(lab_released(&lab), 0);
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
	assert_true(lab_opens(&lab, guest, &answer, "web1"));
}

/* A full disk: nothing is released, nothing counted; later it works. */
static void
no_release_without_disk(void **state)
{
	const struct rlimit none = { 1, RLIM_INFINITY };
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_launch_answer other;
	struct vault_validate m;
	struct vault_launch in;
	struct err err = { 0 };
	uint32_t guest;
	size_t lines;
	int rc;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	guest = lab_begin(&lab, &launch, &m);
	lab_message(&in, &lab);
	lines = lab.lines;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	rc = vault_begin(lab.vault, &err);
	if (rc == 0) {
		vault_validate(&answer, lab.vault, &m);
		vault_launch(&other, lab.vault, &in);
		rc = vault_commit(lab.vault, &err);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, ERR_IO);
	assert_int_equal(lab.lines, lines);

	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
	assert_true(lab_opens(&lab, guest, &answer, "web1"));
	assert_int_equal(lab_released(&lab), 1);
	lab_reopen(&lab);
	assert_int_equal(lab_released(&lab), 1);
	assert_int_equal(
	    vault_log_verify(lab.vault, &(uint64_t){ 0 }, &err), 0);
}

static void
take_value(struct secret *out)
{
	char path[STATE_PATH_MAX];
	sqlite3_stmt *row = NULL;
	sqlite3 *db = NULL;

	assert_int_equal(
	    sqlite3_open(state_path(path, &lab.state, "agent.db"), &db), 0);
	assert_int_equal(
	    sqlite3_prepare_v2(
		db, "SELECT value FROM record WHERE tab=2", -1, &row, NULL),
	    0);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	assert_int_equal(secret_copy(out,
			     span_of(sqlite3_column_blob(row, 0),
				 (size_t)sqlite3_column_bytes(row, 0)),
			     NULL),
	    0);
	(void)sqlite3_finalize(row);
	(void)sqlite3_close(db);
}

static bool
on_disk(const char *name, struct span what)
{
	struct secret file = { 0 };
	struct err err = { 0 };
	bool found;

	if (state_read(&file, &lab.state, name, 1 << 24, &err) != 0)
		fail_msg("%s", err.msg);
	found = memmem(file.ptr, file.len, what.ptr, what.len) != NULL;
	secret_free(&file);
	return found;
}

/* T24: when a session has ended, its keys are not on the disk any more, not
 * even sealed: in no page of the store, and in no frame of its log. */
static void
ended_sessions_leave_nothing(void **state)
{
	struct vault_launch_answer launch;
	struct vault_validate m;
	struct secret sealed = { 0 };
	struct span part;

	(void)state;
	(void)lab_begin(&lab, &launch, &m);
	take_value(&sealed);
	assert_true(sealed.len > 64);
	part = span_of(sealed.ptr + 16, 32);
	assert_true(on_disk("agent.db-wal", part) || on_disk("agent.db", part));
	lab.boot_ms += VAULT_LIFE_MS;
	lab_sweep(&lab);
	vault_erase_traces(lab.vault);
	assert_false(on_disk("agent.db-wal", part));
	assert_false(on_disk("agent.db", part));
	secret_free(&sealed);
}

/* One record that rots is the loss of one answer, not of a batch. */
static void
a_rotten_answer_harms_no_other(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate_answer good;
	struct vault_validate rotten;
	struct vault_validate m;
	char path[STATE_PATH_MAX];
	struct err err = { 0 };
	sqlite3 *db = NULL;
	uint32_t guest;

	(void)state;
	(void)lab_begin(&lab, &launch, &rotten);
	lab_validate(&answer, &lab, &rotten);
	lab_outcome(answer.outcome, VAULT_OK);
	assert_int_equal(
	    sqlite3_open(state_path(path, &lab.state, "agent.db"), &db), 0);
	assert_int_equal(
	    sqlite3_exec(db, "UPDATE record SET value=zeroblob(99) WHERE tab=4",
		NULL, NULL, NULL),
	    SQLITE_OK);
	(void)sqlite3_close(db);
	guest = lab_begin(&lab, &launch, &m);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	vault_validate(&answer, lab.vault, &rotten);
	vault_validate(&good, lab.vault, &m);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	lab_outcome(answer.outcome, VAULT_STORAGE);
	assert_true(is_zeros(answer.payload, sizeof(answer.payload)));
	lab_outcome(good.outcome, VAULT_OK);
	assert_true(lab_opens(&lab, guest, &good, "web1"));
}

static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	T(no_keys_without_randomness),
	T(no_packet_without_randomness),
	T(no_release_without_disk),
	T(ended_sessions_leave_nothing),
	T(a_rotten_answer_harms_no_other),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
