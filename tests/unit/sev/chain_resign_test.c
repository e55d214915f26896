/* Chains signed anew with the published keys of fixtures/certs/synthetic-a. */
#include "tests/unit/sev/chain_judge.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/sev/resign.h"

/* A chain whose CEK is signed anew by the synthetic ASK, in several ways. */
static void
demands_pss_with_a_salt_as_long_as_the_digest(void **state)
{
	static const struct {
		const char *name;
		int padding, salt;
		bool sha384;
		enum sev_check check;
	} ways[] = {
		{ "right", RSA_PKCS1_PSS_PADDING, 48, true, SEV_CHECK_NONE },
		{ "salt 0", RSA_PKCS1_PSS_PADDING, 0, true, SEV_CHECK_ASK_CEK },
		{ "salt 32", RSA_PKCS1_PSS_PADDING, 32, true,
		    SEV_CHECK_ASK_CEK },
		{ "salt 49", RSA_PKCS1_PSS_PADDING, 49, true,
		    SEV_CHECK_ASK_CEK },
		{ "longest salt", RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_MAX,
		    true, SEV_CHECK_ASK_CEK },
		{ "SHA-256", RSA_PKCS1_PSS_PADDING, 32, false,
		    SEV_CHECK_ASK_CEK },
		{ "PKCS #1 1.5", RSA_PKCS1_PADDING, 0, true,
		    SEV_CHECK_ASK_CEK },
	};
	struct fixture full = fixture_load(SYNTHETIC "chain-full.bin");
	struct fixture ark = fixture_load(SYNTHETIC "ark.cert");
	EVP_PKEY *ask = resign_key(SYNTHETIC "ask.key.pem");
	struct sev_root root;
	struct sev_trust trust = { .roots = &root, .root_count = 1 };

	(void)state;
	assert_int_equal(sev_root_parse(&root, fixture_span(&ark), NULL), 0);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		uint8_t field[SEV_CERT_SIG_LEN];
		uint8_t *cek = full.ptr + CEK_AT;

		resign_rsa(field, ask, ways[i].padding, ways[i].salt,
		    ways[i].sha384, span_of(cek, SEV_CERT_SIGNED_LEN));
		resign_slot(cek, 0, SEV_USAGE_ASK, SEV_ALGO_RSA_SHA384, field);
		chain_wants(ways[i].name, fixture_span(&full), &trust,
		    ways[i].check, NULL);
		/* The other slot does as well. */
		memset(field, 0, sizeof(field));
		memcpy(field, cek + 1052, sizeof(field));
		resign_slot(cek, 1, SEV_USAGE_ASK, SEV_ALGO_RSA_SHA384, field);
		resign_slot(cek, 0, 0x0010, SEV_ALGO_RSA_SHA384, field);
		chain_wants(ways[i].name, fixture_span(&full), &trust,
		    ways[i].check, NULL);
		/* A slot must name the ASK, be the signature good or not. */
		resign_slot(cek, 0, SEV_USAGE_CEK, SEV_ALGO_RSA_SHA384, field);
		field[0] ^= 1;
		resign_slot(cek, 1, SEV_USAGE_ASK, SEV_ALGO_RSA_SHA384, field);
		chain_wants(ways[i].name, fixture_span(&full), &trust,
		    SEV_CHECK_ASK_CEK, "no trusted ASK");
		resign_slot(cek, 1, SEV_USAGE_NONE, SEV_ALGO_NONE, field);
	}
	EVP_PKEY_free(ask);
	fixture_free(&full);
	fixture_free(&ark);
}

/* The parent's key algorithm decides the hash: 0x0102 works throughout. */
static void
takes_ecdsa_with_sha384(void **state)
{
	struct fixture full = fixture_load(SYNTHETIC "chain-full.bin");
	struct fixture ark = fixture_load(SYNTHETIC "ark.cert");
	EVP_PKEY *pek = resign_key(SYNTHETIC "pek.key.pem");
	EVP_PKEY *oca = resign_key(SYNTHETIC "oca.key.pem");
	EVP_PKEY *cek = resign_key(SYNTHETIC "cek.key.pem");
	uint8_t field[SEV_CERT_SIG_LEN];
	struct sev_root root;
	struct sev_trust trust = { .roots = &root, .root_count = 1 };

	(void)state;
	assert_int_equal(sev_root_parse(&root, fixture_span(&ark), NULL), 0);
	full.ptr[PEK_AT + 13] = 0x01; /* the PEK signs with SHA-384 */
	resign_ec(
	    field, cek, false, span_of(full.ptr + PEK_AT, SEV_CERT_SIGNED_LEN));
	resign_slot(
	    full.ptr + PEK_AT, 0, SEV_USAGE_CEK, SEV_ALGO_ECDSA_SHA256, field);
	resign_ec(
	    field, oca, false, span_of(full.ptr + PEK_AT, SEV_CERT_SIGNED_LEN));
	resign_slot(
	    full.ptr + PEK_AT, 1, SEV_USAGE_OCA, SEV_ALGO_ECDSA_SHA256, field);
	chain_wants("old PDH signature", fixture_span(&full), &trust,
	    SEV_CHECK_PEK_PDH, "no slot");
	resign_ec(
	    field, pek, false, span_of(full.ptr + PDH_AT, SEV_CERT_SIGNED_LEN));
	resign_slot(
	    full.ptr + PDH_AT, 1, SEV_USAGE_PEK, SEV_ALGO_ECDSA_SHA384, field);
	chain_wants("SHA-256 called SHA-384", fixture_span(&full), &trust,
	    SEV_CHECK_PEK_PDH, "does not verify");
	resign_ec(
	    field, pek, true, span_of(full.ptr + PDH_AT, SEV_CERT_SIGNED_LEN));
	resign_slot(
	    full.ptr + PDH_AT, 1, SEV_USAGE_PEK, SEV_ALGO_ECDSA_SHA384, field);
	chain_wants(
	    "SHA-384", fixture_span(&full), &trust, SEV_CHECK_NONE, NULL);
	EVP_PKEY_free(pek);
	EVP_PKEY_free(oca);
	EVP_PKEY_free(cek);
	fixture_free(&full);
	fixture_free(&ark);
}

/*
 * The EPYC 9654 as QEMU reports it: an OCA with noise in signed reserved bytes
 * and a CEK without AMD's signature.  The published synthetic ASK plays the key
 * server, whose copy of the CEK says API 0.14, as AMD's do.
 */
static void
real_genoa_links_hold_over_noise(void **state)
{
	static const char *const files[] = { "pdh", "pek", "oca", "cek" };
	struct fixture f = fixture_of("", 0), cek, ca;
	EVP_PKEY *ask = resign_key(SYNTHETIC "ask.key.pem");
	uint8_t field[SEV_CERT_SIG_LEN];
	struct sev_root root;
	struct sev_cert given;
	struct sev_trust trust = {
		.roots = &root, .root_count = 1, .ceks = &given, .cek_count = 1
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		char path[64];

		snprintf(path, sizeof(path), "certs/genoa-9654-qemu/%s.cert",
		    files[i]);
		f = fixture_join(f, fixture_load(path));
	}
	ca = fixture_join(fixture_load(SYNTHETIC "ask.cert"),
	    fixture_load(SYNTHETIC "ark.cert"));
	assert_int_equal(sev_root_parse(&root, fixture_span(&ca), NULL), 0);
	cek = fixture_of(f.ptr + CEK_AT, SEV_CERT_LEN);
	cek.ptr[4] = 0;
	cek.ptr[5] = 14;
	resign_rsa(field, ask, RSA_PKCS1_PSS_PADDING, 48, true,
	    span_of(cek.ptr, SEV_CERT_SIGNED_LEN));
	resign_slot(cek.ptr, 0, SEV_USAGE_ASK, SEV_ALGO_RSA_SHA384, field);
	assert_int_equal(sev_cert_parse(&given, fixture_span(&cek), NULL), 0);
	chain_wants("genoa", fixture_span(&f), &trust, SEV_CHECK_NONE, NULL);
	/* Noise is signed: cleaned up, it is another certificate. */
	for (size_t at = 164; at < SEV_CERT_SIGNED_LEN; at++)
		f.ptr[OCA_AT + at] = 0;
	chain_wants("without the noise", fixture_span(&f), &trust,
	    SEV_CHECK_OCA_SELF, "does not verify");
	EVP_PKEY_free(ask);
	fixture_free(&f);
	fixture_free(&cek);
	fixture_free(&ca);
}

/* A self-signed ARK of 2048 bits that is nobody's. */
static void
make_ark(uint8_t out[SEV_AMD_CERT_2048_LEN])
{
	uint8_t field[SEV_CERT_SIG_LEN];
	EVP_PKEY *key = EVP_RSA_gen(2048);
	BIGNUM *n = NULL;

	assert_int_equal(
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
	memset(out, 0, SEV_AMD_CERT_2048_LEN);
	out[0] = 1;
	memset(out + 4, 0x77, 32); /* key id and certifying key id */
	out[57] = out[61] = 8;     /* 2048 bits */
	out[64] = out[66] = 1;     /* 65537 */
	assert_int_equal(BN_bn2lebinpad(n, out + 320, 256), 256);
	resign_rsa(field, key, RSA_PKCS1_PSS_PADDING, 32, false,
	    span_of(out, SEV_AMD_ARK_2048_NO_SIG));
	memcpy(out + SEV_AMD_ARK_2048_NO_SIG, field, 256);
	BN_free(n);
	EVP_PKEY_free(key);
}

/* Only AMD's own ARK of Naples may lack its signature. */
static void
wants_an_operators_ark_whole(void **state)
{
	uint8_t ark[SEV_AMD_CERT_2048_LEN];
	struct fixture four = fixture_load(SYNTHETIC "chain-full.bin");
	struct fixture blob;
	struct sev_root root;
	struct sev_trust trust = { .roots = &root, .root_count = 1 };

	(void)state;
	make_ark(ark);
	assert_int_equal(
	    sev_root_parse(&root, span_of(ark, sizeof(ark)), NULL), 0);
	blob = fixture_join(
	    fixture_of(four.ptr, CA_AT), fixture_load(NAPLES "ask.cert"));
	blob = fixture_join(blob, fixture_of(ark, sizeof(ark)));
	chain_wants("whole", fixture_span(&blob), &trust, SEV_CHECK_ARK_ASK,
	    "not the key id of the ARK");
	chain_wants("without its signature", span_of(blob.ptr, blob.len - 256),
	    &trust, SEV_CHECK_ARK_SELF, "ARK by itself");
	fixture_free(&blob);
	fixture_free(&four);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(demands_pss_with_a_salt_as_long_as_the_digest),
		cmocka_unit_test(takes_ecdsa_with_sha384),
		cmocka_unit_test(real_genoa_links_hold_over_noise),
		cmocka_unit_test(wants_an_operators_ark_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
