#include "tests/unit/sev/fixture.h"

static void
formats_bits_and_least_api(void **state)
{
	static const struct {
		uint32_t policy;
		const char *want;
	} cases[] = {
		{ 0, "0x0" },
		{ 1, "0x1 nodbg" },
		{ 7, "0x7 nodbg,noks,es" },
		{ 0x3f, "0x3f nodbg,noks,es,nosend,domain,sev" },
		{ 0x18000003, "0x18000003 nodbg,noks,api>=0.24" },
		{ 0x37010001, "0x37010001 nodbg,api>=1.55" },
		{ 0x40, "0x40 reserved=0x40" },
		{ 0xffffffff,
		    "0xffffffff nodbg,noks,es,nosend,domain,sev,"
		    "reserved=0xffc0,api>=255.255" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[SEV_POLICY_TEXT_LEN_MAX];

		assert_string_equal(
		    sev_guest_policy_format(text, cases[i].policy),
		    cases[i].want);
	}
}

static void
refuses_what_no_owner_wants(void **state)
{
	struct err err = { ERR_NONE, "" };

	(void)state;
	assert_int_equal(sev_guest_policy_check(0, &err), -1);
	fixture_says("debug", &err, "without nodbg (bit 0)");
	assert_int_equal(err.code, ERR_UNTRUSTED);
	for (int bit = 6; bit < 16; bit++) {
		assert_int_equal(
		    sev_guest_policy_check(1 | 1u << bit, &err), -1);
		fixture_says("reserved", &err, "reserved bits");
	}
	for (int bit = 16; bit < 32; bit++)
		assert_int_equal(
		    sev_guest_policy_check(1 | 1u << bit, NULL), 0);
	assert_int_equal(sev_guest_policy_check(0x3f, NULL), 0);
}

static void
finds_bits_by_name(void **state)
{
	const struct sev_policy_bit *bits;
	size_t count;
	uint32_t mask;

	(void)state;
	bits = sev_guest_policy_bits(&count);
	assert_int_equal(count, 6);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(
		    sev_guest_policy_find(&mask, span_str(bits[i].name), NULL),
		    0);
		assert_int_equal(mask, bits[i].mask);
		assert_int_equal(mask, 1u << i);
	}
	assert_int_equal(
	    sev_guest_policy_find(&mask, span_str("debug"), NULL), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_bits_and_least_api),
		cmocka_unit_test(refuses_what_no_owner_wants),
		cmocka_unit_test(finds_bits_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
