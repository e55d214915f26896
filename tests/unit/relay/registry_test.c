#include "tests/unit/relay/registry_lab.h"

#include "common/clock.h"
#include "relay/claim.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

	carry_out(lab, op);
	assert_true(op->taken[0] && op->taken[1]);
	registry_op_free(op);
	op = claim_op(lab, REGISTRY_CLAIM_FIRST, 2, 2);
	memset(op->key.key, 51, sizeof(op->key.key));
	carry_out(lab, op);
	assert_false(op->taken[0]);
	assert_true(op->taken[1]);
	registry_op_free(op);
	op = claim_op(lab, REGISTRY_CLAIM_FIRST, 4, 3);
	op->account = lab->zeta;
	op->limit = 2;
	carry_out(lab, op);
	assert_true(op->taken[0] && op->taken[1] && !op->taken[2]);
	registry_op_free(op);
	reopen(lab);
	memset(uuid.bytes, 2, 16);
	assert_true(registry_find_claim(lab->registry, &uuid, &claim));
	assert_true(claim.of_key);
	assert_int_equal(claim.key[0], 50);
	/* What is another's in the file is not mine, what is mine is. */
	op = claim_op(lab, REGISTRY_CLAIM_FIRST, 2, 2);
	carry_out(lab, op);
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
	    lab->tenants, lab->registry, lab->acme, key, &name.uuid, false));
	key[0] = 51;
	assert_int_equal(
	    claim_judge(lab->tenants, lab->registry, lab->acme, key, &name),
	    CLAIM_NO);
	assert_false(claim_keep(
	    lab->tenants, lab->registry, lab->acme, key, &name.uuid, false));
	/* The tenant goes, and all of its with it. */
	expect(lab, op_new(lab, REGISTRY_TENANT_REMOVE), NULL);
	assert_int_equal(
	    claim_judge(lab->tenants, lab->registry, lab->acme, key, &name),
	    CLAIM_NO);
	expect(lab, op_new(lab, REGISTRY_TENANT_REMOVE), "no tenant acme");
}

/* Judged before the tenant was removed, written behind it. */
static void
t13_wishes_of_a_tenant_that_is_gone(void **state)
{
	static const enum registry_verb verbs[] = { REGISTRY_TOKEN_ADD,
		REGISTRY_KEY_ADD, REGISTRY_CLAIM_ADD, REGISTRY_CLAIM_FIRST };
	struct lab *lab = *state;

	for (size_t i = 0; i < COUNT(verbs); i++) {
		struct registry_op *op = claim_op(lab, verbs[i], 1, 1);

		op->listed = true;
		expect(lab, op, "tenant acme was removed");
	}
	expect(lab, op_new(lab, REGISTRY_TENANT_ADD), NULL);
	for (int set = 0; set < REGISTRY_SETS; set++)
		assert_int_equal(
		    count_rows(lab, set), set == REGISTRY_TENANTS ? 1 : 0);
	expect_trail(lab, "1 ");
	for (size_t i = 0; i < COUNT(verbs); i++) {
		struct registry_op *op =
		    claim_op(lab, verbs[i], (uint8_t)(i + 1), 1);

		op->listed = true;
		expect(lab, op, NULL);
	}
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
	carry_out(lab, op);
	assert_non_null(op->text);
	expect_words("trail", op->text, "\"what\":\"verb 4\"");
	expect_words("trail", op->text,
	    "\"who\":\"uid 0\",\"what\":\"drain \\\"now\\\"\"}]");
	assert_null(strstr(op->text, "\"seq\":1,"));
	registry_op_free(op);
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

/* While one relay takes over from another, both have the file open. */
static void
t43_what_another_relay_wrote(void **state)
{
	struct lab *lab = *state, other = *lab;
	struct registry_op *op;
	struct err err;

	add_token(lab, 1, 3, 0);
	enrol(lab, 1, 50, NULL);
	enrol(lab, 1, 51, NULL);
	expect(lab, claim_op(lab, REGISTRY_CLAIM_ADD, 1, 3), NULL);
	assert_int_equal(
	    registry_open(&other.registry, lab->folder, lab->accounts, &err),
	    0);
	op = op_new(&other, REGISTRY_KEY_REVOKE);
	memset(op->key.key, 50, sizeof(op->key.key));
	expect(&other, op, NULL);
	enrol(&other, 1, 52, NULL);
	expect(&other, claim_op(lab, REGISTRY_CLAIM_RELEASE, 3, 1), NULL);
	assert_true(knows(lab, 50) && knows(lab, 51) && !knows(lab, 52));
	assert_int_equal(count_rows(lab, REGISTRY_CLAIMS), 3);
	expect(lab, op_new(lab, REGISTRY_REREAD), NULL);
	assert_true(!knows(lab, 50) && knows(lab, 51) && knows(lab, 52));
	assert_int_equal(count_rows(lab, REGISTRY_CLAIMS), 2);
	assert_int_equal(count_rows(lab, REGISTRY_TOKENS), 1);
	registry_close(other.registry);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(t13_a_token_lets_in_as_many_keys_as_it_may),
		LAB_TEST(t13_a_token_ends),
		LAB_TEST(t13_a_revoked_key_stays_revoked),
		LAB_TEST(t11_uuids_have_one_owner),
		LAB_TEST(t11_who_claims_first_keeps_it),
		LAB_TEST(t11_first_claims_are_judged),
		LAB_TEST(t13_wishes_of_a_tenant_that_is_gone),
		LAB_TEST(changes_leave_a_trail),
		LAB_TEST(files_of_others_are_refused),
		LAB_TEST(t43_what_another_relay_wrote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
