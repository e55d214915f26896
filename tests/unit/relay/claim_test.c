#include "relay/claim.h"

#include "tests/unit/relay/registry_lab.h"

/* T11: who may claim which UUID, and who may go on to serve it. */

enum who { ACME, ZETA, GONE, TENANTS };

/* The first byte of each UUID. */
enum {
	CONFIGURED = 0x10, /* acme's, in the configuration */
	OPERATORS,         /* acme's, as the operator said: of any key */
	OF_KEY,            /* acme's, claimed first by KEY */
	ZETAS,             /* zeta's, as the operator said */
	LEFT_BEHIND,       /* of a tenant that is no more */
	NOBODYS,
};

#define KEY 50
#define OTHER 51

static const struct {
	const char *name;
	enum who who;
	uint8_t key;
	uint8_t uuid;
	const char *label;
	enum claim_verdict judged;
	bool kept;      /* without a label that it is made of */
	bool certified; /* with one, when it was claimed */
} cases[] = {
	{ "configured", ACME, KEY, CONFIGURED, "", CLAIM_YES, true, true },
	{ "configured, a label", ACME, KEY, CONFIGURED, "web", CLAIM_NO, true,
	    true },
	{ "configured for another", ZETA, KEY, CONFIGURED, "", CLAIM_NO, false,
	    false },
	{ "the operator's", ACME, KEY, OPERATORS, "", CLAIM_YES, true, true },
	{ "the operator's, another key", ACME, OTHER, OPERATORS, "", CLAIM_YES,
	    true, true },
	{ "the operator's, a label", ACME, KEY, OPERATORS, "web", CLAIM_NO,
	    true, true },
	{ "the operator's for another", ZETA, KEY, OPERATORS, "", CLAIM_NO,
	    false, false },
	{ "the operator's for zeta", ZETA, KEY, ZETAS, "", CLAIM_YES, true,
	    true },
	{ "zeta's", ACME, KEY, ZETAS, "", CLAIM_NO, false, false },
	{ "claimed first", ACME, KEY, OF_KEY, "", CLAIM_YES, true, true },
	{ "claimed first, a label", ACME, KEY, OF_KEY, "web", CLAIM_NO, true,
	    true },
	{ "claimed first, another key", ACME, OTHER, OF_KEY, "", CLAIM_NO,
	    false, false },
	{ "claimed first by another", ZETA, KEY, OF_KEY, "", CLAIM_NO, false,
	    false },
	{ "nobody's", ACME, KEY, NOBODYS, "", CLAIM_FREE, false, true },
	{ "nobody's, a label", ACME, KEY, NOBODYS, "web", CLAIM_NO, false,
	    true },
	{ "nobody's, who may neither", ZETA, KEY, NOBODYS, "", CLAIM_NO, false,
	    false },
	{ "a tenant that is gone", GONE, KEY, LEFT_BEHIND, "", CLAIM_NO, false,
	    false },
};

static struct uuid
uuid_of(uint8_t byte)
{
	struct uuid uuid;

	memset(uuid.bytes, byte, sizeof(uuid.bytes));
	return uuid;
}

static void
bind_uuid(struct lab *lab, enum registry_verb verb, struct account *account,
    uint8_t uuid)
{
	struct registry_op *op = op_new(lab, verb);

	op->account = account;
	op->uuids[0] = uuid_of(uuid);
	op->uuid_count = 1;
	op->limit = 100;
	memset(op->key.key, KEY, sizeof(op->key.key));
	expect(lab, op, NULL);
}

/* acme may all that a tenant may, zeta nothing. */
static void
fill(struct lab *lab, struct account *who[TENANTS])
{
	const struct tenant_rules all = { .self_certifying = true,
		.first_claim = true };
	const struct tenant_rules none = { 0 };
	const struct uuid configured = uuid_of(CONFIGURED);
	char text[UUID_TEXT_LEN + 1];
	size_t acme, zeta;

	uuid_format(text, &configured);
	assert_int_equal(
	    tenants_add(lab->tenants, "acme", &all, &acme, NULL), 0);
	assert_int_equal(
	    tenants_add(lab->tenants, "zeta", &none, &zeta, NULL), 0);
	assert_int_equal(tenants_add_vm(lab->tenants, acme, text, NULL), 0);
	assert_int_equal(tenants_bind(lab->tenants, lab->accounts, NULL), 0);
	who[ACME] = lab->acme;
	who[ZETA] = lab->zeta;
	assert_int_equal(
	    accounts_of(&who[GONE], lab->accounts, "gone", NULL), 0);
	bind_uuid(lab, REGISTRY_CLAIM_ADD, lab->acme, OPERATORS);
	bind_uuid(lab, REGISTRY_CLAIM_FIRST, lab->acme, OF_KEY);
	bind_uuid(lab, REGISTRY_CLAIM_ADD, lab->zeta, ZETAS);
	bind_uuid(lab, REGISTRY_CLAIM_ADD, who[GONE], LEFT_BEHIND);
}

static void
t11_each_claim_is_judged(void **state)
{
	struct lab *lab = *state;
	struct account *who[TENANTS];

	fill(lab, who);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct account *account = who[cases[i].who];
		const struct frame_claim_name name = { .uuid = uuid_of(
							   cases[i].uuid),
			.label = span_str(cases[i].label) };
		uint8_t key[UUID_KEY_LEN];

		memset(key, cases[i].key, sizeof(key));
		if (claim_judge(lab->tenants, lab->registry, account, key,
			&name) != cases[i].judged)
			fail_msg("%s: judged otherwise", cases[i].name);
		if (claim_keep(lab->tenants, lab->registry, account, key,
			&name.uuid, false) != cases[i].kept)
			fail_msg("%s: kept otherwise", cases[i].name);
		if (claim_keep(lab->tenants, lab->registry, account, key,
			&name.uuid, true) != cases[i].certified)
			fail_msg(
			    "%s: kept otherwise, certified", cases[i].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(t11_each_claim_is_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
