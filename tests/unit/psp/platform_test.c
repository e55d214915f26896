/* The certificates of a platform verify as real ones do: one verifier, tried
 * on a real EPYC's chain first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "tests/psp/platform_file.h"
#include "tests/unit/psp/fixture.h"

static uint32_t
le32(const uint8_t *at)
{
	struct reader r = reader_of(span_of(at, 4));

	return reader_le32(&r);
}

/* The key of an ARK or ASK (AMD 55766 B). */
static EVP_PKEY *
rsa_key(const uint8_t *cert)
{
	size_t size = le32(cert + 60) / 8;
	BIGNUM *n = BN_lebin2bn(cert + 64 + size, (int)size, NULL);
	BIGNUM *e = BN_lebin2bn(cert + 64, (int)size, NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params;
	EVP_PKEY *key = NULL;

	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n);
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e);
	params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_fromdata_init(ctx);
	EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(n);
	BN_free(e);
	return key;
}

static bool
rsa_verify(const uint8_t *amd_cert, const uint8_t *sig, const uint8_t *text,
    size_t len)
{
	size_t size = le32(amd_cert + 60) / 8;
	EVP_PKEY *key = rsa_key(amd_cert);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pss = NULL;
	uint8_t be[512];
	bool ok;

	for (size_t i = 0; i < size; i++)
		be[i] = sig[size - 1 - i];
	ok = EVP_DigestVerifyInit_ex(ctx, &pss,
		 size == 512 ? "SHA384" : "SHA256", NULL, NULL, key,
		 NULL) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(pss, RSA_PKCS1_PSS_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(pss, RSA_PSS_SALTLEN_DIGEST) ==
		1 &&
	    EVP_DigestVerify(ctx, be, size, text, len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ok;
}

static bool
ec_verify(const uint8_t *parent, const uint8_t *sig, const uint8_t *text)
{
	EVP_PKEY *key = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ECDSA_SIG *pair = ECDSA_SIG_new();
	uint8_t *der = NULL;
	int len;
	bool ok;

	assert_int_equal(psp_key_from_point(&key, span_of(parent + 20, 72),
			     span_of(parent + 92, 72), NULL),
	    0);
	ECDSA_SIG_set0(
	    pair, BN_lebin2bn(sig, 72, NULL), BN_lebin2bn(sig + 72, 72, NULL));
	len = i2d_ECDSA_SIG(pair, &der);
	ok = EVP_DigestVerifyInit_ex(
		 ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
	    EVP_DigestVerify(ctx, der, (size_t)len, text, 1044) == 1;
	OPENSSL_free(der);
	ECDSA_SIG_free(pair);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ok;
}

static bool
ec_link(const uint8_t *child, const uint8_t *parent)
{
	for (size_t at = 1044; at < 2084; at += 520)
		if (le32(child + at) == le32(parent + 8) &&
		    le32(child + at + 4) == le32(parent + 12) &&
		    ec_verify(parent, child + at + 8, child))
			return true;
	return false;
}

static bool
amd_link(const uint8_t *child, const uint8_t *parent)
{
	size_t size = le32(child + 60) / 8, body = 64 + 2 * size;

	return memcmp(child + 20, parent + 4, 16) == 0 &&
	    rsa_verify(parent, child + body, child, body);
}

static bool
cek_link(const uint8_t *cek, const uint8_t *ask)
{
	return le32(cek + 1044) == PSP_USAGE_ASK &&
	    le32(cek + 1048) ==
	    (le32(ask + 60) == 4096 ? PSP_ALGO_RSA_SHA384
				    : PSP_ALGO_RSA_SHA256) &&
	    rsa_verify(ask, cek + 1052, cek, 1044);
}

static void
assert_chain(const struct psp_platform *p)
{
	const uint8_t *cek = p->cert[PSP_CEK], *oca = p->cert[PSP_OCA];
	const uint8_t *pek = p->cert[PSP_PEK], *pdh = p->cert[PSP_PDH];

	assert_true(amd_link(p->ark_cert, p->ark_cert));
	assert_true(amd_link(p->ask_cert, p->ark_cert));
	assert_true(cek_link(cek, p->ask_cert));
	assert_true(ec_link(oca, oca));
	assert_true(ec_link(pek, oca));
	assert_true(ec_link(pek, cek));
	assert_true(ec_link(pdh, pek));
	assert_false(ec_link(pdh, oca));
	assert_int_equal(le32(pdh + 12), PSP_ALGO_ECDH_SHA256);
}

static void
read_cert(uint8_t *out, const char *dir, const char *name, size_t *len)
{
	char path[64];
	struct secret file;

	(void)snprintf(path, sizeof(path), "certs/%s/%s.cert", dir, name);
	file = fixture_file(path);
	memcpy(out, file.ptr, file.len);
	if (len != NULL)
		*len = file.len;
	secret_free(&file);
}

static void
the_verifier_accepts_a_real_chain(void **state)
{
	struct psp_platform p = { 0 };

	(void)state;
	read_cert(p.ark_cert, "naples", "ark", &p.ark_len);
	read_cert(p.ask_cert, "naples", "ask", &p.ask_len);
	read_cert(p.cert[PSP_CEK], "naples", "cek", NULL);
	read_cert(p.cert[PSP_OCA], "naples", "oca", NULL);
	read_cert(p.cert[PSP_PEK], "naples", "pek", NULL);
	read_cert(p.cert[PSP_PDH], "naples", "pdh", NULL);
	assert_chain(&p);
	p.cert[PSP_PEK][1043] ^= 1;
	assert_false(ec_link(p.cert[PSP_PEK], p.cert[PSP_OCA]));
}

static void
makes_a_naples_like_platform(void **state)
{
	struct psp_platform_spec spec = { .bits = 2048, .api = { 0, 24, 13 } };
	struct psp_platform p = { 0 };
	uint8_t old[PSP_CERT_LEN];

	(void)state;
	assert_int_equal(psp_platform_make(&p, &spec, NULL), 0);
	assert_int_equal(p.ark_len, 832);
	assert_int_equal(p.ask_len, 832);
	assert_chain(&p);
	assert_int_equal(p.cert[PSP_PEK][5], 24);
	memcpy(old, p.cert[PSP_PDH], sizeof(old));
	assert_int_equal(psp_platform_rotate(&p, NULL), 0);
	assert_memory_not_equal(old, p.cert[PSP_PDH], sizeof(old));
	assert_chain(&p);
	psp_platform_free(&p);
}

static void
makes_a_platform_under_a_given_root_and_owner(void **state)
{
	struct psp_platform root = { 0 }, p = { 0 }, two = { 0 };
	uint8_t chip[PSP_CHIP_ID_LEN] = { 1, 2, 3 };
	struct psp_platform_spec spec = { .api = { 1, 55, 21 },
		.chip_id = span_of(chip, sizeof(chip)),
		.root = &root };

	(void)state;
	fixture_platform(&root);
	assert_chain(&root);
	spec.owner = root.key[PSP_OCA];
	assert_int_equal(psp_platform_make(&p, &spec, NULL), 0);
	assert_chain(&p);
	assert_int_equal(p.ark_len, 1600);
	assert_memory_equal(p.chip_id, chip, sizeof(chip));
	assert_memory_equal(p.ark_cert, root.ark_cert, root.ark_len);
	/* The same owner's key, an external owner's API. */
	assert_memory_equal(p.cert[PSP_OCA] + 20, root.cert[PSP_OCA] + 20, 144);
	assert_int_equal(p.cert[PSP_OCA][4], 0);
	spec.chip_id = span_of(chip, 63);
	assert_int_equal(psp_platform_make(&two, &spec, NULL), -1);
	psp_platform_free(&p);
	psp_platform_free(&root);
}

static void
exports_what_qemu_reports(void **state)
{
	uint8_t pdh[PSP_CERT_LEN], chain[PSP_CHAIN_LEN], id[PSP_CHIP_ID_LEN];
	struct secret want =
	    fixture_file("certs/synthetic-a/cert-chain-unsigned-cek.bin");
	struct psp_platform p = { 0 };
	struct psp *psp;

	(void)state;
	fixture_platform(&p);
	psp = psp_new(&p, NULL, NULL);
	assert_int_equal(psp_init(psp), PSP_SUCCESS);
	assert_int_equal(psp_pdh_cert_export(pdh, chain, psp), PSP_SUCCESS);
	assert_int_equal(want.len, sizeof(chain));
	assert_memory_equal(chain, want.ptr, sizeof(chain));
	assert_memory_equal(pdh, p.cert[PSP_PDH], sizeof(pdh));
	assert_int_equal(psp_get_id(id, psp), PSP_SUCCESS);
	assert_memory_equal(id, p.chip_id, sizeof(id));
	psp_free(psp);
	psp_platform_free(&p);
	secret_free(&want);
}

static void
remove_folder(const char *dir)
{
	static const char *const names[] = { "ark.cert", "ask.cert",
		"ask_ark.cert", "cek.cert", "oca.cert", "pek.cert", "pdh.cert",
		"cek-unsigned.cert", "cert-chain.bin", "cpu0-id.bin", "api.txt",
		"ark.key.pem", "ask.key.pem", "cek.key.pem", "oca.key.pem",
		"pek.key.pem", "pdh.key.pem" };
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(dir), 0);
}

static void
saves_and_loads(void **state)
{
	char dir[] = "/tmp/psp-platform-XXXXXX", path[64];
	struct psp_platform p = { 0 }, again = { 0 };
	struct err err = { 0 };
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fixture_platform(&p);
	p.api.build = 200;
	assert_int_equal(psp_platform_file_save(&p, dir, &err), 0);
	assert_int_equal(psp_platform_file_load(&again, dir, &err), 0);
	assert_chain(&again);
	assert_memory_equal(again.cert, p.cert, sizeof(p.cert));
	assert_memory_equal(again.chip_id, p.chip_id, sizeof(p.chip_id));
	assert_int_equal(again.api.build, 200);
	assert_int_equal(EVP_PKEY_eq(again.key[PSP_PDH], p.key[PSP_PDH]), 1);
	psp_platform_free(&again);
	(void)snprintf(path, sizeof(path), "%s/pdh.key.pem", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	(void)snprintf(path, sizeof(path), "%s/cpu0-id.bin", dir);
	assert_int_equal(truncate(path, 63), 0);
	assert_int_equal(psp_platform_file_load(&again, dir, &err), -1);
	assert_non_null(strstr(err.msg, "63 bytes, want 64"));
	remove_folder(dir);
	assert_int_equal(psp_platform_file_load(&again, dir, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	psp_platform_free(&p);
}

static void
reads_api_versions(void **state)
{
	static const char *const bad[] = { "", "1", "1.55", "1.55.21.3",
		"1.55.256", "a.b.c", "1.55.21x" };
	struct psp_api api;
	struct err err;

	(void)state;
	assert_int_equal(psp_platform_file_api(&api, "1.55.21", &err), 0);
	assert_int_equal(api.minor, 55);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (psp_platform_file_api(&api, bad[i], &err) == 0)
			fail_msg("%s was taken", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_verifier_accepts_a_real_chain),
		cmocka_unit_test(makes_a_naples_like_platform),
		cmocka_unit_test(makes_a_platform_under_a_given_root_and_owner),
		cmocka_unit_test(exports_what_qemu_reports),
		cmocka_unit_test(saves_and_loads),
		cmocka_unit_test(reads_api_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
