#include "tests/unit/sev/fixture.h"

#include <stdio.h>
#include <string.h>

static void
refuses_what_is_no_amd_certificate(void **state)
{
	static const struct {
		const char *name;
		const char *file;
		long len; /* negative: that much off */
		size_t at;
		uint8_t to;
		const char *says;
	} bad[] = {
		{ "empty", "naples/ask", 0, 0, 1, "of 0 bytes" },
		{ "half a head", "naples/ask", 63, 0, 1, "of 63 bytes" },
		{ "head only", "naples/ask", 64, 0, 1, "ASK of 64 bytes" },
		{ "one short", "naples/ask", 831, 0, 1, "ASK of 831 bytes" },
		{ "one long", "naples/ask", 833, 0, 1, "ASK of 833 bytes" },
		{ "version 2", "naples/ask", 832, 0, 2, "version 2, want 1" },
		{ "usage CEK", "naples/ask", 832, 37, 0x10, "usage 0x1013" },
		{ "exponent size", "naples/ask", 832, 57, 16, "not both" },
		{ "modulus size", "naples/ask", 832, 61, 16, "not both" },
		{ "size of 0 bits", "naples/ask", 832, 61, 0, "not both" },
		{ "ASK without signature", "naples/ask", 576, 0, 1,
		    "ASK of 576 bytes, want 832" },
		{ "short ARK, one more", "naples/ark", 577, 0, 1,
		    "ARK of 577 bytes, want 832" },
		{ "short ARK, one less", "naples/ark", 575, 0, 1,
		    "ARK of 575 bytes" },
		{ "4096 without signature", "rome/ark", 1088, 0, 1,
		    "ARK of 1088 bytes, want 1600" },
		{ "4096 one short", "milan/ask", 1599, 0, 1,
		    "ASK of 1599 bytes, want 1600" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char path[64];
		uint8_t bytes[SEV_AMD_CERT_LEN_MAX + 1] = { 0 };
		struct sev_amd_cert cert;
		struct err err = { ERR_NONE, "" };
		struct fixture good, f;

		snprintf(
		    path, sizeof(path), "certs/roots/%s.cert", bad[i].file);
		good = fixture_load(path);
		memcpy(bytes, good.ptr, good.len);
		bytes[bad[i].at] = bad[i].to;
		f = fixture_of(bytes, (size_t)bad[i].len);
		assert_int_equal(
		    sev_amd_cert_parse(&cert, fixture_span(&f), &err), -1);
		assert_int_equal(err.code, ERR_MALFORMED);
		fixture_says(bad[i].name, &err, bad[i].says);
		fixture_free(&f);
		fixture_free(&good);
	}
}

/* Whole, and of a size that AMD's have not. */
static void
refuses_other_sizes(void **state)
{
	static const uint32_t sizes[] = { 1024, 2056, 3072, 4088 };
	struct fixture good = fixture_load("certs/roots/rome/ark.cert");

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct fixture f =
		    fixture_of(good.ptr, SEV_AMD_HEAD_LEN + 3 * sizes[i] / 8);
		struct sev_amd_cert cert;
		struct err err = { ERR_NONE, "" };

		f.ptr[56] = f.ptr[60] = (uint8_t)sizes[i];
		f.ptr[57] = f.ptr[61] = (uint8_t)(sizes[i] >> 8);
		assert_int_equal(
		    sev_amd_cert_parse(&cert, fixture_span(&f), &err), -1);
		fixture_says("size", &err, "not both of 2048 or 4096 bits");
		fixture_free(&f);
	}
	fixture_free(&good);
}

static void
reads_each_field(void **state)
{
	struct fixture f = fixture_load("certs/roots/genoa/ask.cert");
	struct sev_amd_cert cert;

	(void)state;
	assert_int_equal(sev_amd_cert_parse(&cert, fixture_span(&f), NULL), 0);
	assert_int_equal(cert.usage, SEV_USAGE_ASK);
	assert_int_equal(cert.bits, 4096);
	assert_int_equal(sev_amd_cert_algo(&cert), SEV_ALGO_RSA_SHA384);
	assert_ptr_equal(cert.key_id.ptr, f.ptr + 4);
	assert_ptr_equal(cert.certifying_id.ptr, f.ptr + 20);
	assert_ptr_equal(cert.exponent.ptr, f.ptr + 64);
	assert_ptr_equal(cert.modulus.ptr, f.ptr + 64 + 512);
	assert_int_equal(cert.body.len, 1088);
	assert_ptr_equal(cert.signature.ptr, f.ptr + 1088);
	fixture_free(&f);
}

static void
takes_the_naples_ark_as_published(void **state)
{
	struct fixture f = fixture_load("certs/naples/ark-published-576.cert");
	struct sev_amd_cert cert;

	(void)state;
	assert_int_equal(sev_amd_cert_parse(&cert, fixture_span(&f), NULL), 0);
	assert_int_equal(cert.signature.len, 0);
	assert_int_equal(cert.body.len, 576);
	assert_int_equal(sev_amd_cert_algo(&cert), SEV_ALGO_RSA_SHA256);
	fixture_free(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_no_amd_certificate),
		cmocka_unit_test(refuses_other_sizes),
		cmocka_unit_test(reads_each_field),
		cmocka_unit_test(takes_the_naples_ark_as_published),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
