#include "tests/unit/sev/fixture.h"

#include <string.h>

static void
signatures_of_qemu_models(void **state)
{
	static const struct {
		const char *name;
		uint32_t family, model, stepping, want;
	} cases[] = {
		{ "EPYC", 23, 1, 2, 0x00800f12 },
		{ "EPYC-Rome", 23, 49, 0, 0x00830f10 },
		{ "EPYC-Milan", 25, 1, 1, 0x00a00f11 },
		{ "EPYC-Genoa", 25, 17, 0, 0x00a10f10 },
		{ "EPYC 9654", 25, 17, 1, 0x00a10f11 },
		{ "EPYC-Turin", 26, 0, 0, 0x00b00f00 },
		{ "family 15", 15, 107, 1, 0x00060fb1 },
		{ "family 6", 6, 6, 3, 0x00000663 },
		{ "the last", 270, 255, 15, 0x0fff0fff },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t got;

		assert_int_equal(sev_vmsa_signature(&got, cases[i].family,
				     cases[i].model, cases[i].stepping, NULL),
		    0);
		if (got != cases[i].want)
			fail_msg("%s: 0x%08x", cases[i].name, got);
	}
}

static void
refuses_numbers_that_do_not_fit(void **state)
{
	static const uint32_t bad[][3] = { { 271, 0, 0 }, { 25, 256, 0 },
		{ 25, 0, 16 }, { UINT32_MAX, 0, 0 }, { 0, UINT32_MAX, 0 } };
	uint32_t got;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err err = { ERR_NONE, "" };

		assert_int_equal(sev_vmsa_signature(&got, bad[i][0], bad[i][1],
				     bad[i][2], &err),
		    -1);
		fixture_says("numbers", &err, "at most 270/255/15");
	}
}

/* Two bytes of MXCSR and two of the FCW are all that tells the forms apart. */
static void
variants_differ_in_the_fpu_only(void **state)
{
	uint8_t a[SEV_VMSA_LEN], b[SEV_VMSA_LEN];

	(void)state;
	sev_vmsa_bsp(a, 0xa00f11, SEV_VMSA_LEGACY);
	sev_vmsa_bsp(b, 0xa00f11, SEV_VMSA_INIT2);
	for (size_t i = 0; i < SEV_VMSA_LEN; i++)
		if (a[i] != b[i])
			assert_true(i == 0x408 || i == 0x409 || i == 0x410 ||
			    i == 0x411);
	assert_int_equal(b[0x408] | b[0x409] << 8, 0x1f80);
	assert_int_equal(b[0x410] | b[0x411] << 8, 0x037f);
}

static void
aps_start_at_the_reset_vector(void **state)
{
	uint8_t bsp[SEV_VMSA_LEN], ap[SEV_VMSA_LEN];

	(void)state;
	sev_vmsa_bsp(bsp, 0xa00f11, SEV_VMSA_LEGACY);
	sev_vmsa_ap(ap, 0xa00f11, SEV_VMSA_LEGACY, 0x0080b004);
	for (size_t i = 0; i < SEV_VMSA_LEN; i++)
		if (ap[i] != bsp[i])
			assert_true((i >= 0x18 && i < 0x20) ||
			    (i >= 0x178 && i < 0x180));
	assert_int_equal(ap[0x178] | ap[0x179] << 8, 0xb004);
	assert_int_equal(ap[0x1a], 0x80);
	assert_int_equal(bsp[0x178] | bsp[0x179] << 8, 0xfff0);
	/* The BSP's own vector, by the other road. */
	sev_vmsa_ap(ap, 0xa00f11, SEV_VMSA_LEGACY, 0xfffffff0);
	assert_memory_equal(ap, bsp, SEV_VMSA_LEN);
}

static void
finds_variants_by_name(void **state)
{
	enum sev_vmsa_variant v = SEV_VMSA_INIT2;

	(void)state;
	assert_int_equal(
	    sev_vmsa_variant_find(&v, span_str("legacy"), NULL), 0);
	assert_int_equal(v, SEV_VMSA_LEGACY);
	assert_int_equal(sev_vmsa_variant_find(&v, span_str("init2"), NULL), 0);
	assert_string_equal(sev_vmsa_variant_name(v), "init2");
	assert_int_equal(
	    sev_vmsa_variant_find(&v, span_str("init3"), NULL), -1);
}

static void
finds_models_by_qemus_names(void **state)
{
	static const struct {
		const char *name;
		uint32_t signature; /* 0: there is none */
	} names[] = {
		{ "EPYC", 0x00800f12 },
		{ "EPYC-IBPB", 0x00800f12 },
		{ "EPYC-v4", 0x00800f12 },
		{ "EPYC-Rome", 0x00830f10 },
		{ "EPYC-Milan-v2", 0x00a00f11 },
		{ "EPYC-Genoa", 0x00a10f10 },
		{ "EPYC-Turin-v12", 0x00b00f00 },
		{ "epyc", 0 },
		{ "EPYC-", 0 },
		{ "EPYC-Milan-v", 0 },
		{ "EPYC-Milan2", 0 },
		{ "-v2", 0 },
		{ "v2", 0 },
		{ "2", 0 },
		{ "", 0 },
		{ "host", 0 },
	};
	uint32_t signature;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct fixture name =
		    fixture_of(names[i].name, strlen(names[i].name));
		int rc;

		signature = 0;
		rc = sev_vmsa_model_find(&signature, fixture_span(&name), NULL);
		assert_int_equal(rc, names[i].signature != 0 ? 0 : -1);
		assert_int_equal(signature, names[i].signature);
		fixture_free(&name);
	}
	for (size_t i = 0; i < SEV_VMSA_MODELS; i++)
		assert_int_equal(sev_vmsa_model_find(&signature,
				     span_str(sev_vmsa_model_name(i)), NULL),
		    0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures_of_qemu_models),
		cmocka_unit_test(refuses_numbers_that_do_not_fit),
		cmocka_unit_test(variants_differ_in_the_fpu_only),
		cmocka_unit_test(aps_start_at_the_reset_vector),
		cmocka_unit_test(finds_variants_by_name),
		cmocka_unit_test(finds_models_by_qemus_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
