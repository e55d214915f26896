#include "tests/unit/agent/lab.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/vault/vault_receipt.h"

#define LIFE VAULT_LIFE_MS
#define REPLAY VAULT_REPLAY_MS

static struct lab lab;

static void
secret_opens_in_the_guest(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;
	uint32_t guest;

	(void)state;
	lab_register(&lab, "web1", NULL);
	guest = lab_begin(&lab, &launch, &m);
	assert_int_equal(launch.policy, 1);
	assert_int_equal(launch.expires_in_s, 600);
	assert_false(launch.kernel_hashes);
	assert_string_equal(lab.last.event, "launch");
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
	assert_true(answer.inject);
	assert_true(uuid_equal(&answer.session_id, &launch.session_id));
	assert_string_equal(lab.last.event, "released");
	assert_true(lab_opens(&lab, guest, &answer, "web1"));
	assert_int_equal(lab_released(&lab), 1);
}

/* T33: the shortest and the longest passphrase of the lab, whose VMs' names are
 * in them, make packets of one length. */
static void
length_tells_little(void **state)
{
	char name[REGISTRATION_NAME_MAX + 1] = "a";
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		lab_register(&lab, name, NULL);
		(void)lab_begin(&lab, &launch, &m);
		lab_validate(&answer, &lab, &m);
		lab_outcome(answer.outcome, VAULT_OK);
		assert_int_equal(answer.payload_len, 256);
		memset(name, 'b', sizeof(name) - 1);
	}
}

/* C2: two guests of one UUID, no session id, answers crossed. */
static void
parallel_guests_do_not_mix(void **state)
{
	struct vault_validate_answer answer[2];
	struct vault_launch_answer launch[2];
	struct vault_validate m[2];
	uint32_t guest[2];

	(void)state;
	lab_register(&lab, "web1", NULL);
	guest[0] = lab_begin(&lab, &launch[0], &m[0]);
	guest[1] = lab_begin(&lab, &launch[1], &m[1]);
	lab_validate(&answer[1], &lab, &m[1]);
	lab_validate(&answer[0], &lab, &m[0]);
	lab_outcome(answer[0].outcome, VAULT_OK);
	lab_outcome(answer[1].outcome, VAULT_OK);
	assert_false(lab_opens(&lab, guest[0], &answer[1], "web1"));
	assert_false(lab_opens(&lab, guest[1], &answer[0], "web1"));
	assert_true(lab_opens(&lab, guest[0], &answer[0], "web1"));
	assert_true(lab_opens(&lab, guest[1], &answer[1], "web1"));
}

/* T7: a repeat gets the stored bytes, counts nothing and logs nothing. */
static void
repeats_are_the_same_bytes(void **state)
{
	struct vault_validate_answer *first = calloc(1, sizeof(*first));
	struct vault_validate_answer *again = calloc(1, sizeof(*again));
	struct vault_launch_answer launch;
	struct vault_validate m;
	size_t lines;
	int i;

	(void)state;
	assert_true(first != NULL && again != NULL);
	lab_register(&lab, "web1", NULL);
	(void)lab_begin(&lab, &launch, &m);
	lab_validate(first, &lab, &m);
	lines = lab.lines;
	for (i = 0; i < 200; i++) {
		if (i == 100)
			lab_reopen(&lab);
		m.has_session_id = i % 2 == 0;
		m.session_id = launch.session_id;
		lab_validate(again, &lab, &m);
		assert_memory_equal(first, again, sizeof(*first));
	}
	assert_int_equal(lab.lines, lines);
	assert_int_equal(lab_released(&lab), 1);
	free(first);
	free(again);
}

/* T6: a second guest from one blob is refused, and so is the first then. */
static void
blob_serves_one_guest(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m[2];
	uint32_t guest;
	int named;

	(void)state;
	lab_register(&lab, "web1", NULL);
	for (named = 0; named < 2; named++) {
		(void)lab_begin(&lab, &launch, &m[0]);
		guest = lab_start(&lab, &launch);
		lab_measure(&m[1], &lab, guest);
		m[1].has_session_id = m[0].has_session_id = named == 1;
		m[0].session_id = m[1].session_id = launch.session_id;
		lab_validate(&answer, &lab, &m[0]);
		lab_outcome(answer.outcome, VAULT_OK);
		lab_validate(&answer, &lab, &m[1]);
		lab_outcome(answer.outcome, VAULT_BLOB_REUSED);
		assert_int_equal(answer.payload_len, 0);
		assert_int_equal(lab.alarms, (size_t)named + 1);
		lab_reopen(&lab);
		lab_validate(&answer, &lab, &m[1]);
		lab_outcome(answer.outcome, VAULT_BLOB_REUSED);
		lab_validate(&answer, &lab, &m[0]);
		lab_outcome(answer.outcome, VAULT_BLOB_REUSED);
		assert_int_equal(lab.alarms, (size_t)named + 1);
	}
	assert_int_equal(lab_released(&lab), 2);
}

/* C6, T15: every cause of a mismatch has one outcome; the good one works. */
static void
bad_then_good(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;
	struct vault_validate bad;

	(void)state;
	lab_register(&lab, "web1", NULL);
	(void)lab_begin(&lab, &launch, &m);
	bad = m;
	bad.measure.mac[0] ^= 1;
	lab_validate(&answer, &lab, &bad);
	lab_outcome(answer.outcome, VAULT_MISMATCH);
	bad = m;
	bad.measure.nonce[15] ^= 1;
	lab_validate(&answer, &lab, &bad);
	lab_outcome(answer.outcome, VAULT_MISMATCH);
	bad = m;
	bad.build.build_id++;
	lab_validate(&answer, &lab, &bad);
	lab_outcome(answer.outcome, VAULT_MISMATCH);
	bad = m;
	bad.has_policy = true;
	bad.policy = 3;
	lab_validate(&answer, &lab, &bad);
	lab_outcome(answer.outcome, VAULT_MISMATCH);
	bad = m;
	bad.build.api_major = bad.build.api_minor = 0;
	lab_validate(&answer, &lab, &bad);
	lab_outcome(answer.outcome, VAULT_MISMATCH);
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
}

static void
five_bad_tries_close_a_named_session(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;
	struct vault_validate bad;
	int i;

	(void)state;
	lab_register(&lab, "web1", NULL);
	(void)lab_begin(&lab, &launch, &m);
	m.has_session_id = true;
	m.session_id = launch.session_id;
	bad = m;
	bad.measure.mac[31] ^= 0x80;
	for (i = 0; i < VAULT_FAILURES_MAX; i++) {
		lab_validate(&answer, &lab, &bad);
		lab_outcome(answer.outcome, VAULT_MISMATCH);
	}
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_CLOSED);
	m.has_session_id = false; /* its keys are gone, too */
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_MISMATCH);
	assert_int_equal(lab_released(&lab), 0);
}

/* Failures are limited, and never hold up what is good. */
static void
failures_are_limited(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;
	struct vault_validate bad;
	size_t lines;
	int i;

	(void)state;
	lab_register(&lab, "web1", NULL);
	(void)lab_begin(&lab, &launch, &m);
	bad = m;
	bad.measure.mac[7] ^= 1;
	for (i = 0; i < 10; i++) {
		lab_validate(&answer, &lab, &bad);
		lab_outcome(answer.outcome, VAULT_MISMATCH);
	}
	lines = lab.lines;
	lab_validate(&answer, &lab, &bad);
	lab_outcome(answer.outcome, VAULT_RATE_LIMITED);
	assert_in_range(answer.retry_after_s, 1, 6);
	assert_int_equal(lab.lines, lines);
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
	lab.boot_ms += 6000;
	lab_validate(&answer, &lab, &bad);
	lab_outcome(answer.outcome, VAULT_MISMATCH);
	lab_validate(&answer, &lab, &bad);
	lab_outcome(answer.outcome, VAULT_RATE_LIMITED);
}

static void
sessions_expire(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;

	(void)state;
	lab_register(&lab, "web1", NULL);
	(void)lab_begin(&lab, &launch, &m);
	m.has_session_id = true;
	m.session_id = launch.session_id;
	lab.boot_ms += LIFE;
	lab.wall_ms -= 100 * LIFE; /* T26: the wall clock is not asked */
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_CLOSED);
	m.has_session_id = false;
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_MISMATCH);
}

static void
answers_expire(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;

	(void)state;
	lab_register(&lab, "web1", NULL);
	(void)lab_begin(&lab, &launch, &m);
	m.has_session_id = true;
	m.session_id = launch.session_id;
	lab.boot_ms += LIFE - 1;
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
	lab.boot_ms += REPLAY - 1;
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
	lab.boot_ms += 1;
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_CLOSED);
	assert_int_equal(answer.payload_len, 0);
	lab.boot_ms += VAULT_REMEMBER_MS;
	lab_sweep(&lab);
	lab_validate(&answer, &lab, &m); /* forgotten: as if unknown */
	lab_outcome(answer.outcome, VAULT_MISMATCH);
}

/* Restart between launch and validate, and after the release. */
static void
restart_loses_nothing(void **state)
{
	struct vault_validate_answer *first = calloc(1, sizeof(*first));
	struct vault_validate_answer *again = calloc(1, sizeof(*again));
	struct vault_launch_answer launch;
	struct vault_validate m;
	uint32_t guest;

	(void)state;
	assert_true(first != NULL && again != NULL);
	lab_register(&lab, "web1", NULL);
	guest = lab_begin(&lab, &launch, &m);
	lab_reopen(&lab);
	lab_validate(first, &lab, &m);
	lab_outcome(first->outcome, VAULT_OK);
	lab_reopen(&lab);
	lab_validate(again, &lab, &m);
	assert_memory_equal(first, again, sizeof(*first));
	assert_true(lab_opens(&lab, guest, again, "web1"));
	assert_int_equal(lab_released(&lab), 1);
	free(first);
	free(again);
}

/* Nothing of a batch that was not committed has happened. */
static void
lost_batches_never_happened(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_launch_answer lost;
	struct vault_validate m;
	struct vault_launch in;
	struct err err = { 0 };
	uint64_t line;

	(void)state;
	lab_register(&lab, "web1", NULL);
	(void)lab_begin(&lab, &launch, &m);
	line = vault_log_last(lab.vault);
	lab_message(&in, &lab);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	vault_validate(&answer, lab.vault, &m);
	vault_launch(&lost, lab.vault, &in);
	lab_outcome(lost.outcome, VAULT_OK);
	lab_reopen(&lab); /* instead of a commit */
	assert_int_equal(vault_log_last(lab.vault), line);
	assert_int_equal(lab_released(&lab), 0);
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
}

static void
cancel_one(void)
{
	struct vault_launch_answer launch;
	struct vault_launch in;
	struct err err = { 0 };

	lab_message(&in, &lab);
	lab_launch(&launch, &lab, &in);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	assert_int_equal(vault_cancel(lab.vault, &launch.session_id, &err), 0);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
}

static bool
log_is_empty(void)
{
	char path[STATE_PATH_MAX];
	struct stat st;

	assert_int_equal(
	    stat(state_path(path, &lab.state, "agent.db-wal"), &st), 0);
	return st.st_size == 0;
}

/* T24: keys of ended sessions leave the write-ahead log, if not at once, as
 * somebody reads it, then soon; and those that a killed agent left there. */
static void
keys_leave_the_disk(void **state)
{
	char path[STATE_PATH_MAX];
	sqlite3 *reader = NULL;

	(void)state;
	lab_register(&lab, "web1", NULL);
	assert_int_equal(
	    sqlite3_open(state_path(path, &lab.state, "agent.db"), &reader), 0);
	assert_int_equal(
	    sqlite3_exec(
		reader, "BEGIN; SELECT count(*) FROM audit", NULL, NULL, NULL),
	    0);
	cancel_one();
	vault_erase_traces(lab.vault);
	assert_false(log_is_empty());
	assert_int_equal(sqlite3_exec(reader, "ROLLBACK", NULL, NULL, NULL), 0);
	vault_erase_traces(lab.vault);
	assert_true(log_is_empty());
	cancel_one();
	lab_reopen(&lab);
	assert_false(log_is_empty());
	vault_erase_traces(lab.vault);
	assert_true(log_is_empty());
	assert_int_equal(sqlite3_close(reader), 0);
}

/* What she said of a VM is not for the one that takes its place. */
static void
a_word_ends_with_its_vm(void **state)
{
	const char *const always[] = { "approve", "always", NULL };
	struct vault_ask *asks = calloc(VAULT_ASKS_MAX, sizeof(*asks));
	struct err err = { 0 };

	(void)state;
	assert_non_null(asks);
	lab_register(&lab, "web1", always);
	lab_outcome(lab_try(&lab), VAULT_PENDING);
	assert_int_equal(vault_asks(asks, lab.vault), 1);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	assert_int_equal(vault_answer(lab.vault, asks[0].id, true, &err), 0);
	assert_int_equal(vault_remove(lab.vault, &lab.vm, &err), 0);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	lab_register(&lab, "web1", always);
	lab_outcome(lab_try(&lab), VAULT_PENDING);
	free(asks);
}

/* T14: a net that was taken over adds no lines to what the agent signs. */
static void
receipts_have_our_lines_only(void **state)
{
	struct vault_receipt *r = calloc(1, sizeof(*r));
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;
	struct err err = { 0 };

	(void)state;
	assert_non_null(r);
	lab_register(&lab, "web1", NULL);
	(void)lab_begin(&lab, &launch, &m);
	(void)snprintf(m.asker.request_id, sizeof(m.asker.request_id),
	    "r\nlaunch-digest: 00");
	(void)snprintf(
	    m.asker.identity, sizeof(m.asker.identity), "h\x1b[2J\nname: web2");
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
	if (vault_receipt(
		r, lab.vault, vault_log_last(lab.vault), false, &err) != 0)
		fail_msg("%s", err.msg);
	assert_non_null(
	    strstr(r->statement, "\nrequest: r?launch-digest: 00\n"));
	assert_non_null(strstr(
	    r->statement, "\nhost-as-the-relay-says: h?[2J?name: web2\n"));
	free(r);
}

/* T30: a host with many guests does not fill the owner's screen, nor keep
 * the questions of other VMs from her; a number is never given twice. */
static void
questions_are_bounded(void **state)
{
	static const char *const more[] = { "approve", "always", "approve-at",
		"release", NULL };
	struct vault_ask *asks = calloc(VAULT_ASKS_MAX, sizeof(*asks));
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;
	uint64_t last = 0;
	size_t i, n;

	(void)state;
	assert_non_null(asks);
	for (i = 0; i < VAULT_ASKS_OF_VM_MAX + 3; i++) {
		if (i == 0 || i == VAULT_ASKS_OF_VM_MAX + 1)
			lab_register(&lab, i == 0 ? "web1" : "web2", more);
		(void)lab_begin(&lab, &launch, &m);
		lab_validate(&answer, &lab, &m);
		lab_outcome(answer.outcome, VAULT_PENDING);
	}
	n = vault_asks(asks, lab.vault);
	assert_int_equal(n, VAULT_ASKS_OF_VM_MAX + 2);
	for (i = 0; i < n; i++)
		last = asks[i].id > last ? asks[i].id : last;
	lab.boot_ms += VAULT_ASK_MS;
	assert_int_equal(vault_asks(asks, lab.vault), 0);
	(void)lab_begin(&lab, &launch, &m);
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_PENDING);
	assert_int_equal(vault_asks(asks, lab.vault), 1);
	assert_true(asks[0].id > last);
	assert_int_equal(lab_released(&lab), 0);
	free(asks);
}

static const struct CMUnitTest tests[] = {
#define T(f) LAB_TEST(f, lab)
	T(secret_opens_in_the_guest),
	T(length_tells_little),
	T(parallel_guests_do_not_mix),
	T(repeats_are_the_same_bytes),
	T(blob_serves_one_guest),
	T(bad_then_good),
	T(five_bad_tries_close_a_named_session),
	T(failures_are_limited),
	T(sessions_expire),
	T(answers_expire),
	T(restart_loses_nothing),
	T(lost_batches_never_happened),
	T(keys_leave_the_disk),
	T(a_word_ends_with_its_vm),
	T(receipts_have_our_lines_only),
	T(questions_are_bounded),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
