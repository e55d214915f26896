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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    values_cannot_change_places, make_place, remove_place),
		cmocka_unit_test_setup_teardown(
		    files_that_are_not_ours_are_refused, make_place,
		    remove_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
