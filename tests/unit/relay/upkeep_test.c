#include "relay/upkeep.h"

#include "common/clock.h"

#include "tests/unit/relay/check.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#define HOUR_MS UINT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

/* A registry in a folder of its own, and the loop that its ops come home to. */
struct lab {
	char folder[64];
	struct relay relay;
	struct loop *loop;
	struct account *acme;
	unsigned wanted; /* ops that are still to come home */
};

static void
on_mail(void *arg, struct mail *mail)
{
	struct lab *lab = arg;
	struct registry_op *op = (struct registry_op *)mail;

	if (op->err.code != ERR_NONE)
		fail_msg("%s", op->err.msg);
	registry_op_home(op, lab);
	if (lab->wanted > 0 && --lab->wanted == 0)
		loop_stop(lab->loop);
}

static int
setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	struct relay *r = &lab->relay;
	struct err err;

	snprintf(lab->folder, sizeof(lab->folder), "/tmp/upkeep-XXXXXX");
	assert_non_null(mkdtemp(lab->folder));
	assert_int_equal(accounts_new(&r->accounts, &err), 0);
	assert_int_equal(accounts_of(&lab->acme, r->accounts, "acme", &err), 0);
	if (registry_open(&r->registry, lab->folder, r->accounts, &err) != 0)
		fail_msg("%s", err.msg);
	*state = lab;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "relay.db", "relay.db-wal",
		"relay.db-shm" };
	struct lab *lab = *state;
	char path[128];

	accounts_free(lab->relay.accounts);
	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", lab->folder, names[i]);
		unlink(path);
	}
	rmdir(lab->folder);
	free(lab);
	return 0;
}

static struct registry_op *
op_new(struct lab *lab, enum registry_verb verb)
{
	struct registry_op *op = registry_op_new(verb, NULL, NULL);

	assert_non_null(op);
	op->account = op->tenant.account = lab->acme;
	op->token.account = op->key.account = lab->acme;
	snprintf(op->who, sizeof(op->who), "test");
	return op;
}

/* Takes ${op}, and waits for it. */
static void
carry_out(struct lab *lab, struct registry_op *op)
{
	assert_int_equal(loop_new(&lab->loop, on_mail, lab, NULL), 0);
	op->home = lab->loop;
	lab->wanted = 1;
	registry_send(lab->relay.registry, op);
	assert_int_equal(loop_run(lab->loop, NULL), 0);
	loop_free(lab->loop);
}

static void
add_token(struct lab *lab, uint8_t byte, uint64_t expires_ms)
{
	struct registry_op *op = op_new(lab, REGISTRY_TOKEN_ADD);

	memset(op->token.hash, byte, sizeof(op->token.hash));
	op->token.kind = REGISTRY_TOKEN_AGENT;
	op->token.expires_ms = expires_ms;
	carry_out(lab, op);
}

static sqlite3 *
open_file(const struct lab *lab)
{
	sqlite3 *db = NULL;
	char path[128];

	snprintf(path, sizeof(path), "%s/relay.db", lab->folder);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

/* As if line ${seq} of the trail had been written ${age_ms} ago. */
static void
age_line(sqlite3 *db, int seq, uint64_t age_ms)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "UPDATE trail SET at=%llu WHERE seq=%d",
	    (unsigned long long)(clock_wall_ms() - age_ms), seq);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static int
add_value(void *arg, int count, char **values, char **names)
{
	char *text = arg;

	(void)count;
	(void)names;
	strcat(text, values[0]);
	strcat(text, " ");
	return 0;
}

static void
expect_file(sqlite3 *db, const char *sql, const char *want)
{
	char got[256] = "";

	assert_int_equal(
	    sqlite3_exec(db, sql, add_value, got, NULL), SQLITE_OK);
	assert_string_equal(got, want);
}

static void
count_row(void *arg, const void *row)
{
	size_t *count = arg;

	(void)row;
	++*count;
}

static size_t
count(struct lab *lab, enum registry_set set)
{
	size_t n = 0;

	registry_each(lab->relay.registry, set, count_row, &n);
	return n;
}

/* As the main thread does it, but more often than hourly. */
static void
run_upkeep(struct lab *lab, unsigned prunes)
{
	struct upkeep upkeep;

	assert_int_equal(loop_new(&lab->loop, on_mail, lab, NULL), 0);
	lab->wanted = prunes;
	upkeep_start(&upkeep, &lab->relay, lab->loop, 1);
	assert_int_equal(loop_run(lab->loop, NULL), 0);
	upkeep_stop(&upkeep);
}

static void
what_is_over_leaves_and_nothing_else(void **state)
{
	struct lab *lab = *state;
	uint64_t now = clock_wall_ms();
	sqlite3 *db;

	carry_out(lab, op_new(lab, REGISTRY_TENANT_ADD)); /* line 1 */
	carry_out(lab, op_new(lab, REGISTRY_KEY_ADD));
	carry_out(lab, op_new(lab, REGISTRY_NOTE));
	add_token(lab, 1, 0); /* never ends */
	add_token(lab, 2, now - DAY_MS - HOUR_MS);
	add_token(lab, 3, now - HOUR_MS); /* told apart for a day */
	add_token(lab, 4, now + HOUR_MS);
	carry_out(lab, op_new(lab, REGISTRY_CLAIM_ADD)); /* line 8 */
	db = open_file(lab);
	age_line(db, 1, 401 * DAY_MS);
	age_line(db, 2, 399 * DAY_MS);
	age_line(db, 3, 500 * DAY_MS);
	run_upkeep(lab, 3);
	assert_int_equal(count(lab, REGISTRY_TOKENS), 3);
	assert_int_equal(count(lab, REGISTRY_TENANTS), 1);
	assert_int_equal(count(lab, REGISTRY_KEYS), 1);
	registry_close(lab->relay.registry);
	/* One more may have been under way. */
	for (struct mail *m = loop_take(lab->loop), *next; m != NULL;
	     m = next) {
		next = m->next;
		registry_op_free((struct registry_op *)m);
	}
	loop_free(lab->loop);
	expect_file(db, "SELECT id FROM tokens ORDER BY id", "1 3 4 ");
	expect_file(db, "SELECT seq FROM trail ORDER BY seq", "2 4 5 6 7 8 ");
	expect_file(db, "SELECT count(*) FROM tenants", "1 ");
	expect_file(db, "SELECT count(*) FROM keys", "1 ");
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    what_is_over_leaves_and_nothing_else, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
