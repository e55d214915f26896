#include "relay/registry.h"

#include "common/clock.h"
#include "relay/claim.h"
#include "relay/registry_table.h"

#include "tests/unit/relay/check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A registry in a folder of its own.
 */
struct lab {
	char folder[64];
	struct accounts *accounts;
	struct registry *registry;
	struct account *acme, *zeta;
	struct tenants *tenants; /* of the configuration: none */
};

static void
on_mail(void *arg, struct mail *mail)
{
	struct registry_op *op = (struct registry_op *)mail;

	(void)arg;
	op->done(op, op->arg);
}

static void
reopen(struct lab *lab)
{
	struct err err;

	registry_close(lab->registry);
	accounts_free(lab->accounts);
	assert_int_equal(accounts_new(&lab->accounts, &err), 0);
	if (registry_open(&lab->registry, lab->folder, lab->accounts, &err) !=
	    0)
		fail_msg("%s", err.msg);
	assert_int_equal(
	    accounts_of(&lab->acme, lab->accounts, "acme", &err), 0);
	assert_int_equal(
	    accounts_of(&lab->zeta, lab->accounts, "zeta", &err), 0);
	assert_int_equal(tenants_bind(lab->tenants, lab->accounts, &err), 0);
}

static int
setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	struct err err;

	snprintf(lab->folder, sizeof(lab->folder), "/tmp/registry-XXXXXX");
	assert_non_null(mkdtemp(lab->folder));
	assert_int_equal(tenants_new(&lab->tenants, &err), 0);
	reopen(lab);
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

	registry_close(lab->registry);
	accounts_free(lab->accounts);
	tenants_free(lab->tenants);
	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", lab->folder, names[i]);
		unlink(path);
	}
	rmdir(lab->folder);
	free(lab);
	return 0;
}

static void
came_home(struct registry_op *op, void *where)
{
	(void)op;
	loop_stop(where);
}

static struct registry_op *
op_new(struct lab *lab, enum registry_verb verb)
{
	struct registry_op *op = registry_op_new(verb, NULL, came_home);

	assert_non_null(op);
	op->account = lab->acme;
	op->tenant.account = op->token.account = op->key.account = lab->acme;
	snprintf(op->who, sizeof(op->who), "test");
	snprintf(op->what, sizeof(op->what), "verb %d", (int)verb);
	return op;
}

static void
send(struct lab *lab, struct registry_op *op)
{
	struct loop *loop;

	/* A loop that was stopped is over. */
	assert_int_equal(loop_new(&loop, on_mail, lab, NULL), 0);
	op->home = op->arg = loop;
	registry_send(lab->registry, op);
	assert_int_equal(loop_run(loop, NULL), 0);
	loop_free(loop);
}

/* ${says} is NULL: it must be good.  Frees the op. */
static void
expect(struct lab *lab, struct registry_op *op, const char *says)
{
	send(lab, op);
	if (says == NULL && op->err.code != ERR_NONE)
		fail_msg("%s", op->err.msg);
	if (says != NULL) {
		assert_int_not_equal(op->err.code, ERR_NONE);
		expect_words("op", op->err.msg, says);
	}
	registry_op_free(op);
}

static void
add_token(struct lab *lab, uint8_t byte, uint32_t uses, uint64_t expires_ms)
{
	struct registry_op *op = op_new(lab, REGISTRY_TOKEN_ADD);

	memset(op->token.hash, byte, sizeof(op->token.hash));
	op->token.uses = uses;
	op->token.expires_ms = expires_ms;
	expect(lab, op, NULL);
}

static void
enrol(struct lab *lab, uint8_t token, uint8_t key, const char *says)
{
	struct registry_op *op = op_new(lab, REGISTRY_ENROL);

	memset(op->token.hash, token, sizeof(op->token.hash));
	memset(op->key.key, key, sizeof(op->key.key));
	op->key.account = NULL;
	expect(lab, op, says);
}

static bool
knows(struct lab *lab, uint8_t key)
{
	uint8_t bytes[UUID_KEY_LEN];
	bool revoked;

	memset(bytes, key, sizeof(bytes));
	return claim_key_owner(lab->tenants, lab->registry, bytes, &revoked) ==
	    lab->acme;
}

static void
t13_a_token_lets_in_as_many_keys_as_it_may(void **state)
{
	struct lab *lab = *state;

	add_token(lab, 1, 2, 0);
	enrol(lab, 9, 50, "unknown token");
	enrol(lab, 1, 50, NULL);
	/* Who did not hear the answer asks again. */
	enrol(lab, 1, 50, NULL);
	enrol(lab, 1, 51, NULL);
	enrol(lab, 1, 52, "was used before");
	assert_true(knows(lab, 50));
	assert_true(knows(lab, 51));
	assert_false(knows(lab, 52));
	reopen(lab);
	assert_true(knows(lab, 50));
	assert_false(knows(lab, 52));
	enrol(lab, 1, 52, "was used before");
	enrol(lab, 1, 51, NULL);
	/* With another token a known key gets nothing, not even a use. */
	add_token(lab, 2, 1, 0);
	enrol(lab, 2, 50, "known already");
	enrol(lab, 2, 53, NULL);
}

static void
t13_a_token_ends(void **state)
{
	struct lab *lab = *state;
	struct registry_op *op;
	struct registry_token token;
	uint8_t hash[REGISTRY_HASH_LEN];

	add_token(lab, 1, 1, 1000);
	add_token(lab, 2, 1, clock_wall_ms() + 3600000);
	enrol(lab, 1, 50, "is over");
	memset(hash, 2, sizeof(hash));
	assert_true(registry_find_token(
	    lab->registry, REGISTRY_TOKEN_ENROL, hash, 5, &token));
	assert_false(registry_find_token(
	    lab->registry, REGISTRY_TOKEN_AGENT, hash, 5, &token));
	assert_false(registry_find_token(lab->registry, REGISTRY_TOKEN_ENROL,
	    hash, token.expires_ms, &token));
	op = op_new(lab, REGISTRY_TOKEN_REMOVE);
	op->token.id = token.id;
	expect(lab, op, NULL);
	enrol(lab, 2, 50, "unknown token");
	op = op_new(lab, REGISTRY_TOKEN_REMOVE);
	op->token.id = token.id;
	expect(lab, op, "there is no token");
}

static void
t13_a_revoked_key_stays_revoked(void **state)
{
	struct lab *lab = *state;
	struct registry_op *op;

	add_token(lab, 1, 1, 0);
	enrol(lab, 1, 50, NULL);
	op = op_new(lab, REGISTRY_KEY_REVOKE);
	memset(op->key.key, 50, sizeof(op->key.key));
	expect(lab, op, NULL);
	assert_false(knows(lab, 50));
	reopen(lab);
	assert_false(knows(lab, 50));
	enrol(lab, 1, 50, "and revoked");
	op = op_new(lab, REGISTRY_KEY_REVOKE);
	memset(op->key.key, 60, sizeof(op->key.key));
	op->key.account = NULL;
	expect(lab, op, "not known");
	/* By hand it can be made good again, for its own tenant. */
	op = op_new(lab, REGISTRY_KEY_ADD);
	memset(op->key.key, 50, sizeof(op->key.key));
	op->key.account = lab->zeta;
	expect(lab, op, "for tenant acme, and revoked");
	op = op_new(lab, REGISTRY_KEY_ADD);
	memset(op->key.key, 50, sizeof(op->key.key));
	expect(lab, op, NULL);
	assert_true(knows(lab, 50));
}

static struct registry_op *
claim_op(struct lab *lab, enum registry_verb verb, uint8_t first, size_t count)
{
	struct registry_op *op = op_new(lab, verb);

	op->uuid_count = count;
	op->limit = 100;
	for (size_t i = 0; i < count; i++)
		memset(op->uuids[i].bytes, (int)(first + i), 16);
	memset(op->key.key, 50, sizeof(op->key.key));
	return op;
}

static void
t11_uuids_have_one_owner(void **state)
{
	struct lab *lab = *state;
	struct registry_op *op;
	struct registry_claim claim;
	struct uuid uuid;

	expect(lab, claim_op(lab, REGISTRY_CLAIM_ADD, 1, 3), NULL);
	op = claim_op(lab, REGISTRY_CLAIM_ADD, 3, 2);
	op->account = lab->zeta;
	expect(lab, op, "is tenant acme's");
	/* All or none: 4 is free. */
	memset(uuid.bytes, 4, 16);
	assert_false(registry_find_claim(lab->registry, &uuid, &claim));
	expect(lab, claim_op(lab, REGISTRY_CLAIM_RELEASE, 3, 2), "nobody's");
	memset(uuid.bytes, 3, 16);
	assert_true(registry_find_claim(lab->registry, &uuid, &claim));
	assert_false(claim.of_key);
	expect(lab, claim_op(lab, REGISTRY_CLAIM_RELEASE, 3, 1), NULL);
	assert_false(registry_find_claim(lab->registry, &uuid, &claim));
	reopen(lab);
	assert_false(registry_find_claim(lab->registry, &uuid, &claim));
	memset(uuid.bytes, 2, 16);
	assert_true(registry_find_claim(lab->registry, &uuid, &claim));
	assert_ptr_equal(claim.account, lab->acme);
}

static void
t11_who_claims_first_keeps_it(void **state)
{
	struct lab *lab = *state;
	struct registry_op *op = claim_op(lab, REGISTRY_CLAIM_FIRST, 1, 2);
	struct registry_claim claim;
	struct uuid uuid;

	send(lab, op);
	assert_true(op->taken[0] && op->taken[1]);
	registry_op_free(op);
	op = claim_op(lab, REGISTRY_CLAIM_FIRST, 2, 2);
	memset(op->key.key, 51, sizeof(op->key.key));
	send(lab, op);
	assert_false(op->taken[0]);
	assert_true(op->taken[1]);
	registry_op_free(op);
	op = claim_op(lab, REGISTRY_CLAIM_FIRST, 4, 3);
	op->account = lab->zeta;
	op->limit = 2;
	send(lab, op);
	assert_true(op->taken[0] && op->taken[1] && !op->taken[2]);
	registry_op_free(op);
	reopen(lab);
	memset(uuid.bytes, 2, 16);
	assert_true(registry_find_claim(lab->registry, &uuid, &claim));
	assert_true(claim.of_key);
	assert_int_equal(claim.key[0], 50);
	/* What is another's in the file is not mine, what is mine is. */
	op = claim_op(lab, REGISTRY_CLAIM_FIRST, 2, 2);
	send(lab, op);
	assert_true(op->taken[0] && !op->taken[1]);
	registry_op_free(op);
}

static void
t11_first_claims_are_judged(void **state)
{
	struct lab *lab = *state;
	struct registry_op *op = op_new(lab, REGISTRY_TENANT_ADD);
	struct frame_claim_name name = { 0 };
	uint8_t key[UUID_KEY_LEN];

	memset(key, 50, sizeof(key));
	memset(name.uuid.bytes, 0x11, 16);
	assert_int_equal(
	    claim_judge(lab->tenants, lab->registry, lab->acme, key, &name),
	    CLAIM_NO);
	op->tenant.first_claim = true;
	expect(lab, op, NULL);
	assert_int_equal(
	    claim_judge(lab->tenants, lab->registry, lab->acme, key, &name),
	    CLAIM_FREE);
	/* Version 8 may be somebody's self-certifying one. */
	name.uuid.bytes[6] = 0x8f;
	assert_int_equal(
	    claim_judge(lab->tenants, lab->registry, lab->acme, key, &name),
	    CLAIM_NO);
	name.uuid.bytes[6] = 0x11;
	op = op_new(lab, REGISTRY_CLAIM_FIRST);
	op->uuids[0] = name.uuid;
	op->uuid_count = op->limit = 1;
	memcpy(op->key.key, key, sizeof(key));
	expect(lab, op, NULL);
	assert_int_equal(
	    claim_judge(lab->tenants, lab->registry, lab->acme, key, &name),
	    CLAIM_YES);
	assert_true(claim_keep(
	    lab->tenants, lab->registry, lab->acme, key, &name.uuid));
	key[0] = 51;
	assert_int_equal(
	    claim_judge(lab->tenants, lab->registry, lab->acme, key, &name),
	    CLAIM_NO);
	assert_false(claim_keep(
	    lab->tenants, lab->registry, lab->acme, key, &name.uuid));
	/* The tenant goes, and all of its with it. */
	expect(lab, op_new(lab, REGISTRY_TENANT_REMOVE), NULL);
	assert_int_equal(
	    claim_judge(lab->tenants, lab->registry, lab->acme, key, &name),
	    CLAIM_NO);
	expect(lab, op_new(lab, REGISTRY_TENANT_REMOVE), "no tenant acme");
}

static void
changes_leave_a_trail(void **state)
{
	struct lab *lab = *state;
	struct registry_op *op;

	add_token(lab, 1, 1, 0);
	enrol(lab, 1, 50, NULL);
	enrol(lab, 1, 51, "used before");
	op = op_new(lab, REGISTRY_NOTE);
	snprintf(op->who, sizeof(op->who), "uid 0");
	snprintf(op->what, sizeof(op->what), "drain \"now\"");
	expect(lab, op, NULL);
	reopen(lab);
	op = op_new(lab, REGISTRY_TRAIL);
	op->who[0] = '\0';
	op->limit = 2;
	send(lab, op);
	assert_non_null(op->text);
	expect_words("trail", op->text, "\"what\":\"verb 4\"");
	expect_words("trail", op->text,
	    "\"who\":\"uid 0\",\"what\":\"drain \\\"now\\\"\"}]");
	assert_null(strstr(op->text, "\"seq\":1,"));
	registry_op_free(op);
}

static void
count_row(void *arg, const void *row)
{
	size_t *count = arg;

	(void)row;
	++*count;
}

static size_t
count_tokens(struct lab *lab)
{
	size_t count = 0;

	registry_each(lab->registry, REGISTRY_TOKENS, count_row, &count);
	return count;
}

/* The numbers of the lines that are left, as "5 6 ". */
static void
expect_trail(struct lab *lab, const char *want)
{
	struct registry_op *op = op_new(lab, REGISTRY_TRAIL);
	char got[256] = "";
	size_t len = 0;

	op->who[0] = '\0';
	op->limit = 100;
	send(lab, op);
	assert_non_null(op->text);
	for (const char *at = strstr(op->text, "\"seq\":"); at != NULL;
	     at = strstr(at + 1, "\"seq\":"))
		len += (size_t)snprintf(got + len, sizeof(got) - len, "%ld ",
		    strtol(at + strlen("\"seq\":"), NULL, 10));
	assert_string_equal(got, want);
	registry_op_free(op);
}

static void
prune(struct lab *lab, struct registry_keep keep)
{
	struct registry_op *op = op_new(lab, REGISTRY_PRUNE);

	op->who[0] = '\0';
	op->keep = keep;
	expect(lab, op, NULL);
}

static void
t13_ended_tokens_leave(void **state)
{
	struct lab *lab = *state;
	uint64_t now = clock_wall_ms();
	struct registry_keep keep = registry_keep_at(now);

	assert_int_equal(keep.tokens_ms, now - REGISTRY_TOKEN_KEEP_MS);
	add_token(lab, 1, 1, 0); /* never ends */
	add_token(lab, 2, 1, keep.tokens_ms);
	add_token(lab, 3, 1, keep.tokens_ms - 1);
	add_token(lab, 4, 1, now + 1000);
	assert_int_equal(count_tokens(lab), 4);
	prune(lab, keep);
	assert_int_equal(count_tokens(lab), 3);
	/* What is in the file; the second has had its day by now. */
	reopen(lab);
	assert_int_equal(count_tokens(lab), 2);
	/* A clock before its time ends nothing. */
	keep = registry_keep_at(1000);
	assert_int_equal(keep.tokens_ms, 0);
	assert_int_equal(keep.trail_ms, 0);
	assert_int_equal(keep.lines, REGISTRY_TRAIL_LINES_MAX);
}

/* More of them than the table looks at in one go. */
static void
t13_any_number_of_tokens_ends(void **state)
{
	struct registry_table table = { 0 };
	struct registry_token token = { .expires_ms = 1 };
	size_t count = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		memcpy(token.hash, &i, sizeof(i));
		token.expires_ms = i % 3 == 0 ? 0 : 1 + (uint64_t)(i % 3);
		assert_int_equal(
		    registry_table_put(&table, REGISTRY_TOKENS, &token, NULL),
		    0);
	}
	registry_table_end_tokens(&table, 3);
	registry_table_each(&table, REGISTRY_TOKENS, count_row, &count);
	assert_int_equal(count, 2000);
	registry_table_end_tokens(&table, UINT64_MAX);
	count = 0;
	registry_table_each(&table, REGISTRY_TOKENS, count_row, &count);
	assert_int_equal(count, 1000);
	registry_table_free(&table);
}

static void
the_trail_has_an_end(void **state)
{
	struct registry_keep keep = { .lines = 100 };
	struct lab *lab = *state;

	prune(lab, keep); /* nothing there */
	expect_trail(lab, "");
	for (int i = 0; i < 6; i++)
		expect(lab, op_new(lab, REGISTRY_NOTE), NULL);
	prune(lab, registry_keep_at(clock_wall_ms()));
	expect_trail(lab, "1 2 3 4 5 6 ");
	keep.lines = 4;
	prune(lab, keep);
	expect_trail(lab, "3 4 5 6 ");
	prune(lab, keep);
	expect_trail(lab, "3 4 5 6 ");
	/* All are too old: the last one keeps its number from being used
	 * again. */
	keep.trail_ms = clock_wall_ms() + 1000;
	prune(lab, keep);
	expect_trail(lab, "6 ");
	expect(lab, op_new(lab, REGISTRY_NOTE), NULL);
	expect_trail(lab, "6 7 ");
	reopen(lab);
	expect_trail(lab, "6 7 ");
}

static void
files_of_others_are_refused(void **state)
{
	struct lab *lab = *state;
	struct registry *r;
	char path[128];
	struct err err;
	FILE *f;

	snprintf(path, sizeof(path), "%s/relay.db", lab->folder);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(
	    registry_open(&r, lab->folder, lab->accounts, &err), -1);
	expect_words("mode", err.msg, "mode lets others in");
	assert_int_equal(
	    registry_open(&r, "/nonexistent", lab->accounts, &err), -1);
	registry_close(lab->registry);
	lab->registry = NULL;
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("this is no database, and not a short one either", f);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(
	    registry_open(&r, lab->folder, lab->accounts, &err), -1);
	expect_words("garbage", err.msg, "not a database");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t13_a_token_lets_in_as_many_keys_as_it_may),
		TEST(t13_a_token_ends),
		TEST(t13_a_revoked_key_stays_revoked),
		TEST(t11_uuids_have_one_owner),
		TEST(t11_who_claims_first_keeps_it),
		TEST(t11_first_claims_are_judged),
		TEST(changes_leave_a_trail),
		TEST(t13_ended_tokens_leave),
		cmocka_unit_test(t13_any_number_of_tokens_ends),
		TEST(the_trail_has_an_end),
		TEST(files_of_others_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
