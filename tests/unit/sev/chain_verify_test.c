#include "tests/unit/sev/fixture.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/sev/chain_judge.h"

static void
trusts_a_real_chain(void **state)
{
	struct fixture f = fixture_load(NAPLES "chain-sev.bin");
	struct sev_trust trust = { .roots = NULL };
	struct sev_verdict v;
	struct err err;

	(void)state;
	assert_int_equal(chain_judge(&v, fixture_span(&f), &trust, &err), 0);
	assert_int_equal(v.generation, SEV_GEN_NAPLES);
	assert_int_equal(v.api_major, 0);
	assert_int_equal(v.api_minor, 16);
	assert_true(v.self_owned);
	assert_false(v.cek_replaced);
	trust.want_ca = true;
	chain_wants("want_ca", fixture_span(&f), &trust, SEV_CHECK_INCOMPLETE,
	    "the chain has no ASK");
	fixture_free(&f);
}

/* One byte of a good full chain changed, and the check that must notice. */
static void
names_the_failed_check(void **state)
{
	static const struct {
		const char *name;
		size_t at;
		uint8_t flip;
		enum sev_check check;
		const char *says;
	} bad[] = {
		{ "PDH algorithm", PDH_AT + 12, 1, SEV_CHECK_PDH_KEY,
		    "key algorithm 0x0002" },
		{ "PDH curve", PDH_AT + 16, 3, SEV_CHECK_PDH_KEY, "curve 1" },
		{ "PDH point", PDH_AT + 20, 1, SEV_CHECK_PDH_KEY,
		    "no point of P-384" },
		{ "PDH Qx too long", PDH_AT + 20 + 48, 1, SEV_CHECK_PDH_KEY,
		    "over 384 bits" },
		{ "PDH Qy too long", PDH_AT + 92 + 71, 128, SEV_CHECK_PDH_KEY,
		    "over 384 bits" },
		{ "PEK point", PEK_AT + 92, 1, SEV_CHECK_PEK_KEY, "PEK: " },
		{ "PEK algorithm", PEK_AT + 12, 1, SEV_CHECK_PEK_KEY, "PEK" },
		{ "OCA point", OCA_AT + 20, 1, SEV_CHECK_OCA_KEY, "OCA: " },
		{ "CEK point", CEK_AT + 20, 1, SEV_CHECK_CEK_KEY, "CEK: " },
		{ "PDH API", PDH_AT + 4, 1, SEV_CHECK_PEK_PDH,
		    "PDH by the PEK" },
		{ "PDH slot algorithm", PDH_AT + 1048, 1, SEV_CHECK_PEK_PDH,
		    "no slot" },
		{ "PDH slot usage", PDH_AT + 1044, 1, SEV_CHECK_PEK_PDH,
		    "no slot" },
		{ "PDH r over 384 bits", PDH_AT + 1052 + 48, 1,
		    SEV_CHECK_PEK_PDH, "over 384 bits" },
		{ "PDH s over 384 bits", PDH_AT + 1052 + 72 + 48, 1,
		    SEV_CHECK_PEK_PDH, "over 384 bits" },
		{ "PEK API", PEK_AT + 4, 1, SEV_CHECK_CEK_PEK,
		    "PEK by the CEK" },
		{ "PEK slot 1", PEK_AT + 1052, 1, SEV_CHECK_OCA_PEK,
		    "PEK by the OCA" },
		{ "PEK slot 2", PEK_AT + 1572, 1, SEV_CHECK_CEK_PEK,
		    "PEK by the CEK" },
		{ "OCA API", OCA_AT + 4, 1, SEV_CHECK_OCA_SELF,
		    "OCA by the OCA" },
		{ "CEK API", CEK_AT + 4, 1, SEV_CHECK_ASK_CEK,
		    "no trusted ASK" },
		{ "CEK slot algorithm", CEK_AT + 1049, 1, SEV_CHECK_ASK_CEK,
		    "no trusted ASK" },
		{ "CEK slot usage", CEK_AT + 1044, 1, SEV_CHECK_CEK_UNSIGNED,
		    "not signed by AMD" },
		{ "ASK modulus", CA_AT + 400, 1, SEV_CHECK_ARK_ASK, "ASK: " },
		{ "ASK certifying id", CA_AT + 20, 1, SEV_CHECK_ARK_ASK,
		    "certifying key id" },
		{ "ASK signature", CA_AT + 600, 1, SEV_CHECK_ARK_ASK,
		    "does not verify" },
		{ "ARK modulus", CA_AT + 832 + 400, 1, SEV_CHECK_ARK_NOT_PINNED,
		    "its key decides" },
		{ "ARK key id", CA_AT + 832 + 4, 1, SEV_CHECK_ARK_NOT_PINNED,
		    "its key decides" },
		{ "ARK signature", CA_AT + 832 + 600, 1, SEV_CHECK_ARK_SELF,
		    "ARK by itself" },
	};
	struct fixture good = fixture_load(NAPLES "chain-full.bin");
	struct sev_trust trust = { .roots = NULL };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		good.ptr[bad[i].at] ^= bad[i].flip;
		chain_wants(bad[i].name, fixture_span(&good), &trust,
		    bad[i].check, bad[i].says);
		good.ptr[bad[i].at] ^= bad[i].flip;
	}
	fixture_free(&good);
}

static void
wants_every_certificate(void **state)
{
	static const struct {
		const char *files[3];
		const char *says;
	} bad[] = {
		{ { "pek.cert", "oca.cert", "cek.cert" }, "has no PDH" },
		{ { "pdh.cert", "oca.cert", "cek.cert" }, "has no PEK" },
		{ { "pdh.cert", "pek.cert", "cek.cert" }, "has no OCA" },
		{ { "pdh.cert", "pek.cert", "oca.cert" }, "has no CEK" },
	};
	struct fixture right = fixture_load(NAPLES "cek.cert");
	struct sev_trust trust = { .roots = NULL };
	struct sev_cert cek;

	(void)state;
	sev_cert_parse(&cek, fixture_span(&right), NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fixture f = fixture_of("", 0);

		for (size_t k = 0; k < 3; k++) {
			char path[64];

			snprintf(
			    path, sizeof(path), NAPLES "%s", bad[i].files[k]);
			f = fixture_join(f, fixture_load(path));
		}
		chain_wants(bad[i].says, fixture_span(&f), &trust,
		    SEV_CHECK_INCOMPLETE, bad[i].says);
		/* A CEK at hand stands in for no other certificate. */
		if (i < 3) {
			trust =
			    (struct sev_trust){ .ceks = &cek, .cek_count = 1 };
			chain_wants(bad[i].says, fixture_span(&f), &trust,
			    SEV_CHECK_INCOMPLETE, bad[i].says);
			trust = (struct sev_trust){ .roots = NULL };
		}
		fixture_free(&f);
	}
	fixture_free(&right);
}

/* QEMU's export has an unsigned CEK; AMD's signed one takes its place. */
static void
replaces_an_unsigned_cek(void **state)
{
	struct fixture f = fixture_join(fixture_load(NAPLES "pdh.cert"),
	    fixture_load(NAPLES "cert-chain-unsigned-cek.bin"));
	struct fixture right = fixture_load(NAPLES "cek.cert");
	struct fixture wrong = fixture_load(SYNTHETIC "cek.cert");
	struct sev_cert ceks[2];
	struct sev_trust trust = { .ceks = ceks };
	struct sev_verdict v;
	struct err err;

	(void)state;
	sev_cert_parse(&ceks[0], fixture_span(&wrong), NULL);
	sev_cert_parse(&ceks[1], fixture_span(&right), NULL);
	chain_wants("none at hand", fixture_span(&f), &trust,
	    SEV_CHECK_CEK_UNSIGNED, "key server");
	trust.cek_count = 1;
	chain_wants("another chip's", fixture_span(&f), &trust,
	    SEV_CHECK_CEK_OTHER, "another chip's");
	trust.cek_count = 2;
	assert_int_equal(chain_judge(&v, fixture_span(&f), &trust, &err), 0);
	assert_true(v.cek_replaced);
	assert_int_equal(v.cek_index, 1);
	/* The unsigned one itself, given too, hides the signed one not. */
	sev_cert_parse(&ceks[0], span_of(f.ptr + CEK_AT, SEV_CERT_LEN), NULL);
	assert_int_equal(chain_judge(&v, fixture_span(&f), &trust, &err), 0);
	assert_int_equal(v.cek_index, 1);
	/* A slot without an algorithm is empty, whoever is named in it. */
	f.ptr[CEK_AT + 1044] = SEV_USAGE_ASK;
	f.ptr[CEK_AT + 1045] = 0;
	assert_int_equal(chain_judge(&v, fixture_span(&f), &trust, &err), 0);
	assert_true(v.cek_replaced);
	/* It must be a CEK, and its signature must still be AMD's. */
	right.ptr[8] ^= 1;
	sev_cert_parse(&ceks[1], fixture_span(&right), NULL);
	chain_wants("no CEK", fixture_span(&f), &trust, SEV_CHECK_CEK_KEY,
	    "usage 0x1005");
	right.ptr[8] ^= 1;
	sev_cert_parse(&ceks[1], fixture_span(&right), NULL);
	right.ptr[1100] ^= 1;
	chain_wants("badly signed", fixture_span(&f), &trust, SEV_CHECK_ASK_CEK,
	    "no trusted ASK");
	fixture_free(&f);
	fixture_free(&right);
	fixture_free(&wrong);
}

static void
takes_a_cek_that_the_chain_lacks(void **state)
{
	struct fixture f = fixture_load(NAPLES "chain-sev.bin");
	struct fixture cek = fixture_load(NAPLES "cek.cert");
	struct sev_cert given, two[2];
	struct sev_trust trust = { .ceks = &given, .cek_count = 1 };

	(void)state;
	sev_cert_parse(&given, fixture_span(&cek), NULL);
	chain_wants("given apart", span_of(f.ptr, CEK_AT), &trust,
	    SEV_CHECK_NONE, NULL);
	/* Of two nobody says which. */
	two[0] = two[1] = given;
	trust = (struct sev_trust){ .ceks = two, .cek_count = 2 };
	chain_wants("two at hand", span_of(f.ptr, CEK_AT), &trust,
	    SEV_CHECK_INCOMPLETE, "has no CEK");
	fixture_free(&f);
	fixture_free(&cek);
}

static void
trusts_an_operators_root_only_if_given(void **state)
{
	static const char *const forms[] = { "ark.cert", "ask.cert+ark.cert" };
	struct fixture full = fixture_load(SYNTHETIC "chain-full.bin");
	struct sev_trust none = { .roots = NULL };
	struct span without_ca = span_of(full.ptr, CA_AT);

	(void)state;
	chain_wants("no root", fixture_span(&full), &none,
	    SEV_CHECK_ARK_NOT_PINNED, NULL);
	chain_wants(
	    "no root, no CA", without_ca, &none, SEV_CHECK_ASK_CEK, NULL);
	for (size_t i = 0; i < 2; i++) {
		struct fixture ark = fixture_load(SYNTHETIC "ark.cert");
		struct sev_root root;
		struct sev_trust trust = { .roots = &root, .root_count = 1 };
		struct sev_verdict v;
		struct err err;

		if (i == 1)
			ark = fixture_join(
			    fixture_load(SYNTHETIC "ask.cert"), ark);
		assert_int_equal(
		    sev_root_parse(&root, fixture_span(&ark), NULL), 0);
		assert_int_equal(
		    chain_judge(&v, fixture_span(&full), &trust, &err), 0);
		assert_int_equal(v.generation, SEV_GEN_OPERATOR);
		/* Without CA in the blob the ASK must come with the root. */
		chain_wants(forms[i], without_ca, &trust,
		    i == 1 ? SEV_CHECK_NONE : SEV_CHECK_ASK_CEK, NULL);
		fixture_free(&ark);
	}
	fixture_free(&full);
}

/* What the owner reads in her log, and her lists are held against. */
static void
describes_the_very_keys(void **state)
{
	struct fixture full = fixture_load(SYNTHETIC "chain-full.bin");
	struct fixture ark = fixture_load(SYNTHETIC "ark.cert");
	struct fixture rome = fixture_load("certs/roots/rome/ark.cert");
	const size_t at[] = { PDH_AT, PEK_AT, OCA_AT, CEK_AT };
	struct sev_root roots[2];
	struct sev_trust trust = { .roots = roots, .root_count = 2 };
	struct sev_verdict v;
	const uint8_t *const got[] = { v.pdh_key, v.pek_key, v.oca_key,
		v.cek_key };
	uint8_t want[SEV_SHA256_LEN];
	struct err err;

	(void)state;
	assert_int_equal(
	    sev_root_parse(&roots[0], fixture_span(&rome), NULL), 0);
	assert_int_equal(
	    sev_root_parse(&roots[1], fixture_span(&ark), NULL), 0);
	assert_int_equal(chain_judge(&v, fixture_span(&full), &trust, &err), 0);
	assert_int_equal(v.root_index, 1);
	assert_int_equal(v.api_major, 1);
	assert_int_equal(v.api_minor, 55);
	sev_amd_cert_fingerprint(want, &roots[1].ark, NULL);
	assert_memory_equal(v.ark_body, want, sizeof(want));
	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		struct sev_cert cert;

		sev_cert_parse(
		    &cert, span_of(full.ptr + at[i], SEV_CERT_LEN), NULL);
		sev_cert_fingerprint(want, &cert, NULL);
		assert_memory_equal(got[i], want, sizeof(want));
	}
	fixture_free(&full);
	fixture_free(&ark);
	fixture_free(&rome);
}

static void
refuses_a_cek_of_another_chip(void **state)
{
	struct fixture full = fixture_load(SYNTHETIC "chain-full.bin");
	struct fixture other = fixture_load(SYNTHETIC "cek-other-chip.cert");
	struct fixture ark = fixture_load(SYNTHETIC "ark.cert");
	struct sev_root root;
	struct sev_trust trust = { .roots = &root, .root_count = 1 };

	(void)state;
	assert_int_equal(sev_root_parse(&root, fixture_span(&ark), NULL), 0);
	memcpy(full.ptr + CEK_AT, other.ptr, other.len);
	chain_wants("other chip", fixture_span(&full), &trust,
	    SEV_CHECK_CEK_PEK, "PEK by the CEK");
	fixture_free(&full);
	fixture_free(&other);
	fixture_free(&ark);
}

static void
compares_the_oca_with_registered_ones(void **state)
{
	struct fixture f = fixture_load(NAPLES "chain-sev.bin");
	struct fixture right = fixture_load(NAPLES "oca.cert");
	struct fixture wrong = fixture_load("certs/genoa-9654-qemu/oca.cert");
	struct sev_cert clouds[2];
	struct sev_trust trust = { .clouds = clouds, .want_cloud = true };
	struct sev_verdict v;
	struct err err;

	(void)state;
	sev_cert_parse(&clouds[0], fixture_span(&wrong), NULL);
	sev_cert_parse(&clouds[1], fixture_span(&right), NULL);
	chain_wants("an empty list is nobody", fixture_span(&f), &trust,
	    SEV_CHECK_CLOUD, "none of the 0 registered");
	trust.cloud_count = 1;
	chain_wants("another cloud", fixture_span(&f), &trust, SEV_CHECK_CLOUD,
	    "seems to be self-owned");
	trust.cloud_count = 2;
	assert_int_equal(chain_judge(&v, fixture_span(&f), &trust, &err), 0);
	assert_int_equal(v.cloud_index, 1);
	/* The same point for another algorithm is another key. */
	right.ptr[13] ^= 1;
	sev_cert_parse(&clouds[1], fixture_span(&right), NULL);
	chain_wants("another algorithm", fixture_span(&f), &trust,
	    SEV_CHECK_CLOUD, NULL);
	right.ptr[13] ^= 1;
	sev_cert_parse(&clouds[1], fixture_span(&right), NULL);
	/* Signatures and reserved bytes of the registered copy may vary. */
	right.ptr[1100] ^= 1;
	right.ptr[300] ^= 1;
	assert_int_equal(chain_judge(&v, fixture_span(&f), &trust, &err), 0);
	fixture_free(&f);
	fixture_free(&right);
	fixture_free(&wrong);
}

/* The real links of the EPYC 9654 hold, although its CEK is unsigned. */
static void
real_genoa_chain_lacks_only_amds_signature(void **state)
{
	static const char *const files[] = { "pdh", "pek", "oca", "cek" };
	struct fixture f = fixture_of("", 0);
	struct sev_trust trust = { .roots = NULL };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		char path[64];

		snprintf(path, sizeof(path), "certs/genoa-9654-qemu/%s.cert",
		    files[i]);
		f = fixture_join(f, fixture_load(path));
	}
	chain_wants(
	    "genoa", fixture_span(&f), &trust, SEV_CHECK_CEK_UNSIGNED, NULL);
	fixture_free(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trusts_a_real_chain),
		cmocka_unit_test(names_the_failed_check),
		cmocka_unit_test(wants_every_certificate),
		cmocka_unit_test(replaces_an_unsigned_cek),
		cmocka_unit_test(takes_a_cek_that_the_chain_lacks),
		cmocka_unit_test(trusts_an_operators_root_only_if_given),
		cmocka_unit_test(describes_the_very_keys),
		cmocka_unit_test(refuses_a_cek_of_another_chip),
		cmocka_unit_test(compares_the_oca_with_registered_ones),
		cmocka_unit_test(real_genoa_chain_lacks_only_amds_signature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
