#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/sev/sev.h"
#include "agent/vault/store.h"

/* What somebody did to the file while no agent had it open (T24). */

struct place {
	char dir[32];
	char db[64];
	struct state state;
	struct store *store;
};

static int
make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/attest-file-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(p->db, sizeof(p->db), "%s/agent.db", p->dir);
	assert_int_equal(state_open(&p->state, p->dir, NULL), 0);
	*state = p;
	return 0;
}

static int
remove_place(void **state)
{
	struct place *p = *state;
	char command[64];

	store_close(p->store);
	state_close(&p->state);
	(void)snprintf(command, sizeof(command), "rm -r %s", p->dir);
	free(p);
	return system(command);
}

/* Three rows of one commit, and so of one version; closed again. */
static void
fill(struct place *p)
{
	static const struct {
		enum store_table table;
		const char *key;
	} rows[] = { { STORE_VM, "a" }, { STORE_VM, "b" },
		{ STORE_SESSION, "a" } };
	struct err err = { 0 };
	size_t i;

	if (store_open(&p->store, &p->state, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(store_begin(p->store, &err), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    store_put(p->store, rows[i].table, span_str(rows[i].key),
			span_str("value"), &err),
		    0);
	assert_int_equal(store_commit(p->store, &err), 0);
	store_close(p->store);
	p->store = NULL;
}

static void
change(const struct place *p, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The value of another row, with the version that it was sealed with. */
static void
values_cannot_change_places(void **state)
{
	static const char *const from[] = { "r.tab=record.tab",
		"r.key=record.key" };
	struct place *p = *state;
	size_t i;

	for (i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		struct secret v = { 0 };
		struct err err = { 0 };
		char sql[256];

		fill(p);
		(void)snprintf(sql, sizeof(sql),
		    "UPDATE record SET (version,value)=(SELECT "
		    "r.version,r.value FROM record r WHERE %s AND "
		    "(r.tab,r.key)<>(record.tab,record.key)) "
		    "WHERE tab=%d AND key=CAST('a' AS BLOB)",
		    from[i], (int)STORE_VM);
		change(p, sql);
		assert_int_equal(store_open(&p->store, &p->state, &err), 0);
		assert_int_equal(
		    store_get(&v, p->store, STORE_VM, span_str("a"), &err), -1);
		assert_int_equal(err.code, ERR_UNTRUSTED);
		assert_int_equal(
		    store_get(&v, p->store, STORE_SESSION, span_str("a"), &err),
		    0);
		secret_free(&v);
		store_close(p->store);
		p->store = NULL;
	}
}

static void
refused(struct place *p, enum err_code code, const char *says)
{
	struct err err = { 0 };

	assert_int_equal(store_open(&p->store, &p->state, &err), -1);
	assert_int_equal(err.code, code);
	if (strstr(err.msg, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}

static void
files_that_are_not_ours_are_refused(void **state)
{
	struct place *p = *state;
	struct err err = { 0 };

	fill(p);
	change(p, "UPDATE meta SET format=format+1");
	refused(p, ERR_UNSUPPORTED, "format 2, this program reads 1");
	change(p, "UPDATE meta SET format=format-1");
	assert_int_equal(chmod(p->db, 0640), 0);
	refused(p, ERR_UNTRUSTED, "mode lets others in");
	assert_int_equal(chmod(p->db, 0600), 0);
	assert_int_equal(store_open(&p->store, &p->state, &err), 0);
}

/* Three lines of the log, of two VMs. */
static void
write_log(struct place *p)
{
	struct err err = { 0 };
	uint8_t i;

	if (store_open(&p->store, &p->state, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(store_begin(p->store, &err), 0);
	for (i = 1; i <= 3; i++) {
		struct store_audit row = { .wall_ms = 1000 + i,
			.event = "launch",
			.detail = "session for 7 by mtls:cn-1" };

		row.vm.bytes[0] = i % 2;
		row.session.bytes[0] = i;
		assert_int_equal(store_audit_add(p->store, &row, &err), 0);
	}
	assert_int_equal(store_commit(p->store, &err), 0);
}

/* Each line is hashed with all that it says, and with the hash of the one
 * before it. */
static int
hash_it(void *arg, const struct store_audit *row)
{
	uint8_t *prev = arg;
	uint8_t text[512], want[STORE_HASH_LEN];
	struct writer w = writer_of(text, sizeof(text));

	writer_put(&w, span_of(prev, STORE_HASH_LEN));
	writer_be64(&w, row->seq);
	writer_be64(&w, (uint64_t)row->wall_ms);
	writer_put(&w, span_of(row->vm.bytes, sizeof(row->vm.bytes)));
	writer_put(&w, span_of(row->session.bytes, sizeof(row->session.bytes)));
	writer_be32(&w, (uint32_t)strlen(row->event));
	writer_put(&w, span_str(row->event));
	writer_be32(&w, (uint32_t)strlen(row->detail));
	writer_put(&w, span_str(row->detail));
	assert_true(writer_ok(&w));
	assert_int_equal(sev_hash_sha256(want, writer_span(&w), NULL), 0);
	assert_memory_equal(row->hash, want, sizeof(want));
	memcpy(prev, want, sizeof(want));
	return 0;
}

static int
count_line(void *arg, const struct store_audit *row)
{
	uint64_t *sum = arg;

	*sum += row->seq;
	return 0;
}

static void
each_line_is_hashed_whole(void **state)
{
	uint8_t prev[STORE_HASH_LEN] = { 0 };
	const struct uuid one = { { 1 } };
	struct place *p = *state;
	struct err err = { 0 };
	uint64_t sum = 0;

	write_log(p);
	assert_int_equal(
	    store_audit_each(p->store, 0, NULL, hash_it, prev, &err), 0);
	assert_int_equal(
	    store_audit_each(p->store, 0, &one, count_line, &sum, &err), 0);
	assert_int_equal(sum, 1 + 3);
	sum = 0;
	assert_int_equal(
	    store_audit_each(p->store, 1, NULL, count_line, &sum, &err), 0);
	assert_int_equal(sum, 2 + 3);
}

/* Whatever was changed of a line, or taken away behind it. */
static void
changes_of_the_log_show(void **state)
{
	static const struct {
		const char *sql;
		const char *back;
		const char *says;
	} ways[] = {
		{ "UPDATE audit SET detail='session for 8' WHERE seq=2",
		    "UPDATE audit SET detail=(SELECT detail FROM audit WHERE "
		    "seq=1) WHERE seq=2",
		    "line 2 was altered" },
		{ "UPDATE audit SET event='cek' WHERE seq=2",
		    "UPDATE audit SET event='launch' WHERE seq=2",
		    "line 2 was altered" },
		{ "UPDATE audit SET time=time+1 WHERE seq=3",
		    "UPDATE audit SET time=time-1 WHERE seq=3",
		    "line 3 was altered" },
		{ "UPDATE audit SET session=zeroblob(16) WHERE seq=3",
		    "UPDATE audit SET session=CAST(x'03'||zeroblob(15) AS BLOB) "
		    "WHERE seq=3",
		    "line 3 was altered" },
		{ "UPDATE audit SET vm=zeroblob(16) WHERE seq=1",
		    "UPDATE audit SET vm=CAST(x'01'||zeroblob(15) AS BLOB) "
		    "WHERE seq=1",
		    "line 1 was altered" },
		{ "DELETE FROM audit WHERE seq=3", "", "its end was cut off" },
	};
	struct place *p = *state;
	uint64_t count;
	size_t i;

	write_log(p);
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct err err = { 0 };

		assert_int_equal(store_audit_verify(p->store, &count, &err), 0);
		assert_int_equal(count, 3);
		change(p, ways[i].sql);
		assert_int_equal(
		    store_audit_verify(p->store, &count, &err), -1);
		assert_int_equal(err.code, ERR_UNTRUSTED);
		if (strstr(err.msg, ways[i].says) == NULL)
			fail_msg("%s: %s", ways[i].sql, err.msg);
		change(p, ways[i].back);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    values_cannot_change_places, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
		    files_that_are_not_ours_are_refused, make_place,
		    remove_place),
		cmocka_unit_test_setup_teardown(
		    each_line_is_hashed_whole, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
		    changes_of_the_log_show, make_place, remove_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
