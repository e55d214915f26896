#include "tests/unit/sev/fixture.h"

#include <stdio.h>
#include <string.h>

static const uint8_t footer[16] = { 0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7,
	0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d };
static const uint8_t reset_guid[16] = { 0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a,
	0xcb, 0x4f, 0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e };
static const uint8_t hash_guid[16] = { 0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04,
	0x4b, 0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54 };

/* An image under construction. */
struct image {
	uint8_t bytes[512];
	size_t len;
};

static void
put(struct image *m, const void *bytes, size_t len)
{
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
}

static void
put_le16(struct image *m, size_t v)
{
	uint8_t le[2] = { (uint8_t)v, (uint8_t)(v >> 8) };

	put(m, le, sizeof(le));
}

static void
put_entry(struct image *m, const uint8_t guid[16], size_t data, size_t len)
{
	uint8_t bytes[64] = { 4, 0xb0, 0x80, 0 };

	put(m, bytes, data);
	put_le16(m, len);
	put(m, guid, 16);
}

static void
put_end(struct image *m, size_t table)
{
	uint8_t tail[32] = { 0x90 };

	put_le16(m, table);
	put(m, footer, 16);
	put(m, tail, sizeof(tail));
}

static void
refused(const char *name, const struct image *m, enum err_code code,
    const char *says)
{
	struct fixture f = fixture_of(m->bytes, m->len);
	struct sev_ovmf o;
	static const struct sev_ovmf none;
	struct err err = { ERR_NONE, "" };

	memset(&o, 0xff, sizeof(o));
	if (sev_ovmf_parse(&o, fixture_span(&f), &err) == 0)
		fail_msg("%s: accepted", name);
	assert_int_equal(err.code, code);
	fixture_says(name, &err, says);
	assert_memory_equal(&o, &none, sizeof(o));
	fixture_free(&f);
}

static void
refuses_tables_of_wrong_lengths(void **state)
{
	static const struct {
		const char *name;
		size_t data;  /* bytes of the one entry's data */
		size_t entry; /* its length field */
		size_t table; /* the table's length field */
		const char *says;
	} bad[] = {
		{ "table of 0", 4, 22, 0, "table of 0 bytes, want 18" },
		{ "table of 17", 4, 22, 17, "table of 17 bytes" },
		{ "table beyond the start", 4, 22, 41, "table of 41 bytes" },
		{ "table of 65535", 4, 22, 65535, "table of 65535 bytes" },
		{ "entry of 0", 4, 0, 40, "entry of 0 bytes, want 18 to 22" },
		{ "entry of 17", 4, 17, 40, "entry of 17 bytes" },
		{ "entry too long", 4, 23, 40, "entry of 23 bytes" },
		{ "entry of 65535", 4, 65535, 40, "entry of 65535 bytes" },
		{ "reset without data", 4, 18, 40, "0 bytes of data, want 4" },
		{ "reset of 3", 3, 21, 39, "3 bytes of data, want 4" },
		{ "reset of 8", 8, 26, 44, "8 bytes of data, want 4" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct image m = { .len = 0 };

		put_entry(&m, reset_guid, bad[i].data, bad[i].entry);
		put_end(&m, bad[i].table);
		refused(bad[i].name, &m, ERR_MALFORMED, bad[i].says);
	}
}

static void
refuses_an_entry_twice(void **state)
{
	struct image m = { .len = 0 };

	(void)state;
	put_entry(&m, reset_guid, 4, 22);
	put_entry(&m, reset_guid, 4, 22);
	put_end(&m, 62);
	refused("reset", &m, ERR_MALFORMED, "reset vector twice");
	m.len = 0;
	put_entry(&m, hash_guid, 8, 26);
	put_entry(&m, reset_guid, 4, 22);
	put_entry(&m, hash_guid, 8, 26);
	put_end(&m, 92);
	refused("hashes", &m, ERR_MALFORMED, "kernel hash area twice");
}

static void
finds_no_table_where_none_is(void **state)
{
	static const size_t lens[] = { 0, 1, 31, 32, 48, 49 };
	struct image m = { .len = 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		m.len = lens[i];
		refused("short", &m, ERR_NOT_FOUND, "no room for a GUID table");
	}
	m.len = 512;
	refused("zeros", &m, ERR_NOT_FOUND, "no OVMF footer GUID");
	m.len = 0;
	put_end(&m, 18);
	m.bytes[17] ^= 1;
	refused("one bit", &m, ERR_NOT_FOUND, "no OVMF footer GUID");
}

static void
stops_at_fewer_bytes_than_an_entry(void **state)
{
	struct image m = { .len = 0 };
	uint8_t rest[17] = { 0 };
	struct sev_ovmf o;

	(void)state;
	put(&m, rest, sizeof(rest));
	put_entry(&m, reset_guid, 4, 22);
	put_end(&m, 18 + 22 + 17);
	assert_int_equal(sev_ovmf_parse(&o, span_of(m.bytes, m.len), NULL), 0);
	assert_true(o.has_reset);
	assert_int_equal(o.reset, 0x80b004);
	assert_int_equal(o.entry_count, 1);
	/* A table of the footer alone is empty, not wrong. */
	m.len = 0;
	put_end(&m, 18);
	assert_int_equal(sev_ovmf_parse(&o, span_of(m.bytes, m.len), NULL), 0);
	assert_int_equal(o.entry_count, 0);
	assert_false(sev_ovmf_takes_hashes(&o));
	assert_false(sev_ovmf_takes_secret(&o));
}

static void
reads_real_images(void **state)
{
	static const struct {
		const char *path;
		uint32_t reset, secret, secret_size, hashes, hash_size;
		bool usable, snp;
	} good[] = {
		{ "ovmf_AmdSev_suffix.bin", 0x80b004, 0x810000, 0xc00, 0x810c00,
		    0x400, true, true },
		{ "ovmf_OvmfX64_suffix.bin", 0x80b004, 0, 0, 0, 0, false,
		    true },
		{ "synthetic-fw-a.bin", 0x80b004, 0x80c000, 0xc00, 0x80cc00,
		    0x400, true, false },
		{ "synthetic-fw-b.bin", 0x808004, 0x80c000, 0xc00, 0x80cc00,
		    0x400, true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		char path[64];
		struct fixture f;
		struct sev_ovmf o;

		snprintf(path, sizeof(path), "firmware/%s", good[i].path);
		f = fixture_load(path);
		assert_int_equal(sev_ovmf_parse(&o, fixture_span(&f), NULL), 0);
		assert_true(o.has_reset);
		assert_int_equal(o.reset, good[i].reset);
		assert_true(o.secret.named && o.hashes.named);
		assert_int_equal(o.secret.base, good[i].secret);
		assert_int_equal(o.secret.size, good[i].secret_size);
		assert_int_equal(o.hashes.base, good[i].hashes);
		assert_int_equal(o.hashes.size, good[i].hash_size);
		assert_int_equal(o.has_snp, good[i].snp);
		assert_int_equal(sev_ovmf_takes_hashes(&o), good[i].usable);
		assert_int_equal(sev_ovmf_takes_secret(&o), good[i].usable);
		fixture_free(&f);
	}
}

static void
wants_room_for_the_whole_hash_table(void **state)
{
	struct sev_ovmf o = { .hashes = { true, 0x80cc00, 176 } };

	(void)state;
	assert_true(sev_ovmf_takes_hashes(&o));
	o.hashes.size = 175;
	assert_false(sev_ovmf_takes_hashes(&o));
	o.hashes = (struct sev_ovmf_area){ true, 0, 1024 };
	assert_false(sev_ovmf_takes_hashes(&o));
}

/* Neither QEMU nor the secure processor looks; so it is seen before. */
static void
areas_that_a_host_cannot_fill(void **state)
{
	static const struct {
		struct sev_ovmf_area secret, hashes;
		bool kernel;
		const char *says; /* NULL: good */
	} cases[] = {
		{ { true, 0x80c000, 0xc00 }, { true, 0x80cc00, 0x400 }, true,
		    NULL },
		{ { true, 0x80d000, 0x1000 }, { true, 0x80cc00, 0x400 }, true,
		    NULL },
		{ { true, 0xfffff000, 0x1000 }, { false, 0, 0 }, false, NULL },
		{ { true, 0, 0 }, { true, 0, 0 }, true, NULL },
		{ { true, 0x80c000, 0x1000 }, { true, 0x80cc00, 0x400 }, false,
		    NULL },
		{ { true, 0x80c000, 0xc01 }, { true, 0x80cc00, 0x400 }, true,
		    "overlap" },
		{ { true, 0x80cff0, 0x400 }, { true, 0x80cc00, 0x400 }, true,
		    "overlap" },
		{ { true, 0x80cd00, 16 }, { true, 0x80cc00, 0x400 }, true,
		    "overlap" },
		{ { true, 0x80c008, 0xc00 }, { false, 0, 0 }, false,
		    "a multiple of 16" },
		{ { true, 0xfffff000, 0x1001 }, { false, 0, 0 }, false,
		    "over 4 GiB" },
		{ { true, 0x80c000, 0xc00 }, { true, 0xffffff00, 0x400 }, true,
		    "over 4 GiB" },
		{ { true, 0xfffffff0, 0xffffffff }, { false, 0, 0 }, false,
		    "over 4 GiB" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sev_ovmf o = { .secret = cases[i].secret,
			.hashes = cases[i].hashes };
		struct err err = { ERR_NONE, "" };
		int rc = sev_ovmf_check_areas(&o, cases[i].kernel, &err);

		if (rc != (cases[i].says == NULL ? 0 : -1) ||
		    (rc != 0 && strstr(err.msg, cases[i].says) == NULL))
			fail_msg("case %zu: %d %s", i, rc, err.msg);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_tables_of_wrong_lengths),
		cmocka_unit_test(refuses_an_entry_twice),
		cmocka_unit_test(finds_no_table_where_none_is),
		cmocka_unit_test(stops_at_fewer_bytes_than_an_entry),
		cmocka_unit_test(reads_real_images),
		cmocka_unit_test(wants_room_for_the_whole_hash_table),
		cmocka_unit_test(areas_that_a_host_cannot_fill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
