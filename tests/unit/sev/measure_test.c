#include "tests/unit/sev/fixture.h"

#include <string.h>

static const struct sev_build build = { 1, 55, 21 };
static uint8_t tik[SEV_TK_LEN] = { 7 };
static uint8_t digest[SEV_SHA256_LEN] = { 9 };

static void
wants_exactly_48_bytes(void **state)
{
	static const size_t bad[] = { 0, 1, 31, 32, 33, 47, 49, 64 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint8_t bytes[64] = { 0 };
		struct fixture f = fixture_of(bytes, bad[i]);
		struct sev_measure m;
		struct err err = { ERR_NONE, "" };

		assert_int_equal(
		    sev_measure_parse(&m, fixture_span(&f), &err), -1);
		assert_int_equal(err.code, ERR_MALFORMED);
		fixture_says("length", &err, "bytes, want 48");
		fixture_free(&f);
	}
}

static struct sev_measure
good(uint32_t policy)
{
	struct sev_measure m = { { 0 }, { 3 } };

	assert_int_equal(sev_measure_compute(
			     m.mac, tik, &build, policy, digest, m.nonce, NULL),
	    0);
	return m;
}

static void
refused(const char *what, int bit, const struct sev_measure *m,
    const struct sev_build *b, uint32_t policy)
{
	struct err err = { ERR_NONE, "" };

	if (sev_measure_verify(m, tik, b, policy, digest, &err) == 0)
		fail_msg("%s: bit %d flipped and accepted", what, bit);
	assert_int_equal(err.code, ERR_UNTRUSTED);
}

/* Every bit of MAC, nonce, digest, key, policy and versions is covered. */
static void
notices_every_bit(void **state)
{
	struct sev_measure m = good(3), bad;

	(void)state;
	assert_int_equal(
	    sev_measure_verify(&m, tik, &build, 3, digest, NULL), 0);
	for (int bit = 0; bit < 48 * 8; bit++) {
		bad = m;
		((uint8_t *)&bad)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		refused("measurement", bit, &bad, &build, 3);
	}
	for (int bit = 0; bit < 32 * 8; bit++) {
		digest[bit / 8] ^= (uint8_t)(1 << bit % 8);
		refused("digest", bit, &m, &build, 3);
		digest[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (int bit = 0; bit < 16 * 8; bit++) {
		tik[bit / 8] ^= (uint8_t)(1 << bit % 8);
		refused("TIK", bit, &m, &build, 3);
		tik[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (int bit = 0; bit < 32; bit++)
		refused("policy", bit, &m, &build, 3 ^ 1u << bit);
	for (int bit = 0; bit < 24; bit++) {
		struct sev_build b = build;

		((uint8_t *)&b)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		refused("build", bit, &m, &b, 3);
	}
}

static void
refuses_firmware_before_0_17(void **state)
{
	uint8_t mac[SEV_MEASURE_LEN], nonce[SEV_NONCE_LEN] = { 0 };

	(void)state;
	for (unsigned minor = 0; minor < 256; minor++) {
		struct sev_build b = { 0, (uint8_t)minor, 0 };
		struct err err = { ERR_NONE, "" };
		int rc =
		    sev_measure_compute(mac, tik, &b, 1, digest, nonce, &err);

		assert_int_equal(rc, minor < 17 ? -1 : 0);
		if (rc != 0) {
			assert_int_equal(err.code, ERR_UNSUPPORTED);
			fixture_says("old", &err, "want 0.17 or newer");
		}
		b.api_major = 1;
		assert_int_equal(
		    sev_measure_compute(mac, tik, &b, 1, digest, nonce, NULL),
		    0);
	}
}

static void
compares_builds_as_tuples(void **state)
{
	static const struct {
		struct sev_build a, b;
		int want;
	} cases[] = {
		{ { 0, 24, 13 }, { 0, 24, 13 }, 0 },
		{ { 0, 24, 13 }, { 0, 24, 14 }, -1 },
		{ { 0, 24, 255 }, { 0, 25, 0 }, -1 },
		{ { 0, 255, 255 }, { 1, 0, 0 }, -1 },
		{ { 1, 0, 0 }, { 0, 255, 255 }, 1 },
		{ { 1, 55, 0 }, { 1, 51, 24 }, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(
		    sev_build_compare(&cases[i].a, &cases[i].b), cases[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wants_exactly_48_bytes),
		cmocka_unit_test(notices_every_bit),
		cmocka_unit_test(refuses_firmware_before_0_17),
		cmocka_unit_test(compares_builds_as_tuples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
