#include "tests/unit/sev/fixture.h"

#include <string.h>

/* A CEK by itself, as the key server gives it. */

#define SIGNATURE_1 1052 /* offset of the first signature */

static int
judge(const struct fixture *cek, const struct sev_root *roots, size_t count,
    enum sev_generation *generation, struct err *err)
{
	struct sev_cert cert;

	*err = (struct err){ 0 };
	*generation = SEV_GENERATIONS;
	if (sev_cert_parse(&cert, fixture_span(cek), err) != 0)
		return -1;
	return sev_cek_verify(generation, &cert, roots, count, err);
}

static void
accepts_what_amd_has_signed(void **state)
{
	struct fixture cek = fixture_load("certs/naples/cek.cert");
	enum sev_generation g;
	struct err err;

	(void)state;
	assert_int_equal(judge(&cek, NULL, 0, &g, &err), 0);
	assert_int_equal(g, SEV_GEN_NAPLES);
	fixture_free(&cek);
}

/* Each byte that is signed, and a few of the signature. */
static void
refuses_a_changed_one(void **state)
{
	struct fixture cek = fixture_load("certs/naples/cek.cert");
	enum sev_generation g;
	struct err err;
	size_t i;

	(void)state;
	for (i = 4; i < SIGNATURE_1 + 64; i += 13) {
		cek.ptr[i] ^= 0x20;
		assert_int_equal(judge(&cek, NULL, 0, &g, &err), -1);
		assert_int_equal(g, SEV_GENERATIONS);
		cek.ptr[i] ^= 0x20;
	}
	assert_int_equal(judge(&cek, NULL, 0, &g, &err), 0);
	fixture_free(&cek);
}

static void
refuses_others(void **state)
{
	static const struct {
		const char *name;
		const char *says;
	} bad[] = {
		{ "certs/synthetic-a/cek.cert", "no trusted ASK" },
		{ "certs/synthetic-a/cek-unsigned.cert", "no trusted ASK" },
		{ "certs/naples/pek.cert", "want CEK" },
		{ "certs/naples/oca.cert", "want CEK" },
	};
	enum sev_generation g;
	struct err err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct fixture cek = fixture_load(bad[i].name);

		assert_int_equal(judge(&cek, NULL, 0, &g, &err), -1);
		assert_int_equal(err.code, ERR_UNTRUSTED);
		fixture_says(bad[i].name, &err, bad[i].says);
		fixture_free(&cek);
	}
}

static void
accepts_an_operators_root(void **state)
{
	struct fixture both =
	    fixture_join(fixture_load("certs/synthetic-a/ask.cert"),
		fixture_load("certs/synthetic-a/ark.cert"));
	struct fixture alone = fixture_load("certs/synthetic-a/ark.cert");
	struct fixture cek = fixture_load("certs/synthetic-a/cek.cert");
	struct sev_root roots[2];
	enum sev_generation g;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(
	    sev_root_parse(&roots[0], fixture_span(&alone), &err), 0);
	assert_int_equal(
	    sev_root_parse(&roots[1], fixture_span(&both), &err), 0);
	/* An ARK without its ASK has signed no CEK. */
	assert_int_equal(judge(&cek, roots, 1, &g, &err), -1);
	assert_int_equal(judge(&cek, roots, 2, &g, &err), 0);
	assert_int_equal(g, SEV_GEN_OPERATOR);
	fixture_free(&both);
	fixture_free(&alone);
	fixture_free(&cek);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_what_amd_has_signed),
		cmocka_unit_test(refuses_a_changed_one),
		cmocka_unit_test(refuses_others),
		cmocka_unit_test(accepts_an_operators_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
