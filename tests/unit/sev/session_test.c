#include "tests/unit/sev/fixture.h"

#include <openssl/err.h>
#include <string.h>

#include "common/hex.h"

/* The order of P-384 (SEC 2, 2.5.1). */
static const char order[] =
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf"
    "581a0db248b0a77aecec196accc52973";

static void
start(struct fixture *pdh, struct sev_cert *cert, struct sev_session_seed *seed)
{
	*pdh = fixture_load("certs/synthetic-a/pdh.cert");
	assert_int_equal(sev_cert_parse(cert, fixture_span(pdh), NULL), 0);
	memset(seed, 0x5a, sizeof(*seed));
}

static void
refuses_scalars_outside_the_group(void **state)
{
	static const struct {
		const char *name;
		int add; /* to the order; zero itself is "none" */
		bool zero;
		int rc;
	} cases[] = {
		{ "0", 0, true, -1 },
		{ "n", 0, false, -1 },
		{ "n + 1", 1, false, -1 },
		{ "n - 1", -1, false, 0 },
	};
	struct fixture pdh;
	struct sev_cert cert;
	struct sev_session_seed seed;
	struct sev_session out, zeros;

	(void)state;
	start(&pdh, &cert, &seed);
	memset(&zeros, 0, sizeof(zeros));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct err err = { ERR_NONE, "" };

		hex_decode(seed.godh, sizeof(seed.godh), span_str(order), NULL);
		seed.godh[47] = (uint8_t)(seed.godh[47] + cases[i].add);
		if (cases[i].zero)
			memset(seed.godh, 0, sizeof(seed.godh));
		memset(&out, 0xff, sizeof(out));
		assert_int_equal(
		    sev_session_make(&out, &cert, 1, &seed, &err), cases[i].rc);
		if (cases[i].rc == 0)
			continue;
		assert_int_equal(err.code, ERR_USAGE);
		fixture_says(cases[i].name, &err, "draw another");
		assert_memory_equal(&out, &zeros, sizeof(out));
	}
	memset(seed.godh, 0xff, sizeof(seed.godh));
	assert_int_equal(sev_session_make(&out, &cert, 1, &seed, NULL), -1);
	/* Nothing is left for the thread's next TLS call. */
	assert_int_equal(ERR_peek_error(), 0);
	fixture_free(&pdh);
}

static void
refuses_a_pdh_that_is_none(void **state)
{
	static const struct {
		const char *name;
		size_t at;
		uint8_t flip;
		const char *says;
	} bad[] = {
		{ "usage", 8, 1, "usage 0x1002" },
		{ "algorithm", 12, 1, "key algorithm 0x0002" },
		{ "curve", 16, 3, "curve 1, want 2" },
		{ "point", 20, 1, "no point of P-384" },
		{ "Qx too long", 20 + 48, 1, "over 384 bits" },
	};
	struct fixture pdh;
	struct sev_cert cert;
	struct sev_session_seed seed;
	struct sev_session out;

	(void)state;
	start(&pdh, &cert, &seed);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err err = { ERR_NONE, "" };

		pdh.ptr[bad[i].at] ^= bad[i].flip;
		sev_cert_parse(&cert, fixture_span(&pdh), NULL);
		assert_int_equal(
		    sev_session_make(&out, &cert, 1, &seed, &err), -1);
		assert_int_equal(err.code, ERR_MALFORMED);
		fixture_says(bad[i].name, &err, bad[i].says);
		pdh.ptr[bad[i].at] ^= bad[i].flip;
	}
	/* The point (0, 0) is not on the curve either. */
	memset(pdh.ptr + 20, 0, 144);
	sev_cert_parse(&cert, fixture_span(&pdh), NULL);
	assert_int_equal(sev_session_make(&out, &cert, 1, &seed, NULL), -1);
	fixture_free(&pdh);
}

/* Newer firmware may say SHA-384: the key is the same. */
static void
takes_a_pdh_of_either_algorithm(void **state)
{
	struct fixture pdh;
	struct sev_cert cert;
	struct sev_session_seed seed;
	struct sev_session one, other;

	(void)state;
	start(&pdh, &cert, &seed);
	assert_int_equal(sev_session_make(&one, &cert, 3, &seed, NULL), 0);
	cert.algo = SEV_ALGO_ECDH_SHA384;
	assert_int_equal(sev_session_make(&other, &cert, 3, &seed, NULL), 0);
	assert_memory_equal(&one, &other, sizeof(one));
	fixture_free(&pdh);
}

/* T4: each of the 32 policy bits is in the blob, by its MAC only. */
static void
macs_every_policy_bit(void **state)
{
	struct fixture pdh;
	struct sev_cert cert;
	struct sev_session_seed seed;
	struct sev_session base, out;

	(void)state;
	start(&pdh, &cert, &seed);
	assert_int_equal(sev_session_make(&base, &cert, 3, &seed, NULL), 0);
	for (int bit = 0; bit < 32; bit++) {
		assert_int_equal(
		    sev_session_make(&out, &cert, 3 ^ 1u << bit, &seed, NULL),
		    0);
		assert_memory_equal(base.blob, out.blob, 96);
		assert_memory_not_equal(base.blob + 96, out.blob + 96, 32);
	}
	fixture_free(&pdh);
}

static void
writes_an_unsigned_godh(void **state)
{
	struct fixture pdh;
	struct sev_cert cert, godh;
	struct sev_session_seed seed;
	struct sev_session out;

	(void)state;
	start(&pdh, &cert, &seed);
	assert_int_equal(sev_session_make(&out, &cert, 3, &seed, NULL), 0);
	assert_int_equal(
	    sev_cert_parse(
		&godh, span_of(out.godh_cert, sizeof(out.godh_cert)), NULL),
	    0);
	assert_int_equal(godh.usage, SEV_USAGE_PDH);
	assert_int_equal(godh.algo, SEV_ALGO_ECDH_SHA256);
	assert_int_equal(godh.api_major, 0);
	assert_int_equal(godh.curve, SEV_CURVE_P384);
	assert_false(sev_cert_is_signed(&godh));
	/* Nonce and IV travel in the clear, TEK and TIK do not. */
	assert_memory_equal(out.blob, seed.nonce, 16);
	assert_memory_equal(out.blob + 48, seed.wrap_iv, 16);
	assert_memory_not_equal(out.blob + 16, seed.tek, 16);
	fixture_free(&pdh);
}

static void
kdf_makes_any_length_and_refuses_long_texts(void **state)
{
	uint8_t key[16] = { 1 }, out[100], part[16], context[200] = { 0 };
	struct err err = { ERR_NONE, "" };

	(void)state;
	assert_int_equal(sev_session_kdf(out, sizeof(out), span_of(key, 16),
			     "label", span_of(NULL, 0), &err),
	    0);
	/* The length is under the MAC: a shorter output is another one. */
	assert_int_equal(sev_session_kdf(part, sizeof(part), span_of(key, 16),
			     "label", span_of(NULL, 0), &err),
	    0);
	assert_memory_not_equal(out, part, sizeof(part));
	assert_int_equal(sev_session_kdf(out, 16, span_of(key, 16), "label",
			     span_of(context, sizeof(context)), &err),
	    -1);
	fixture_says("context", &err, "label and context of 205 bytes");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_scalars_outside_the_group),
		cmocka_unit_test(refuses_a_pdh_that_is_none),
		cmocka_unit_test(takes_a_pdh_of_either_algorithm),
		cmocka_unit_test(macs_every_policy_bit),
		cmocka_unit_test(writes_an_unsigned_godh),
		cmocka_unit_test(kdf_makes_any_length_and_refuses_long_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
