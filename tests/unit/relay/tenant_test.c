#include "relay/claim.h"

#include "common/base64.h"
#include "common/secret.h"

#include "tests/unit/relay/check.h"

#define VM "57f669c2-c427-4132-bc7a-26f56b6a718c"
#define OTHER "00000000-0000-4000-8000-000000000001"

/* Tenants, their accounts, and a registry in memory that knows nobody. */
static struct accounts *accounts;
static struct registry *registry;
static struct account *acme, *zeta;

static int
setup(void **state)
{
	struct err err;

	(void)state;
	return accounts_new(&accounts, &err) == 0 &&
		registry_open(&registry, "", accounts, &err) == 0
	    ? 0
	    : -1;
}

static int
teardown(void **state)
{
	(void)state;
	registry_close(registry);
	accounts_free(accounts);
	return 0;
}

static struct tenants *
two_tenants(uint8_t key[UUID_KEY_LEN], uint8_t other[UUID_KEY_LEN])
{
	static const struct tenant_rules rules[2] = { { .self_certifying =
							    true } };
	struct tenants *t;
	char text[64] = "ed25519:";
	size_t a, b;
	struct err err;

	memset(key, 1, UUID_KEY_LEN);
	memset(other, 2, UUID_KEY_LEN);
	assert_int_equal(tenants_new(&t, &err), 0);
	assert_int_equal(tenants_add(t, "acme", &rules[0], &a, &err), 0);
	assert_int_equal(tenants_add(t, "zeta", &rules[1], &b, &err), 0);
	base64_encode(text + 8, sizeof(text) - 8, span_of(key, UUID_KEY_LEN));
	assert_int_equal(tenants_add_key(t, a, text, &err), 0);
	base64_encode(text + 8, sizeof(text) - 8, span_of(other, UUID_KEY_LEN));
	assert_int_equal(tenants_add_key(t, b, text, &err), 0);
	assert_int_equal(tenants_add_vm(t, a, VM, &err), 0);
	assert_int_equal(tenants_add_vm(t, b, OTHER, &err), 0);
	assert_int_equal(tenants_add_certificate(t, b, "zeta.test", &err), 0);
	assert_int_equal(tenants_bind(t, accounts, &err), 0);
	acme = tenants_account(t, a);
	zeta = tenants_account(t, b);
	return t;
}

static bool
may_claim(struct tenants *t, struct account *account,
    const uint8_t key[UUID_KEY_LEN], const struct frame_claim_name *n)
{
	return claim_judge(t, registry, account, key, n) == CLAIM_YES;
}

static struct frame_claim_name
name_of(const char *uuid, const char *label)
{
	struct frame_claim_name n = { .label = span_str(label) };

	assert_int_equal(uuid_parse(&n.uuid, span_str(uuid), NULL), 0);
	return n;
}

static void
keys_find_their_tenant(void **state)
{
	uint8_t key[UUID_KEY_LEN], other[UUID_KEY_LEN], none[UUID_KEY_LEN];
	struct tenants *t = two_tenants(key, other);
	bool revoked;

	(void)state;
	assert_ptr_equal(claim_key_owner(t, registry, key, &revoked), acme);
	assert_string_equal(acme->name, "acme");
	assert_ptr_equal(claim_key_owner(t, registry, other, &revoked), zeta);
	memset(none, 3, sizeof(none));
	assert_null(claim_key_owner(t, registry, none, &revoked));
	assert_false(revoked);
	assert_ptr_equal(tenants_of_certificate(t, "zeta.test"), zeta);
	assert_null(tenants_of_certificate(t, "zeta.tes"));
	tenants_free(t);
}

static void
t11_provisioned_uuids_belong_to_one_tenant(void **state)
{
	uint8_t key[UUID_KEY_LEN], other[UUID_KEY_LEN];
	struct tenants *t = two_tenants(key, other);
	struct frame_claim_name n = name_of(VM, "");

	(void)state;
	assert_true(may_claim(t, acme, key, &n));
	assert_false(may_claim(t, zeta, other, &n));
	n = name_of(OTHER, "");
	assert_false(may_claim(t, acme, key, &n));
	assert_true(may_claim(t, zeta, other, &n));
	n = name_of(VM, "label");
	assert_false(may_claim(t, acme, key, &n));
	n = name_of("00000000-0000-4000-8000-000000000002", "");
	assert_false(may_claim(t, acme, key, &n));
	tenants_free(t);
}

static void
t11_self_certifying_uuids_want_key_and_label(void **state)
{
	uint8_t key[UUID_KEY_LEN], other[UUID_KEY_LEN];
	struct tenants *t = two_tenants(key, other);
	struct frame_claim_name n = { .label = span_str("web1") };

	(void)state;
	assert_int_equal(uuid_self_certifying(&n.uuid, key, n.label, NULL), 0);
	assert_true(may_claim(t, acme, key, &n));
	assert_false(may_claim(t, acme, other, &n));
	n.label = span_str("web2");
	assert_false(may_claim(t, acme, key, &n));
	n.label = span_str("");
	assert_false(may_claim(t, acme, key, &n));
	/* zeta may not, even with a good one. */
	n.label = span_str("web1");
	assert_int_equal(
	    uuid_self_certifying(&n.uuid, other, n.label, NULL), 0);
	assert_false(may_claim(t, zeta, other, &n));
	/* Made of the empty label it would be anybody's guess: never. */
	n.label = span_str("");
	assert_int_equal(uuid_self_certifying(&n.uuid, key, n.label, NULL), 0);
	assert_false(may_claim(t, acme, key, &n));
	tenants_free(t);
}

static void
t11_foreign_claims_never_succeed(void **state)
{
	uint8_t key[UUID_KEY_LEN], other[UUID_KEY_LEN];
	struct tenants *t = two_tenants(key, other);
	struct frame_claim_name n = { .label = span_str("web1") };

	(void)state;
	for (int i = 0; i < 100000; i++) {
		secret_random(n.uuid.bytes, sizeof(n.uuid.bytes), NULL);
		assert_false(may_claim(t, acme, key, &n));
	}
	tenants_free(t);
}

static const struct {
	const char *key;
	const char *says;
} bad_keys[] = {
	{ "", "starts with \"ed25519:\"" },
	{ "ed25519", "starts with" },
	{ "rsa:AAAA", "starts with" },
	{ "ed25519:", "base64 of 32 bytes" },
	{ "ed25519:AAAA", "base64 of 32 bytes" },
	{ "ed25519:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
	    "base64 of 32 bytes" },
	{ "ed25519:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
	    "base64 of 32 bytes" },
	{ "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	    "small order" },
	{ "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA=",
	    "small order" },
	{ "ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	    "small order" },
	{ "ed25519:JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/AU=",
	    "small order" },
	{ "ed25519:xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA/o=",
	    "small order" },
	{ "ed25519:7P///////////////////////////////////////38=",
	    "small order" },
	{ "ed25519:7f///////////////////////////////////////38=",
	    "small order" },
	{ "ed25519:7v////////////////////////////////////////8=",
	    "small order" },
	{ "ed25519:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
	    "listed already, for tenant acme" },
};

static void
bad_lines_are_told(void **state)
{
	uint8_t key[UUID_KEY_LEN], other[UUID_KEY_LEN];
	struct tenants *t = two_tenants(key, other);
	const struct tenant_rules rules = { 0 };
	struct err err;
	size_t index;

	(void)state;
	for (size_t i = 0; i < COUNT(bad_keys); i++) {
		assert_int_equal(
		    tenants_add_key(t, 1, bad_keys[i].key, &err), -1);
		expect_words(bad_keys[i].key, err.msg, bad_keys[i].says);
	}
	assert_int_equal(tenants_add_certificate(t, 0, "zeta.test", &err), -1);
	expect_words("zeta.test", err.msg, "listed already, for tenant zeta");
	assert_int_equal(tenants_add(t, "acme", &rules, &index, &err), -1);
	expect_words("acme", err.msg, "listed twice");
	assert_int_equal(tenants_add_vm(t, 1, VM, &err), -1);
	expect_words(VM, err.msg, "listed already, for tenant acme");
	assert_int_equal(tenants_add_vm(t, 1, "x", &err), -1);
	tenants_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_find_their_tenant),
		cmocka_unit_test(t11_provisioned_uuids_belong_to_one_tenant),
		cmocka_unit_test(t11_self_certifying_uuids_want_key_and_label),
		cmocka_unit_test(t11_foreign_claims_never_succeed),
		cmocka_unit_test(bad_lines_are_told),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
