#include "tests/unit/relay/registry_lab.h"

#include "common/clock.h"

#include <signal.h>
#include <sys/resource.h>

/* What is refused changes nothing: not on the disk, and not in memory, where
 * tunnels and hosts are judged. */

static struct registry_op *
key_op(struct lab *lab, enum registry_verb verb, uint8_t key)
{
	struct registry_op *op = op_new(lab, verb);

	memset(op->key.key, key, sizeof(op->key.key));
	return op;
}

static struct registry_op *
claim_op(struct lab *lab, enum registry_verb verb, uint8_t key, uint8_t first)
{
	struct registry_op *op = key_op(lab, verb, key);

	op->uuid_count = 2;
	op->limit = 100;
	memset(op->uuids[0].bytes, first, sizeof(op->uuids[0].bytes));
	memset(op->uuids[1].bytes, first + 1, sizeof(op->uuids[1].bytes));
	return op;
}

/* Whose is the UUID of ${byte}, in memory?  0: nobody's; else of that key, or
 * 255 of any. */
static int
key_of(struct lab *lab, uint8_t byte)
{
	struct registry_claim claim;
	struct uuid uuid;

	memset(uuid.bytes, byte, sizeof(uuid.bytes));
	if (!registry_find_claim(lab->registry, &uuid, &claim))
		return 0;
	return claim.of_key ? claim.key[0] : 255;
}

static void
t11_what_is_anothers_stays_anothers(void **state)
{
	struct lab *lab = *state;
	struct registry_op *op;

	expect(lab, claim_op(lab, REGISTRY_CLAIM_FIRST, 50, 1), NULL);
	expect(lab, claim_op(lab, REGISTRY_CLAIM_ADD, 0, 4), NULL);
	/* Of one, who has it: of the next, nobody. */
	op = claim_op(lab, REGISTRY_CLAIM_FIRST, 51, 2);
	carry_out(lab, op);
	assert_false(op->taken[0]);
	assert_true(op->taken[1]);
	registry_op_free(op);
	op = claim_op(lab, REGISTRY_CLAIM_FIRST, 51, 4);
	op->account = lab->zeta;
	carry_out(lab, op);
	assert_false(op->taken[0] || op->taken[1]);
	registry_op_free(op);
	/* All or none: 6 is free, and 7 too. */
	op = claim_op(lab, REGISTRY_CLAIM_ADD, 0, 6);
	op->uuids[1] = op->uuids[0];
	carry_out(lab, op);
	assert_int_not_equal(op->err.code, ERR_NONE);
	assert_false(op->taken[0] || op->taken[1]);
	registry_op_free(op);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(key_of(lab, 1), 50);
		assert_int_equal(key_of(lab, 2), 50);
		assert_int_equal(key_of(lab, 3), 51);
		assert_int_equal(key_of(lab, 4), 255);
		assert_int_equal(key_of(lab, 6), 0);
		reopen(lab);
	}
}

static void
t13_a_token_is_for_one_thing(void **state)
{
	struct lab *lab = *state;
	struct registry_op *op = op_new(lab, REGISTRY_TOKEN_ADD);
	struct registry_token token;
	uint8_t hash[REGISTRY_HASH_LEN];

	op->token.kind = REGISTRY_TOKEN_AGENT;
	memset(op->token.hash, 1, sizeof(op->token.hash));
	op->token.uses = 5;
	expect(lab, op, NULL);
	enrol(lab, 1, 50, "unknown token");
	assert_false(knows(lab, 50));
	/* One that will end lets in until it does, and as many as it may. */
	add_token(lab, 2, 1, clock_wall_ms() + 3600000);
	enrol(lab, 2, 50, NULL);
	assert_true(knows(lab, 50));
	memset(hash, 2, sizeof(hash));
	assert_true(registry_find_token(lab->registry, REGISTRY_TOKEN_ENROL,
	    hash, clock_wall_ms(), &token));
	assert_int_equal(token.uses, 0);
	expect_trail(lab, "1 2 3 ");
	/* Told again, and not a second time in the trail. */
	enrol(lab, 2, 50, NULL);
	expect_trail(lab, "1 2 3 ");
}

static void
t13_keys_are_added_once_and_revoked_by_any(void **state)
{
	struct lab *lab = *state;
	struct registry_op *op;

	expect(lab, key_op(lab, REGISTRY_KEY_ADD, 50), NULL);
	expect(lab, key_op(lab, REGISTRY_KEY_ADD, 50), "is known already");
	/* Who does not say whose it is. */
	op = key_op(lab, REGISTRY_KEY_REVOKE, 50);
	op->key.account = NULL;
	expect(lab, op, NULL);
	assert_false(knows(lab, 50));
	op = key_op(lab, REGISTRY_KEY_ADD, 50);
	op->key.account = lab->zeta;
	expect(lab, op, "and revoked");
	assert_false(knows(lab, 50));
}

/* T11: with a tenant go its UUIDs, and nobody else's; what it claimed first is
 * told of, since other relays may have it bound. */
static void
t11_a_tenant_takes_along_its_own(void **state)
{
	struct lab *lab = *state;
	struct registry_op *op;

	expect(lab, op_new(lab, REGISTRY_TENANT_ADD), NULL);
	expect(lab, claim_op(lab, REGISTRY_CLAIM_FIRST, 50, 1), NULL);
	expect(lab, claim_op(lab, REGISTRY_CLAIM_ADD, 0, 4), NULL);
	op = claim_op(lab, REGISTRY_CLAIM_FIRST, 60, 7);
	op->account = lab->zeta;
	expect(lab, op, NULL);
	op = op_new(lab, REGISTRY_TENANT_REMOVE);
	carry_out(lab, op);
	assert_int_equal(op->err.code, ERR_NONE);
	assert_int_equal(op->gone_count, 2);
	for (size_t i = 0; i < op->gone_count; i++) {
		assert_ptr_equal(op->gone[i].account, lab->acme);
		assert_int_equal(op->gone[i].key[0], 50);
		assert_in_range(op->gone[i].uuid.bytes[0], 1, 2);
	}
	registry_op_free(op);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(key_of(lab, 1) + key_of(lab, 2), 0);
		assert_int_equal(key_of(lab, 4) + key_of(lab, 5), 0);
		assert_int_equal(key_of(lab, 7), 60);
		assert_int_equal(key_of(lab, 8), 60);
		reopen(lab);
	}
}

/* No file may grow any more: what is not on the disk has not happened. */
static void
what_is_not_written_has_not_happened(void **state)
{
	struct lab *lab = *state;
	struct rlimit before, none;
	struct registry_op *op;

	expect(lab, key_op(lab, REGISTRY_KEY_ADD, 50), NULL);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	op = claim_op(lab, REGISTRY_CLAIM_FIRST, 50, 1);
	carry_out(lab, op);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(op->err.code, ERR_IO);
	assert_false(op->taken[0] || op->taken[1]);
	registry_op_free(op);
	assert_int_equal(key_of(lab, 1), 0);
	/* With room again it does. */
	expect(lab, claim_op(lab, REGISTRY_CLAIM_FIRST, 50, 3), NULL);
	reopen(lab);
	assert_int_equal(key_of(lab, 1), 0);
	assert_int_equal(key_of(lab, 3), 50);
	assert_true(knows(lab, 50));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(t11_what_is_anothers_stays_anothers),
		LAB_TEST(t13_a_token_is_for_one_thing),
		LAB_TEST(t13_keys_are_added_once_and_revoked_by_any),
		LAB_TEST(t11_a_tenant_takes_along_its_own),
		LAB_TEST(what_is_not_written_has_not_happened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
