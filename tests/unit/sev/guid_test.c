#include "tests/unit/sev/fixture.h"

#include <string.h>

static void
stores_three_fields_little_endian(void **state)
{
	static const uint8_t want[16] = { 0x06, 0xd6, 0x38, 0x94, 0x22, 0x4f,
		0xc9, 0x4c, 0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21 };
	static const char text[] = "9438d606-4f22-4cc9-b479-a793d411fd21";
	char back[SEV_GUID_TEXT_LEN + 1];
	struct sev_guid g;

	(void)state;
	assert_int_equal(sev_guid_parse(&g, span_str(text), NULL), 0);
	assert_memory_equal(g.bytes, want, sizeof(want));
	assert_string_equal(sev_guid_format(back, &g), text);
	assert_int_equal(
	    sev_guid_parse(
		&g, span_str("9438D606-4F22-4CC9-B479-A793D411FD21"), NULL),
	    0);
	assert_memory_equal(g.bytes, want, sizeof(want));
	assert_false(sev_guid_is_zero(&g));
}

static void
knows_the_alias_of_the_disk_passphrase(void **state)
{
	char text[SEV_GUID_TEXT_LEN + 1];
	struct sev_guid g;

	(void)state;
	assert_int_equal(sev_guid_parse(&g, span_str("luks-key"), NULL), 0);
	assert_string_equal(
	    sev_guid_format(text, &g), "736869e5-84f0-4973-92ec-06879ce3da0b");
}

static void
refuses_other_texts(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
		{ "", "of 0 characters" },
		{ "luks", "of 4 characters" },
		{ "LUKS-KEY", "of 8 characters" },
		{ "9438d606-4f22-4cc9-b479-a793d411fd2", "of 35" },
		{ "9438d606-4f22-4cc9-b479-a793d411fd211", "of 37" },
		{ "{438d606-4f22-4cc9-b479-a793d411fd2}", "no hex digit" },
		{ "9438d606 4f22-4cc9-b479-a793d411fd21", "without '-'" },
		{ "9438d6064-f22-4cc9-b479-a793d411fd21", "without '-'" },
		{ "9438d606-4f22-4cc9-b479-a793d411fdg1", "no hex digit" },
		{ "9438d60-64f22-4cc9-b479-a793d411fd21", "no hex digit" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fixture f = fixture_of(bad[i].text, strlen(bad[i].text));
		struct sev_guid g;
		struct err err = { ERR_NONE, "" };

		if (sev_guid_parse(&g, fixture_span(&f), &err) == 0)
			fail_msg("%s: accepted", bad[i].text);
		fixture_says(bad[i].text, &err, bad[i].says);
		fixture_free(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stores_three_fields_little_endian),
		cmocka_unit_test(knows_the_alias_of_the_disk_passphrase),
		cmocka_unit_test(refuses_other_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
