#include "relay/directory_read.h"
#include "relay/directory_redis.h"
#include "relay/number.h"
#include "relay/peer_wire.h"

#include "tests/unit/relay/check.h"

#include <stdlib.h>

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define UUID "57f669c2c4274132bc7a26f56b6a718c"

/* A copy of the exact size, so that one byte too far is seen. */
static struct span
exact(const char *text, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	return span_of(copy, len);
}

static void
drop(struct span s)
{
	union {
		const uint8_t *in;
		void *out;
	} p = { s.ptr };

	free(p.out);
}

static void
redis_urls(void **state)
{
	static const struct {
		const char *url;
		const char *host; /* NULL: refused */
		uint16_t port;
		unsigned db;
		const char *says;
	} cases[] = {
		{ "redis://h", "h", 6379, 0, NULL },
		{ "redis://h:1", "h", 1, 0, NULL },
		{ "redis://10.0.0.5:65535/15", "10.0.0.5", 65535, 15, NULL },
		{ "redis://h/", NULL, 0, 0, "want redis://" },
		{ "redis://h/1/2", NULL, 0, 0, "want redis://" },
		{ "redis://h:0", NULL, 0, 0, "want redis://" },
		{ "redis://h:65536", NULL, 0, 0, "want redis://" },
		{ "redis://h:", NULL, 0, 0, "want redis://" },
		{ "redis://h:+1", NULL, 0, 0, "want redis://" },
		{ "redis://:p@h", NULL, 0, 0, "password-file" },
		{ "redis://", NULL, 0, 0, "want redis://" },
		{ "http://h", NULL, 0, 0, "want redis://" },
		{ "rediss://h", NULL, 0, 0, "no TLS" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct redis_url url;
		struct err err;
		int rc = redis_url_parse(&url, cases[i].url, &err);

		if (cases[i].host == NULL) {
			assert_int_equal(rc, -1);
			expect_words(cases[i].url, err.msg, cases[i].says);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_string_equal(url.host, cases[i].host);
		assert_int_equal(url.port, cases[i].port);
		assert_int_equal(url.db, cases[i].db);
	}
}

static void
numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool good;
		uint64_t is;
	} cases[] = {
		{ "0", 0, true, 0 },
		{ "007", 7, true, 7 },
		{ "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, false, 0 },
		{ "99999999999999999999", UINT64_MAX, false, 0 },
		{ "000000000000000000001", UINT64_MAX, false, 0 },
		{ "8", 7, false, 0 },
		{ "10", 7, false, 0 },
		{ "", 7, false, 0 },
		{ "-1", 7, false, 0 },
		{ " 1", 7, false, 0 },
		{ "1 ", 7, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span in = exact(cases[i].text, strlen(cases[i].text));
		uint64_t n = 0;

		assert_int_equal(
		    number_parse(&n, in, cases[i].max), cases[i].good);
		if (cases[i].good)
			assert_true(n == cases[i].is);
		drop(in);
	}
}

/* One field of an otherwise good entry changed: the entry is left out, and the
 * one behind it is not. */
static void
entries_of_another_form_are_none(void **state)
{
	static const char *const good[DIRECTORY_FOUND_FIELDS] = { "node-1",
		"10.0.0.1:7443", "00000000000000000007", KEY, "1", "65535",
		"4294967295" };
	static const struct {
		size_t at;
		const char *to;
	} bad[] = {
		{ 0, "" },
		{ 0, "a b" },
		{ 0,
		    "0123456789012345678901234567890123456789"
		    "0123456789012345678901234" },
		{ 1, "" },
		{ 1, "\x7f" },
		{ 2, "" },
		{ 2, "x" },
		{ 2, "18446744073709551616" },
		{ 3, "" },
		{ 3, "00" },
		{ 3, KEY "00" },
		{ 4, "2" },
		{ 5, "65536" },
		{ 6, "4294967296" },
	};
	struct span texts[1 + 2 * DIRECTORY_FOUND_FIELDS] = { 0 };
	struct directory_found f = { 0 };

	(void)state;
	assert_false(directory_read_found(&f, texts, 0));
	for (size_t i = 0; i <= COUNT(bad); i++) {
		texts[0] = span_str(i % 2 == 0 ? KEY : "zz");
		for (size_t k = 0; k < DIRECTORY_FOUND_FIELDS; k++) {
			texts[1 + k] = span_str(good[k]);
			texts[1 + DIRECTORY_FOUND_FIELDS + k] =
			    span_str(good[k]);
		}
		if (i < COUNT(bad))
			texts[1 + bad[i].at] = span_str(bad[i].to);
		assert_true(directory_read_found(&f, texts, COUNT(texts)));
		assert_int_equal(f.count, i < COUNT(bad) ? 1 : 2);
		assert_int_equal(f.preferred_known, i % 2 == 0);
		assert_string_equal(f.entries[0].node, "node-1");
		assert_true(f.entries[0].session == 7);
		assert_int_equal(f.entries[0].rank, 65535);
	}
	/* Cut short: what is whole counts. */
	assert_true(directory_read_found(&f, texts, COUNT(texts) - 1));
	assert_int_equal(f.count, 1);
}

static void
words_on_the_channel(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ UUID " " KEY " 00000000000000000009", true },
		{ UUID " " KEY " 0000000000000000009", false },
		{ UUID " " KEY " 000000000000000000009", false },
		{ UUID "_" KEY " 00000000000000000009", false },
		{ UUID " " KEY "_00000000000000000009", false },
		{ UUID " " KEY " 0000000000000000000x", false },
		{ UUID " " KEY " 99999999999999999999", false },
		{ KEY " " UUID " 00000000000000000009", false },
		{ "x", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span in = exact(cases[i].text, strlen(cases[i].text));
		uint8_t key[UUID_KEY_LEN];
		uint64_t session = 0;
		struct uuid uuid;

		assert_int_equal(directory_read_lost(&uuid, key, &session, in),
		    cases[i].good);
		if (cases[i].good)
			assert_true(session == 9);
		drop(in);
	}
}

static void
frames_with_lengths(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int got;
		const char *says;
	} cases[] = {
		{ "", 0, 0, NULL },
		{ "\0", 1, 0, NULL },
		{ "\0\7", 2, -1, "a frame of 7 bytes" },
		{ "\0\0", 2, -1, "a frame of 0 bytes" },
		{ "\x40\1", 2, -1, "a frame of 16385 bytes" },
		{ "\xff\xff", 2, -1, "a frame of 65535 bytes" },
		{ "\x40\0", 2, 0, NULL },
		{ "\0\10"
		  "1234567",
		    9, 0, NULL },
		{ "\0\10"
		  "12345678",
		    10, 1, NULL },
		{ "\0\10"
		  "12345678"
		  "9",
		    11, 1, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span in = exact(cases[i].bytes, cases[i].len);
		struct span rest = in, frame;
		struct err err;

		assert_int_equal(
		    peer_wire_next(&rest, &frame, &err), cases[i].got);
		if (cases[i].got < 0)
			expect_words("length", err.msg, cases[i].says);
		if (cases[i].got > 0) {
			assert_int_equal(frame.len, 8);
			assert_int_equal(rest.len, in.len - 10);
		} else {
			assert_int_equal(rest.len, in.len);
		}
		drop(in);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(redis_urls),
		cmocka_unit_test(numbers),
		cmocka_unit_test(entries_of_another_form_are_none),
		cmocka_unit_test(words_on_the_channel),
		cmocka_unit_test(frames_with_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
