#include "tests/unit/sev/fixture.h"

#include <string.h>

static const uint8_t data[SEV_SECRET_AREA_MAX] = { 0xaa };

static struct sev_secret_entry
entry(uint8_t guid, size_t len)
{
	struct sev_secret_entry e = { .data = span_of(data, len) };

	memset(e.guid.bytes, guid, sizeof(e.guid.bytes));
	return e;
}

static void
refuses_what_the_guest_cannot_read(void **state)
{
	static const struct {
		const char *name;
		size_t count, len;
		uint8_t guid; /* of the last entry */
		struct sev_secret_room room;
		enum err_code code;
		const char *says;
	} bad[] = {
		{ "none", 0, 1, 9, { 0, 0 }, ERR_USAGE, "0 secrets, want 1" },
		{ "65", 65, 1, 255, { 0, 0 }, ERR_USAGE, "65 secrets" },
		{ "deleted", 1, 1, 0, { 0, 0 }, ERR_USAGE, "GUID of zeros" },
		{ "twice", 2, 1, 1, { 0, 0 }, ERR_USAGE,
		    "two secrets with the GUID 01010101-0101" },
		{ "one byte over 3072", 1, 3072 - 40 + 1, 9, { 0, 0 },
		    ERR_LIMIT, "area of 3072 bytes" },
		{ "one byte over 256", 1, 256 - 40 + 1, 9, { 256, 0 },
		    ERR_LIMIT, "area of 256 bytes" },
		{ "an odd area counts down", 1, 256 - 40 + 1, 9, { 271, 0 },
		    ERR_LIMIT, "area of 256 bytes" },
		{ "second over", 2, 200, 9, { 256, 0 }, ERR_LIMIT,
		    "number 2 has 200" },
		{ "a huge one", 1, SIZE_MAX, 9, { 0, 0 }, ERR_LIMIT,
		    "do not fit" },
		{ "area", 1, 1, 9, { 16400, 0 }, ERR_USAGE, "at most 16384" },
		{ "step", 1, 1, 9, { 0, 24 }, ERR_USAGE, "multiple of 16" },
		{ "step that wraps", 1, 1, 9, { 0, SIZE_MAX - 15 }, ERR_USAGE,
		    "multiple of 16" },
		{ "step 8", 1, 1, 9, { 0, 8 }, ERR_USAGE, "multiple of 16" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct sev_secret_entry e[65];
		struct secret table = { NULL, 0 };
		struct err err = { ERR_NONE, "" };

		for (size_t k = 0; k < bad[i].count; k++)
			e[k] = entry((uint8_t)(k + 1), bad[i].len);
		if (bad[i].count > 0)
			memset(e[bad[i].count - 1].guid.bytes, bad[i].guid, 16);
		assert_int_equal(sev_launch_secret_table(&table, e,
				     bad[i].count, &bad[i].room, &err),
		    -1);
		assert_null(table.ptr);
		fixture_says(bad[i].name, &err, bad[i].says);
		assert_int_equal(err.code, bad[i].code);
	}
}

static void
fills_the_area_to_the_last_byte(void **state)
{
	static const struct {
		size_t len, area, step, want;
	} good[] = {
		{ 0, 0, 0, 48 }, /* an empty secret is the owner's word */
		{ 8, 0, 0, 48 },
		{ 9, 0, 0, 64 },
		{ 3072 - 40, 0, 0, 3072 },
		{ 3072 - 40, 3072, 256, 3072 },
		{ 16384 - 40, 16384, 0, 16384 },
		{ 216, 256, 0, 256 },
		{ 1, 0, 256, 256 },
		{ 216, 0, 256, 256 },
		{ 217, 0, 256, 512 },
		/* The area ends before the step does. */
		{ 217, 400, 256, 400 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct sev_secret_entry e = entry(1, good[i].len);
		struct sev_secret_room room = { good[i].area, good[i].step };
		struct secret table = { NULL, 0 };

		assert_int_equal(
		    sev_launch_secret_table(&table, &e, 1, &room, NULL), 0);
		assert_int_equal(table.len, good[i].want);
		/* Padding is zeros and not in the table's length. */
		assert_int_equal(
		    table.ptr[16] | table.ptr[17] << 8, (int)good[i].len + 40);
		for (size_t k = good[i].len + 40; k < table.len; k++)
			assert_int_equal(table.ptr[k], 0);
		secret_free(&table);
	}
}

/* T33: with steps of 256 bytes the length of a passphrase does not show. */
static void
t33_hides_the_length(void **state)
{
	(void)state;
	for (size_t len = 1; len <= 200; len++) {
		struct sev_secret_entry e = entry(1, len);
		struct sev_secret_room room = { 0, 256 };
		struct secret table = { NULL, 0 };

		assert_int_equal(
		    sev_launch_secret_table(&table, &e, 1, &room, NULL), 0);
		assert_int_equal(table.len, 256);
		secret_free(&table);
	}
}

static void
takes_64_secrets(void **state)
{
	struct sev_secret_entry e[64];
	struct secret table = { NULL, 0 };

	(void)state;
	for (size_t k = 0; k < 64; k++)
		e[k] = entry((uint8_t)(k + 1), 3);
	assert_int_equal(sev_launch_secret_table(&table, e, 64, NULL, NULL), 0);
	assert_int_equal(table.len, 20 + 64 * 23 + 12);
	secret_free(&table);
}

static void
seals_whole_blocks_only(void **state)
{
	static const size_t bad[] = { 0, 1, 15, 17, 16385, 16400 };
	static uint8_t payload[16400], table[16400];
	uint8_t header[SEV_SECRET_HEADER_LEN], key[16] = { 1 }, iv[16] = { 2 };
	uint8_t measure[SEV_MEASURE_LEN] = { 3 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err err = { ERR_NONE, "" };

		assert_int_equal(
		    sev_launch_secret_seal(header, payload,
			span_of(table, bad[i]), key, key, iv, measure, &err),
		    -1);
		assert_int_equal(err.code, ERR_LIMIT);
		fixture_says("length", &err, "multiple of 16 up to 16384");
	}
	assert_int_equal(
	    sev_launch_secret_seal(header, payload, span_of(table, 16384), key,
		key, iv, measure, NULL),
	    0);
}

/* Every bit of the measurement, IV and keys changes the header's MAC. */
static void
binds_the_packet_to_one_measurement(void **state)
{
	uint8_t in[4][32] = { { 1 }, { 2 }, { 3 }, { 4 } };
	uint8_t base[SEV_SECRET_HEADER_LEN], header[SEV_SECRET_HEADER_LEN];
	uint8_t table[48] = { 5 }, payload[48];
	static const size_t bits[4] = { 256, 128, 128, 128 };

	(void)state;
	assert_int_equal(
	    sev_launch_secret_seal(base, payload, span_of(table, 48), in[1],
		in[2], in[3], in[0], NULL),
	    0);
	for (size_t k = 0; k < 4; k++) {
		for (size_t bit = 0; bit < bits[k]; bit++) {
			in[k][bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(sev_launch_secret_seal(header, payload,
					     span_of(table, 48), in[1], in[2],
					     in[3], in[0], NULL),
			    0);
			assert_memory_not_equal(header + 20, base + 20, 32);
			in[k][bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_the_guest_cannot_read),
		cmocka_unit_test(fills_the_area_to_the_last_byte),
		cmocka_unit_test(t33_hides_the_length),
		cmocka_unit_test(takes_64_secrets),
		cmocka_unit_test(seals_whole_blocks_only),
		cmocka_unit_test(binds_the_packet_to_one_measurement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
