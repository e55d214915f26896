#include "tests/unit/sev/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "common/hex.h"

/* Ways to be wrong: one byte of a good certificate changed, or its length. */
static void
refuses_other_lengths_and_versions(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		size_t at;
		uint8_t to;
		const char *says;
	} bad[] = {
		{ "empty", 0, 0, 1, "of 0 bytes, want 2084" },
		{ "one byte", 1, 0, 1, "of 1 bytes" },
		{ "head only", 16, 0, 1, "of 16 bytes" },
		{ "signed part only", 1044, 0, 1, "of 1044 bytes" },
		{ "one short", SEV_CERT_LEN - 1, 0, 1, "of 2083 bytes" },
		{ "one long", SEV_CERT_LEN + 1, 0, 1, "of 2085 bytes" },
		{ "version 0", SEV_CERT_LEN, 0, 0, "version 0, want 1" },
		{ "version 2", SEV_CERT_LEN, 0, 2, "version 2, want 1" },
		{ "version 257", SEV_CERT_LEN, 1, 1, "version 257, want 1" },
	};
	struct fixture good = fixture_load("certs/naples/pdh.cert");

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint8_t bytes[SEV_CERT_LEN + 1] = { 0 };
		struct sev_cert cert;
		struct err err = { ERR_NONE, "" };
		struct fixture f;

		memcpy(bytes, good.ptr, good.len);
		bytes[bad[i].at] = bad[i].to;
		f = fixture_of(bytes, bad[i].len);
		assert_int_equal(
		    sev_cert_parse(&cert, fixture_span(&f), &err), -1);
		assert_int_equal(err.code, ERR_MALFORMED);
		fixture_says(bad[i].name, &err, bad[i].says);
		fixture_free(&f);
	}
	fixture_free(&good);
}

static void
reads_each_field(void **state)
{
	struct fixture f = fixture_load("certs/naples/pek.cert");
	struct sev_cert cert;

	(void)state;
	assert_int_equal(sev_cert_parse(&cert, fixture_span(&f), NULL), 0);
	assert_int_equal(cert.api_major, 0);
	assert_int_equal(cert.api_minor, 16);
	assert_int_equal(cert.usage, SEV_USAGE_PEK);
	assert_int_equal(cert.algo, SEV_ALGO_ECDSA_SHA256);
	assert_int_equal(cert.curve, SEV_CURVE_P384);
	assert_ptr_equal(cert.qx.ptr, f.ptr + 20);
	assert_ptr_equal(cert.qy.ptr, f.ptr + 92);
	assert_int_equal(cert.signed_raw.len, SEV_CERT_SIGNED_LEN);
	assert_int_equal(cert.sig[0].usage, SEV_USAGE_OCA);
	assert_int_equal(cert.sig[1].usage, SEV_USAGE_CEK);
	assert_ptr_equal(cert.sig[1].bytes.ptr, f.ptr + 1572);
	fixture_free(&f);
}

/* Firmware leaves noise in reserved bytes; they are signed as they are. */
static void
takes_noise_in_reserved_bytes(void **state)
{
	static const size_t at[] = { 6, 7, 164, 600, 1043 };
	struct fixture f = fixture_load("certs/naples/oca.cert");
	struct sev_cert cert;

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++)
		f.ptr[at[i]] = 0xa5;
	assert_int_equal(sev_cert_parse(&cert, fixture_span(&f), NULL), 0);
	fixture_free(&f);
}

static void
compares_keys_not_certificates(void **state)
{
	struct fixture a = fixture_load("certs/naples/cek.cert");
	struct fixture b = fixture_of(a.ptr, a.len);
	struct sev_cert one, two;

	(void)state;
	b.ptr[5] ^= 1;    /* API: AMD's copy has another one */
	b.ptr[1043] ^= 1; /* reserved */
	b.ptr[1100] ^= 1; /* signature */
	assert_int_equal(sev_cert_parse(&one, fixture_span(&a), NULL), 0);
	assert_int_equal(sev_cert_parse(&two, fixture_span(&b), NULL), 0);
	assert_true(sev_cert_same_key(&one, &two));
	two.algo = SEV_ALGO_ECDSA_SHA384;
	assert_true(sev_cert_same_point(&one, &two));
	assert_false(sev_cert_same_key(&one, &two));
	for (size_t i = 16; i < 164; i++) {
		b.ptr[i] ^= 1;
		assert_int_equal(
		    sev_cert_parse(&two, fixture_span(&b), NULL), 0);
		assert_false(sev_cert_same_point(&one, &two));
		b.ptr[i] ^= 1;
	}
	fixture_free(&a);
	fixture_free(&b);
}

/* What `tail -c +13 F | head -c 152 | sha256sum` prints. */
static void
fingerprint_is_of_the_key(void **state)
{
	struct fixture f = fixture_load("certs/naples/cek.cert");
	uint8_t fp[SEV_SHA256_LEN];
	char hex[2 * SEV_SHA256_LEN + 1];
	struct sev_cert cert;

	(void)state;
	assert_int_equal(sev_cert_parse(&cert, fixture_span(&f), NULL), 0);
	assert_int_equal(sev_cert_fingerprint(fp, &cert, NULL), 0);
	assert_string_equal(
	    hex_encode(hex, sizeof(hex), span_of(fp, sizeof(fp))),
	    "433fa4f7f083bacbe0566d517e2af27bf2696465b9ffb4b48df64e7be37a50a6");
	fixture_free(&f);
}

static void
unknown_slot_usage_is_an_empty_slot(void **state)
{
	struct fixture f = fixture_load("certs/genoa-9654-qemu/cek.cert");
	struct sev_cert cert;

	(void)state;
	assert_int_equal(sev_cert_parse(&cert, fixture_span(&f), NULL), 0);
	assert_false(sev_cert_is_signed(&cert));
	f.ptr[1564] = 0x10; /* 0x0010, as AMD's server once wrote */
	f.ptr[1565] = 0x00;
	f.ptr[1568] = 0x01;
	assert_int_equal(sev_cert_parse(&cert, fixture_span(&f), NULL), 0);
	assert_false(sev_cert_is_signed(&cert));
	f.ptr[1564] = 0x13;
	assert_int_equal(sev_cert_parse(&cert, fixture_span(&f), NULL), 0);
	assert_true(sev_cert_is_signed(&cert));
	fixture_free(&f);
}

static void
names_codes(void **state)
{
	(void)state;
	assert_string_equal(sev_usage_name(SEV_USAGE_ARK), "ARK");
	assert_string_equal(sev_usage_name(SEV_USAGE_NONE), "empty");
	assert_string_equal(sev_usage_name(0x0010), "unknown");
	assert_string_equal(sev_algo_name(0x0102), "ECDSA SHA-384");
	assert_string_equal(sev_algo_name(0x0202), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_other_lengths_and_versions),
		cmocka_unit_test(reads_each_field),
		cmocka_unit_test(takes_noise_in_reserved_bytes),
		cmocka_unit_test(compares_keys_not_certificates),
		cmocka_unit_test(fingerprint_is_of_the_key),
		cmocka_unit_test(unknown_slot_usage_is_an_empty_slot),
		cmocka_unit_test(names_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
