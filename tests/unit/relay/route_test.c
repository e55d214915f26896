#include "relay/route.h"

#include "common/secret.h"
#include "relay/keyring.h"
#include "common/siphash.h"

#include "tests/unit/relay/check.h"

static struct route_table *table;
static struct uuid uuid;

static int
setup(void **state)
{
	(void)state;
	memset(&uuid, 7, sizeof(uuid));
	return route_table_new(&table, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	route_table_free(table);
	return 0;
}

static struct route
route_of(unsigned slot, uint64_t session, int key, uint8_t mode, uint16_t rank)
{
	struct route r = { .tunnel = { 0, slot, session },
		.session = session,
		.mode = mode,
		.rank = rank };

	memset(r.key, key, sizeof(r.key));
	return r;
}

static enum frame_result
add(struct route r, enum route_change *change)
{
	return route_add(table, &uuid, &r, change);
}

static void
a_route_comes_and_goes(void **state)
{
	struct route out[ROUTE_MAX], r = route_of(1, 1, 1, 0, 0);
	enum route_change change;

	(void)state;
	assert_int_equal(route_find(table, &uuid, 0, 0, out), 0);
	assert_int_equal(add(r, &change), FRAME_CLAIM_OK);
	assert_int_equal(change, ROUTE_NEW);
	assert_int_equal(add(r, &change), FRAME_CLAIM_OK);
	assert_int_equal(change, ROUTE_NONE);
	assert_int_equal(route_find(table, &uuid, 0, 0, out), 1);
	assert_int_equal(out[0].session, 1);
	assert_int_equal(route_find(table, &uuid, FRAME_CAP_KBS, 0, out), 0);
	assert_true(route_remove(table, &uuid, r.tunnel));
	assert_false(route_remove(table, &uuid, r.tunnel));
	assert_int_equal(route_count(table), 0);
}

static void
a_key_of_another_tenant_now_counts_there(void **state)
{
	struct account was = { .max = { 1, 1, 1 } },
		       is = { .max = { 1, 1, 1 } };
	struct route old = route_of(1, 1, 1, 0, 0);
	struct route new = route_of(2, 2, 1, 0, 0);
	enum route_change change;

	(void)state;
	old.account = &was;
	new.account = &is;
	assert_int_equal(add(old, &change), FRAME_CLAIM_OK);
	assert_true(account_take(&was, ACCOUNT_CLAIMS));
	assert_int_equal(add(new, &change), FRAME_CLAIM_OK);
	assert_int_equal(change, ROUTE_NEW);
	assert_int_equal(was.held[ACCOUNT_CLAIMS], 0);
	/* Who comes late finds nothing to give back. */
	assert_false(route_remove(table, &uuid, old.tunnel));
	assert_true(route_remove(table, &uuid, new.tunnel));
}

static void
a_newer_tunnel_of_the_key_takes_over(void **state)
{
	struct route out[ROUTE_MAX], old = route_of(1, 1, 1, 0, 0);
	enum route_change change;

	(void)state;
	add(old, &change);
	assert_int_equal(add(route_of(2, 2, 1, 0, 0), &change), FRAME_CLAIM_OK);
	assert_int_equal(change, ROUTE_MOVED);
	/* The old one's end takes nothing with it, its late claim neither. */
	assert_false(route_remove(table, &uuid, old.tunnel));
	assert_int_equal(add(old, &change), FRAME_CLAIM_DENIED);
	assert_int_equal(change, ROUTE_NONE);
	assert_int_equal(route_find(table, &uuid, 0, 0, out), 1);
	assert_int_equal(out[0].session, 2);
}

static void
another_key_is_denied_unless_all_are_ordered(void **state)
{
	enum route_change change;

	(void)state;
	assert_int_equal(
	    add(route_of(1, 1, 1, FRAME_MODE_EXCLUSIVE, 0), &change),
	    FRAME_CLAIM_OK);
	assert_int_equal(
	    add(route_of(2, 2, 2, FRAME_MODE_EXCLUSIVE, 0), &change),
	    FRAME_CLAIM_DENIED);
	assert_int_equal(add(route_of(2, 2, 2, FRAME_MODE_ORDERED, 0), &change),
	    FRAME_CLAIM_DENIED);
	assert_int_equal(add(route_of(1, 1, 1, FRAME_MODE_ORDERED, 5), &change),
	    FRAME_CLAIM_OK);
	assert_int_equal(
	    add(route_of(2, 2, 2, FRAME_MODE_EXCLUSIVE, 0), &change),
	    FRAME_CLAIM_DENIED);
	assert_int_equal(add(route_of(2, 2, 2, FRAME_MODE_ORDERED, 9), &change),
	    FRAME_CLAIM_STANDBY);
	assert_int_equal(add(route_of(3, 3, 3, FRAME_MODE_ORDERED, 1), &change),
	    FRAME_CLAIM_OK);
	/* Alone again, while others stand by: no. */
	assert_int_equal(
	    add(route_of(1, 1, 1, FRAME_MODE_EXCLUSIVE, 0), &change),
	    FRAME_CLAIM_DENIED);
}

static void
ranks_order_and_the_last_launch_goes_first(void **state)
{
	struct route out[ROUTE_MAX];
	enum route_change change;

	(void)state;
	for (unsigned i = 1; i <= ROUTE_MAX; i++)
		assert_int_not_equal(
		    add(route_of(i, i, (int)i, FRAME_MODE_ORDERED,
			    (uint16_t)(20 - i)),
			&change),
		    FRAME_CLAIM_DENIED);
	assert_int_equal(add(route_of(9, 9, 9, FRAME_MODE_ORDERED, 0), &change),
	    FRAME_CLAIM_DENIED);
	assert_int_equal(route_find(table, &uuid, 0, 0, out), ROUTE_MAX);
	for (unsigned i = 0; i < ROUTE_MAX; i++)
		assert_int_equal(out[i].session, ROUTE_MAX - i);
	route_prefer(table, &uuid, 3, 1000);
	assert_int_equal(route_find(table, &uuid, 0, 1000, out), ROUTE_MAX);
	assert_int_equal(out[0].session, 3);
	assert_int_equal(out[1].session, 8);
	assert_int_equal(out[7].session, 1);
	route_find(table, &uuid, 0, 1000 + ROUTE_PREFER_MS, out);
	assert_int_equal(out[0].session, 8);
}

static void
a_hundred_thousand_of_them(void **state)
{
	struct route out[ROUTE_MAX];
	struct uuid u = { { 0 } };

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		struct route r = route_of(i, i + 1, 1, 0, 0);
		enum route_change change;

		memcpy(u.bytes, &i, sizeof(i));
		assert_int_equal(
		    route_add(table, &u, &r, &change), FRAME_CLAIM_OK);
	}
	assert_int_equal(route_count(table), 100000);
	for (uint32_t i = 0; i < 100000; i++) {
		memcpy(u.bytes, &i, sizeof(i));
		assert_int_equal(route_find(table, &u, 0, 0, out), 1);
		assert_int_equal(out[0].tunnel.slot, i);
		assert_true(route_remove(table, &u, out[0].tunnel));
	}
	assert_int_equal(route_count(table), 0);
}

/* Aumasson, Bernstein: SipHash, appendix A; and its first test vectors. */
static void
siphash_is_siphash(void **state)
{
	uint8_t key[SIPHASH_KEY_LEN], text[15];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (uint8_t i = 0; i < 15; i++)
		text[i] = i;
	assert_true(siphash(key, span_of(text, 15)) == 0xa129ca6149be45e5);
	assert_true(siphash(key, span_of(text, 0)) == 0x726fdb47dd0e0e31);
	assert_true(siphash(key, span_of(text, 8)) == 0x93f5f5799a932462);
}

static struct keyring_join
join_of(unsigned slot, struct account *account, uint64_t now_ms)
{
	return (struct keyring_join){ .tunnel = { 0, slot, slot },
		.session = slot,
		.account = account,
		.now_ms = now_ms };
}

static void
the_newest_tunnel_of_a_key_wins(void **state)
{
	uint8_t keys[3][UUID_KEY_LEN] = { { 1 }, { 2 }, { 3 } };
	struct account one = { .max = { [ACCOUNT_TUNNELS] = 2 } };
	struct account two = { .max = { [ACCOUNT_TUNNELS] = 1 } };
	struct keyring_join j = join_of(1, &one, 0);
	struct keyring *k;
	struct handle old;
	struct err err;
	bool flaps;

	(void)state;
	assert_int_equal(keyring_new(&k, &err), 0);
	assert_int_equal(keyring_join(k, keys[0], &j, &old, &flaps, &err), 0);
	assert_int_equal(old.generation, 0);
	j = join_of(2, &one, 0);
	assert_int_equal(keyring_join(k, keys[0], &j, &old, &flaps, &err), 0);
	assert_int_equal(old.slot, 1);
	/* The tenant's quota counts keys, so a return never fails. */
	j = join_of(3, &one, 0);
	assert_int_equal(keyring_join(k, keys[1], &j, &old, &flaps, &err), 0);
	j = join_of(4, &one, 0);
	assert_int_equal(keyring_join(k, keys[2], &j, &old, &flaps, &err), -1);
	expect_words("quota", err.msg, "as many tunnels as it may");
	j = join_of(4, &two, 0);
	assert_int_equal(keyring_join(k, keys[2], &j, &old, &flaps, &err), 0);
	/* Who was superseded leaves without taking the newer one along. */
	keyring_leave(k, keys[0], (struct handle){ 0, 1, 1 }, 0);
	j = join_of(5, &one, 0);
	assert_int_equal(keyring_join(k, keys[0], &j, &old, &flaps, &err), 0);
	assert_int_equal(old.slot, 2);
	keyring_leave(k, keys[0], (struct handle){ 0, 5, 5 }, 0);
	j = join_of(6, &one, 0);
	assert_int_equal(keyring_join(k, keys[0], &j, &old, &flaps, &err), 0);
	assert_int_equal(old.generation, 0);
	keyring_free(k);
}

static void
a_fourth_tunnel_in_a_minute_flaps(void **state)
{
	static const uint64_t at[] = { 1, 2, 3, 4, 60001, 60005, 120010,
		180011 };
	static const bool flap[] = { false, false, false, true, true, false,
		false, false };
	struct account account = { .max = { [ACCOUNT_TUNNELS] = 1 } };
	uint8_t key[UUID_KEY_LEN] = { 1 };
	struct keyring *k;
	struct handle old;
	bool flaps;

	(void)state;
	assert_int_equal(keyring_new(&k, NULL), 0);
	for (unsigned i = 0; i < COUNT(at); i++) {
		struct keyring_join j = join_of(i + 1, &account, at[i]);

		assert_int_equal(
		    keyring_join(k, key, &j, &old, &flaps, NULL), 0);
		if (flaps != flap[i])
			fail_msg("join %u at %u ms", i, (unsigned)at[i]);
	}
	keyring_free(k);
}

#define STORM 3000

/* Every key joins; ${old}: the slot of the tunnel that it had, 0: none. */
static void
all_join(
    struct keyring *k, struct account *a, unsigned first, unsigned old_first)
{
	for (unsigned i = 0; i < STORM; i++) {
		uint8_t key[UUID_KEY_LEN] = { (uint8_t)i, (uint8_t)(i >> 8) };
		struct keyring_join j =
		    join_of(first + i, a, first * UINT64_C(100));
		struct handle old;
		bool flaps;

		assert_int_equal(
		    keyring_join(k, key, &j, &old, &flaps, NULL), 0);
		assert_int_equal(old.slot, old_first > 0 ? old_first + i : 0);
		assert_false(flaps);
	}
}

static void
all_leave(struct keyring *k, unsigned first)
{
	for (unsigned i = 0; i < STORM; i++) {
		uint8_t key[UUID_KEY_LEN] = { (uint8_t)i, (uint8_t)(i >> 8) };
		struct handle tunnel = { 0, first + i, first + i };

		keyring_leave(k, key, tunnel, first * UINT64_C(100));
	}
}

static void
many_keys_are_kept_apart_and_forgotten(void **state)
{
	struct account account = { .max = { [ACCOUNT_TUNNELS] = STORM } };
	struct keyring *k;

	(void)state;
	assert_int_equal(keyring_new(&k, NULL), 0);
	all_join(k, &account, 1, 0);
	all_join(k, &account, 10000, 1);
	all_leave(k, 10000);
	assert_int_equal(account.held[ACCOUNT_TUNNELS], 0);
	all_join(k, &account, 20000, 0);
	all_leave(k, 20000);
	/* A minute later nothing is known of them, but their memory. */
	all_join(k, &account, 30000, 0);
	all_join(k, &account, 40000, 30000);
	assert_int_equal(account.held[ACCOUNT_TUNNELS], STORM);
	keyring_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_route_comes_and_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_key_of_another_tenant_now_counts_there, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_newer_tunnel_of_the_key_takes_over, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    another_key_is_denied_unless_all_are_ordered, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    ranks_order_and_the_last_launch_goes_first, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_hundred_thousand_of_them, setup, teardown),
		cmocka_unit_test(siphash_is_siphash),
		cmocka_unit_test(the_newest_tunnel_of_a_key_wins),
		cmocka_unit_test(a_fourth_tunnel_in_a_minute_flaps),
		cmocka_unit_test(many_keys_are_kept_apart_and_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
