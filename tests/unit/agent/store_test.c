#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/vault/store.h"
#include "agent/vault/store_seal.h"

static char dir[64];
static struct state state;
static struct store *store;

static void
open_store(void)
{
	struct err err = { 0 };

	if (state_open(&state, dir, &err) != 0 ||
	    state_lock(&state, 0, &err) != 0 ||
	    store_open(&store, &state, &err) != 0)
		fail_msg("%s", err.msg);
}

static void
close_store(void)
{
	store_close(store);
	store = NULL;
	state_close(&state);
}

static int
setup(void **unused)
{
	(void)unused;
	(void)snprintf(dir, sizeof(dir), "/tmp/attest-store-XXXXXX");
	assert_non_null(mkdtemp(dir));
	open_store();
	return 0;
}

static int
teardown(void **unused)
{
	static const char *const names[] = { "agent.db", "agent.db-wal",
		"agent.db-shm", "agent.lock", "seal.key", "generation",
		"copy.db", "other.key" };
	char path[128];
	size_t i;

	(void)unused;
	close_store();
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void
put(const char *key, const char *value)
{
	struct err err = { 0 };

	assert_int_equal(store_begin(store, &err), 0);
	assert_int_equal(
	    store_put(store, STORE_VM, span_str(key), span_str(value), &err),
	    0);
	if (store_commit(store, &err) != 0)
		fail_msg("%s", err.msg);
}

static int
get(struct secret *out, const char *key, struct err *err)
{
	return store_get(out, store, STORE_VM, span_str(key), err);
}

/* SQL behind the store's back, as a thief or a cosmic ray would. */
static void
tamper(const char *sql)
{
	char path[128];
	sqlite3 *db = NULL;
	char *why = NULL;

	(void)snprintf(path, sizeof(path), "%s/agent.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
values_come_back(void **unused)
{
	struct secret v = { 0 };
	struct err err = { 0 };

	(void)unused;
	put("a", "one");
	put("a", "two");
	put("b", "");
	close_store();
	open_store();
	assert_int_equal(get(&v, "a", &err), 0);
	assert_true(span_is(secret_span(&v), "two"));
	secret_free(&v);
	assert_int_equal(get(&v, "b", &err), 0);
	assert_int_equal(v.len, 0);
	secret_free(&v);
	assert_int_equal(get(&v, "c", &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* Written into a file without a name, a line of the log is lost. */
static void
a_store_that_was_moved_takes_nothing(void **unused)
{
	struct err err = { 0 };
	char copy[128];
	char path[128];

	(void)unused;
	put("a", "one");
	(void)snprintf(path, sizeof(path), "%s/agent.db", dir);
	(void)snprintf(copy, sizeof(copy), "%s/copy.db", dir);
	assert_int_equal(rename(path, copy), 0);
	assert_int_equal(store_begin(store, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_non_null(strstr(err.msg, "removed or replaced"));
	assert_int_equal(rename(copy, path), 0);
	put("a", "two");
}

/* Home folders are links at times. */
static void
a_link_on_the_way_is_fine(void **unused)
{
	struct err err = { 0 };
	char real[64];
	char link[128];

	(void)unused;
	put("a", "one");
	close_store();
	(void)snprintf(real, sizeof(real), "%s", dir);
	(void)snprintf(link, sizeof(link), "%s-link", dir);
	assert_int_equal(symlink(real, link), 0);
	if (state_open(&state, link, &err) != 0 ||
	    state_lock(&state, 0, &err) != 0 ||
	    store_open(&store, &state, &err) != 0)
		fail_msg("%s", err.msg);
	put("a", "two");
	assert_int_equal(unlink(link), 0);
}

static void
rollback_forgets(void **unused)
{
	struct secret v = { 0 };
	struct err err = { 0 };
	struct store_audit row = { .event = "x" };

	(void)unused;
	assert_int_equal(store_begin(store, &err), 0);
	assert_int_equal(
	    store_put(store, STORE_VM, span_str("a"), span_str("1"), &err), 0);
	assert_int_equal(store_audit_add(store, &row, &err), 0);
	store_rollback(store);
	assert_int_equal(get(&v, "a", &err), -1);
	assert_int_equal(store_audit_last(store), 0);
	/* And without a transaction nothing is written at all. */
	assert_int_equal(
	    store_put(store, STORE_VM, span_str("a"), span_str("1"), &err), -1);
}

static void
audit_row(const char *event, const char *detail)
{
	struct store_audit row = { .wall_ms = 5 };
	struct err err = { 0 };

	(void)snprintf(row.event, sizeof(row.event), "%s", event);
	(void)snprintf(row.detail, sizeof(row.detail), "%s", detail);
	assert_int_equal(store_begin(store, &err), 0);
	assert_int_equal(store_audit_add(store, &row, &err), 0);
	assert_int_equal(store_commit(store, &err), 0);
}

/* After some errors SQLite rolls back by itself, in the middle of a batch:
 * nothing that follows may be kept without what was before it. */
static void
a_lost_transaction_takes_nothing(void **unused)
{
	struct store_audit row = { .event = "x" };
	struct secret v = { 0 };
	struct err err = { 0 };
	uint64_t count = 0;

	(void)unused;
	tamper("CREATE TRIGGER full BEFORE INSERT ON record WHEN NEW.tab=5 "
	       "BEGIN SELECT RAISE(ROLLBACK, 'disk full'); END");
	assert_int_equal(store_begin(store, &err), 0);
	assert_int_equal(store_audit_add(store, &row, &err), 0);
	assert_int_equal(
	    store_put(store, STORE_VM, span_str("a"), span_str("1"), &err), 0);
	assert_int_equal(
	    store_put(store, STORE_COUNT, span_str("a"), span_str("1"), &err),
	    -1);
	assert_non_null(strstr(err.msg, "disk full"));
	assert_int_equal(
	    store_put(store, STORE_VM, span_str("b"), span_str("1"), &err), -1);
	assert_int_equal(
	    store_delete(store, STORE_VM, span_str("b"), &err), -1);
	assert_int_equal(store_audit_add(store, &row, &err), -1);
	assert_int_equal(store_commit(store, &err), -1);
	assert_non_null(strstr(err.msg, "lost to an earlier error"));
	assert_int_equal(get(&v, "a", &err), -1);
	assert_int_equal(get(&v, "b", &err), -1);
	audit_row("one", "a");
	assert_int_equal(store_audit_verify(store, &count, &err), 0);
	assert_int_equal(count, 1);
}

/* A sealed value fits its own row only: not another key, table or version. */
static void
altered_rows_do_not_open(void **unused)
{
	static const char *const ways[] = {
		"value=(SELECT value FROM record WHERE key=CAST('b' AS BLOB))",
		"version=version+1",
		"value=zeroblob(28)",
		"value=x'00'",
	};
	char sql[256];
	struct secret v = { 0 };
	struct err err = { 0 };
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		put("a", "one");
		put("b", "two");
		(void)snprintf(sql, sizeof(sql),
		    "UPDATE record SET %s WHERE key=CAST('a' AS BLOB)",
		    ways[i]);
		tamper(sql);
		assert_int_equal(get(&v, "a", &err), -1);
		assert_int_equal(err.code, ERR_UNTRUSTED);
		assert_int_equal(get(&v, "b", &err), 0);
		secret_free(&v);
	}
}

static void
every_bit_of_a_sealed_value_counts(void **unused)
{
	const uint8_t key[STORE_SEAL_KEY_LEN] = { 1, 2, 3 };
	struct span k = span_of(key, sizeof(key));
	struct secret sealed = { 0 };
	struct secret open = { 0 };
	size_t bit;

	(void)unused;
	assert_int_equal(
	    store_seal(&sealed, k, span_str("row"), span_str("hello"), NULL),
	    0);
	assert_int_equal(sealed.len, 5 + STORE_SEAL_OVERHEAD);
	for (bit = 0; bit < sealed.len * 8; bit++) {
		sealed.ptr[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_equal(store_unseal(&open, k, span_str("row"),
				     secret_span(&sealed), NULL),
		    -1);
		sealed.ptr[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	assert_int_equal(store_unseal(&open, k, span_str("other"),
			     secret_span(&sealed), NULL),
	    -1);
	assert_int_equal(
	    store_unseal(&open, k, span_str("row"), secret_span(&sealed), NULL),
	    0);
	secret_free(&open);
	secret_free(&sealed);
}

static void
refused(const char *says)
{
	struct store *s = NULL;
	struct err err = { 0 };

	assert_int_equal(store_open(&s, &state, &err), -1);
	if (strstr(err.msg, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}

static void
reopen_folder(void)
{
	struct err err = { 0 };

	close_store();
	assert_int_equal(state_open(&state, dir, &err), 0);
	assert_int_equal(state_lock(&state, 0, &err), 0);
}

/* T24: without the right key nothing opens, and the error says so. */
static void
wrong_key(void **unused)
{
	const uint8_t other[STORE_SEAL_KEY_LEN] = { 9 };
	struct secret key = { 0 };
	struct err err = { 0 };
	char path[128];

	(void)unused;
	put("a", "one");
	reopen_folder();
	assert_int_equal(state_read(&key, &state, "seal.key", 64, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/seal.key", dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(state_write(&state, "seal.key",
			     span_of(other, sizeof(other)), &err),
	    0);
	refused("seal.key is not the key of this agent.db");
	assert_int_equal(unlink(path), 0);
	refused("seal.key is missing");
	assert_int_equal(
	    state_write(&state, "seal.key", secret_span(&key), &err), 0);
	secret_free(&key);
	assert_int_equal(store_open(&store, &state, &err), 0);
}

static void
copy_file(const char *from, const char *to)
{
	char a[128];
	char b[128];
	char bytes[65536];
	ssize_t n;
	int in, out;

	(void)snprintf(a, sizeof(a), "%s/%s", dir, from);
	(void)snprintf(b, sizeof(b), "%s/%s", dir, to);
	in = open(a, O_RDONLY);
	out = open(b, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(out, bytes, (size_t)n), n);
	(void)close(in);
	(void)close(out);
}

/* T9: a backup of the store would forget what was released since. */
static void
old_copies_are_refused(void **unused)
{
	struct err err = { 0 };

	(void)unused;
	put("a", "one");
	reopen_folder();
	copy_file("agent.db", "copy.db");
	assert_int_equal(store_open(&store, &state, &err), 0);
	put("a", "two");
	reopen_folder();
	copy_file("agent.db", "other.key"); /* the newer one, aside */
	copy_file("copy.db", "agent.db");
	refused("older than its mark");
	copy_file("other.key", "agent.db");
	assert_int_equal(store_open(&store, &state, &err), 0);
}

static void
the_log_is_a_chain(void **unused)
{
	static const char *const ways[] = {
		"UPDATE audit SET detail='nothing' WHERE seq=2",
		"UPDATE audit SET time=6 WHERE seq=2",
		"UPDATE audit SET event='other' WHERE seq=3",
		"DELETE FROM audit WHERE seq=2",
	};
	struct err err = { 0 };
	uint64_t count = 0;
	size_t i;

	(void)unused;
	audit_row("one", "a");
	audit_row("two", "b");
	close_store();
	open_store();
	audit_row("three", "c");
	assert_int_equal(store_audit_verify(store, &count, &err), 0);
	assert_int_equal(count, 3);
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		tamper("CREATE TABLE IF NOT EXISTS aside AS "
		       "SELECT * FROM audit");
		tamper(ways[i]);
		assert_int_equal(store_audit_verify(store, &count, &err), -1);
		assert_int_equal(err.code, ERR_UNTRUSTED);
		tamper("DELETE FROM audit; INSERT INTO audit SELECT * FROM "
		       "aside; DROP TABLE aside");
		assert_int_equal(store_audit_verify(store, &count, &err), 0);
	}
}

/* Who cuts or rewrites the end while nobody looks must not be able to wait for
 * the next line to be noted in its place. */
static void
a_break_in_the_log_stays(void **unused)
{
	static const struct {
		const char *way;
		const char *says;
	} ways[] = {
		{ "DELETE FROM audit WHERE seq>1", "line 2 is missing" },
		{ "DELETE FROM audit", "line 1 is missing" },
		{ "UPDATE audit SET hash=zeroblob(32) WHERE seq=3",
		    "line 3 was altered" },
		/* As a whole log that was made up would end. */
		{ "DELETE FROM audit WHERE seq=3;"
		  "INSERT INTO audit SELECT 3,time,vm,session,event,detail,"
		  "prev,hash FROM other",
		    "line 4 was altered" },
	};
	struct err err = { 0 };
	uint64_t count = 0;
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		audit_row("one", "a");
		audit_row("two", "b");
		if (i == 3) {
			audit_row("made", "up");
			tamper("CREATE TABLE other AS SELECT * FROM audit "
			       "WHERE seq=3");
			tamper("DELETE FROM audit WHERE seq=3;"
			       "DELETE FROM record");
			close_store();
			open_store();
		}
		audit_row("three", "c");
		close_store();
		tamper(ways[i].way);
		open_store();
		audit_row("four", "d");
		assert_int_equal(store_audit_last(store), 4);
		assert_int_equal(store_audit_verify(store, &count, &err), -1);
		if (strstr(err.msg, ways[i].says) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", err.msg,
			    ways[i].says);
		tamper("DELETE FROM audit; DELETE FROM record");
		close_store();
		open_store();
	}
}

/* Lines of a locked store are noted later, and are no break. */
static void
a_lock_is_no_break(void **unused)
{
	struct secret key = { 0 };
	struct err err = { 0 };
	uint64_t count = 0;

	(void)unused;
	assert_int_equal(state_read(&key, &state, "seal.key", 32, &err), 0);
	audit_row("one", "a");
	store_lock(store);
	audit_row("two", "b");
	assert_int_equal(store_unlock(store, secret_span(&key), &err), 0);
	audit_row("three", "c");
	assert_int_equal(store_audit_verify(store, &count, &err), 0);
	assert_int_equal(count, 3);
	store_lock(store);
	tamper("DELETE FROM audit WHERE seq=3");
	assert_int_equal(store_unlock(store, secret_span(&key), &err), 0);
	audit_row("four", "d");
	assert_int_equal(store_audit_verify(store, &count, &err), -1);
	secret_free(&key);
}

/* kill -9 at any instant: a child commits numbers, and what it told us is
 * committed is there afterwards. */
static void
killed_writers_keep_their_word(void **unused)
{
	int round;

	(void)unused;
	for (round = 0; round < 5; round++) {
		struct secret v = { 0 };
		struct err err = { 0 };
		unsigned told = 0;
		int fds[2];
		pid_t pid;

		close_store();
		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			unsigned n;

			open_store();
			for (n = 1;; n++) {
				char text[16];

				(void)snprintf(text, sizeof(text), "%u", n);
				put("n", text);
				if (write(fds[1], &n, sizeof(n)) != sizeof(n))
					_exit(1);
			}
		}
		(void)close(fds[1]);
		while (told < 3 + 7 * (unsigned)round)
			assert_int_equal(
			    read(fds[0], &told, sizeof(told)), sizeof(told));
		assert_int_equal(kill(pid, 9), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		while (read(fds[0], &told, sizeof(told)) == sizeof(told))
			;
		(void)close(fds[0]);
		open_store();
		assert_int_equal(get(&v, "n", &err), 0);
		assert_true(atoi((const char *)v.ptr) >= (int)told);
		assert_true(atoi((const char *)v.ptr) <= (int)told + 1);
		secret_free(&v);
	}
}

static void
folder_must_be_ours_alone(void **unused)
{
	struct state other;
	struct secret v = { 0 };
	struct err err = { 0 };
	char path[128];

	(void)unused;
	/* One process at a time. */
	assert_int_equal(state_open(&other, dir, &err), 0);
	assert_int_equal(state_lock(&other, 0, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	state_close(&other);
	(void)snprintf(path, sizeof(path), "%s/seal.key", dir);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(state_read(&v, &state, "seal.key", 64, &err), -1);
	assert_non_null(strstr(err.msg, "mode 0640 lets others in"));
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(state_read(&v, &state, "seal.key", 31, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(
	    state_write(&state, "seal.key", span_str("x"), &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(state_open(&other, dir, &err), -1);
	assert_non_null(strstr(err.msg, "lets others in"));
	assert_int_equal(chmod(dir, 0700), 0);
}

static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	T(values_come_back),
	T(a_store_that_was_moved_takes_nothing),
	T(a_link_on_the_way_is_fine),
	T(rollback_forgets),
	T(a_lost_transaction_takes_nothing),
	T(altered_rows_do_not_open),
	T(every_bit_of_a_sealed_value_counts),
	T(wrong_key),
	T(old_copies_are_refused),
	T(the_log_is_a_chain),
	T(a_break_in_the_log_stays),
	T(a_lock_is_no_break),
	T(killed_writers_keep_their_word),
	T(folder_must_be_ours_alone),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
