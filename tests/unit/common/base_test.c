#include "common/base64.h"
#include "common/hex.h"
#include "common/secret.h"
#include "common/utf8.h"
#include "common/uuid.h"

#include "tests/unit/common/exact.h"

#include <stdio.h>

/*
 * err
 */

static void
cuts_long_messages_and_keeps_their_code(void **state)
{
	char big[600];
	struct err err;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(err_set(&err, ERR_LIMIT, "%s", big), -1);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_int_equal(err_wrap(&err, "owner %s", "acme"), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_memory_equal(err.msg, "owner acme: xx", 14);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_int_equal(err_wrap(&err, "%s", big), -1);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_int_equal(err_set(NULL, ERR_IO, "x"), -1);
	assert_int_equal(err_wrap(NULL, "x"), -1);
}

/*
 * span
 */

static void
fails_for_good_after_a_short_read(void **state)
{
	uint8_t *in = exact(span_of("\1\2\3\4\5\6\7", 7));
	struct reader r = reader_of(span_of(in, 7));
	uint8_t copy[4] = "abc";

	(void)state;
	assert_int_equal(reader_be16(&r), 0x0102);
	assert_int_equal(reader_le32(&r), 0x06050403);
	assert_true(reader_ok(&r) && !reader_done(&r));
	assert_int_equal(reader_be16(&r), 0);
	assert_false(reader_ok(&r));
	assert_int_equal(reader_u8(&r), 0);
	reader_copy(&r, copy, 4);
	assert_memory_equal(copy, "\0\0\0\0", 4);
	assert_null(reader_take(&r, 0).ptr);
	assert_false(reader_done(&r));
	r = reader_of(span_of(in, 7));
	assert_null(reader_take(&r, SIZE_MAX).ptr);
	r = reader_of(span_of(NULL, 0));
	assert_int_equal(reader_take(&r, 0).len, 0);
	assert_true(reader_done(&r));
	free(in);
}

static void
reads_what_a_writer_wrote(void **state)
{
	uint8_t out[42];
	struct writer w = writer_of(out, sizeof(out));
	struct reader r;

	(void)state;
	writer_u8(&w, 0xfe);
	writer_le16(&w, 0x1234);
	writer_be16(&w, 0x1234);
	writer_le32(&w, 0x12345678);
	writer_be32(&w, 0x12345678);
	writer_le64(&w, 0x123456789abcdef0);
	writer_be64(&w, 0x123456789abcdef0);
	writer_zeros(&w, 3);
	writer_put(&w, span_str("abc"));
	assert_int_equal(w.len, 35);
	assert_memory_equal(out,
	    "\xfe\x34\x12\x12\x34\x78\x56\x34\x12\x12\x34"
	    "\x56\x78\xf0\xde\xbc\x9a\x78\x56\x34\x12\x12\x34\x56\x78\x9a\xbc"
	    "\xde\xf0\0\0\0abc",
	    35);
	r = reader_of(writer_span(&w));
	assert_int_equal(reader_u8(&r), 0xfe);
	assert_int_equal(reader_le16(&r), 0x1234);
	assert_int_equal(reader_be16(&r), 0x1234);
	assert_int_equal(reader_le32(&r), 0x12345678);
	assert_int_equal(reader_be32(&r), 0x12345678);
	assert_true(reader_le64(&r) == 0x123456789abcdef0);
	assert_true(reader_be64(&r) == 0x123456789abcdef0);
	assert_int_equal(reader_take(&r, 6).len, 6);
	assert_true(reader_done(&r));
	/* Eight bytes into seven: nothing more is written, for good. */
	writer_be64(&w, 0);
	assert_false(writer_ok(&w));
	writer_u8(&w, 1);
	assert_int_equal(writer_span(&w).len, 0);
	assert_null(writer_span(&w).ptr);
}

static void
compares_spans(void **state)
{
	(void)state;
	assert_true(span_is(span_str("abc"), "abc"));
	assert_false(span_is(span_str("abc"), "abd"));
	assert_false(span_is(span_str("abc"), "ab"));
	assert_true(span_equal(span_of(NULL, 0), span_str("")));
}

/*
 * secret
 */

static void
owns_wipes_and_compares_secrets(void **state)
{
	struct secret s = { 0 }, empty = { 0 };
	uint8_t random[64] = { 0 }, zeros[64] = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(secret_copy(&s, span_str("key"), &err), 0);
	assert_true(secret_equal(secret_span(&s), span_str("key")));
	assert_false(secret_equal(secret_span(&s), span_str("kez")));
	assert_false(secret_equal(secret_span(&s), span_str("ke")));
	secret_free(&s);
	assert_null(s.ptr);
	secret_free(&s);
	secret_free(NULL);
	assert_int_equal(secret_alloc(&empty, 0, &err), 0);
	assert_non_null(empty.ptr);
	secret_free(&empty);
	assert_int_equal(secret_random(random, 64, &err), 0);
	assert_memory_not_equal(random, zeros, 64);
	secret_wipe(random, 64);
	assert_memory_equal(random, zeros, 64);
	secret_wipe(NULL, 0);
}

/*
 * Text forms
 */

static void
reads_rfc_4648_vectors(void **state)
{
	static const struct {
		const char *plain;
		const char *base64;
		const char *hex;
	} vectors[] = {
		{ "", "", "" },
		{ "f", "Zg==", "66" },
		{ "fo", "Zm8=", "666f" },
		{ "foo", "Zm9v", "666f6f" },
		{ "foob", "Zm9vYg==", "666f6f62" },
		{ "fooba", "Zm9vYmE=", "666f6f6261" },
		{ "foobar", "Zm9vYmFy", "666f6f626172" },
	};
	uint8_t out[16];
	char text[32];
	size_t len;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct span plain = span_str(vectors[i].plain);

		assert_string_equal(base64_encode(text, sizeof(text), plain),
		    vectors[i].base64);
		assert_int_equal(base64_decode(out, plain.len, &len,
				     span_str(vectors[i].base64), &err),
		    0);
		assert_true(span_equal(span_of(out, len), plain));
		assert_string_equal(
		    hex_encode(text, sizeof(text), plain), vectors[i].hex);
		assert_int_equal(
		    hex_decode(out, plain.len, span_str(vectors[i].hex), &err),
		    0);
		assert_memory_equal(out, plain.ptr, plain.len);
	}
	assert_int_equal(
	    base64_decode(out, 16, &len, span_str("Zm9v\r\n \n"), &err), 0);
	assert_int_equal(len, 3);
	assert_int_equal(hex_decode(out, 2, span_str("aBFf"), &err), 0);
	assert_memory_equal(out, "\xab\xff", 2);
}

static void
refuses_what_is_no_base64(void **state)
{
	static const struct {
		const char *name;
		const char *text;
		size_t len;
		const char *says;
	} bad[] = {
		{ "one short", "Zm9", 3, "of 3 characters" },
		{ "no padding", "Zg", 2, "of 2 characters" },
		{ "padding alone", "====", 4, "no base64 at character" },
		{ "three of padding", "Z===", 4, "no base64 at character 1" },
		{ "padding inside", "Zg==Zg==", 8, "no base64 at character 2" },
		{ "bits behind", "Zh==", 4, "bits behind its last byte" },
		{ "bits behind two", "Zm9=", 4, "bits behind its last byte" },
		{ "line break inside", "Zm\n9v===", 8, "no base64" },
		{ "space in front", " Zm9v===", 8, "no base64 at character 0" },
		{ "url alphabet", "Zm-_", 4, "no base64 at character 2" },
		{ "NUL", "Zm9\0", 4, "no base64 at character 3" },
		{ "high byte", "Zm9\xff", 4, "no base64 at character 3" },
		{ "too long", "Zm9vYmFyZm9vYmFy", 16, "12 bytes, at most 6" },
	};
	uint8_t out[6];
	size_t len;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		uint8_t *in = exact(span_of(bad[i].text, bad[i].len));

		if (base64_decode(out, sizeof(out), &len,
			span_of(in, bad[i].len), &err) != -1)
			fail_msg("%s: accepted", bad[i].name);
		assert_says(bad[i].name, err.msg, bad[i].says);
		free(in);
	}
	assert_int_equal(hex_decode(out, 2, span_str("abc"), &err), -1);
	assert_says("hex", err.msg, "hex of 3 characters, want 4");
	assert_int_equal(hex_decode(out, 2, span_str("abcde"), &err), -1);
	assert_int_equal(hex_decode(out, 2, span_str("ab"), &err), -1);
	assert_int_equal(hex_decode(out, 2, span_str("abcg"), &err), -1);
	assert_says("hex", err.msg, "character 3");
	assert_int_equal(hex_decode(out, 2, span_str("0x12"), &err), -1);
}

static void
reads_only_one_form_of_uuid(void **state)
{
	static const char *const bad[] = { "",
		"57f669c2-c427-4132-bc7a-26f56b6a718",
		"57f669c2-c427-4132-bc7a-26f56b6a718c0",
		"{57f669c2-c427-4132-bc7a-26f56b6a718c}",
		"57f669c2c4274132bc7a26f56b6a718c",
		"57f669c2-c427-4132-bc7a_26f56b6a718c",
		"57f669c2-c427-4132-bc7-a26f56b6a718c",
		"57f669c2-c427-4132-bc7a-26f56b6a718g",
		"57f669c2-c427-4132-bc7a-26f56b6a71 c" };
	struct uuid u, v;
	char text[UUID_TEXT_LEN + 1];
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		uint8_t *in = exact(span_str(bad[i]));

		if (uuid_parse(&u, span_of(in, strlen(bad[i])), &err) != -1)
			fail_msg("%s: accepted", bad[i]);
		assert_int_equal(err.code, ERR_MALFORMED);
		free(in);
	}
	assert_int_equal(
	    uuid_parse(
		&u, span_str("57F669C2-c427-4132-BC7A-26f56b6a718c"), &err),
	    0);
	assert_string_equal(
	    uuid_format(text, &u), "57f669c2-c427-4132-bc7a-26f56b6a718c");
	v = u;
	assert_true(uuid_equal(&u, &v));
	v.bytes[15] ^= 1;
	assert_false(uuid_equal(&u, &v));
}

static void
makes_uuids_with_their_versions(void **state)
{
	uint8_t ones[32], key[UUID_KEY_LEN] = { 0 };
	char text[UUID_TEXT_LEN + 1], again[UUID_TEXT_LEN + 1];
	struct uuid u;
	struct err err;

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	uuid_v4(&u, ones);
	assert_string_equal(
	    uuid_format(text, &u), "ffffffff-ffff-4fff-bfff-ffffffffffff");
	/* SHA-256("attest-relay.vm" 00 || 32 zeros || "web"), by sha256sum. */
	assert_int_equal(
	    uuid_self_certifying(&u, key, span_str("web"), &err), 0);
	assert_string_equal(
	    uuid_format(text, &u), "b2d24b33-5fbc-8065-8545-c993acd915e2");
	assert_int_equal(
	    uuid_self_certifying(&u, key, span_str("wec"), &err), 0);
	assert_string_not_equal(uuid_format(again, &u), text);
	assert_int_equal(again[14], '8');
}

static void
knows_utf8(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ "", true },
		{ "a", true },
		{ "\x7f", true },
		{ "\xc2\x80", true },
		{ "\xdf\xbf", true },
		{ "\xe0\xa0\x80", true },
		{ "\xed\x9f\xbf", true },
		{ "\xee\x80\x80", true },
		{ "\xf0\x90\x80\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\x80", false },
		{ "\xc1\xbf", false },
		{ "\xc2", false },
		{ "\xc2"
		  "a",
		    false },
		{ "\xe0\x9f\xbf", false },
		{ "\xe1\x80", false },
		{ "\xed\xa0\x80", false },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\xf4\x90\x80\x80", false },
		{ "\xf5\x80\x80\x80", false },
		{ "\xf1\x80\x80", false },
		{ "\xff", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t *in = exact(span_str(cases[i].text));

		if (utf8_is_valid(span_of(in, strlen(cases[i].text))) !=
		    cases[i].good)
			fail_msg("case %zu", i);
		free(in);
	}
}

static void
writes_numbers(void **state)
{
	static const struct {
		uint64_t number;
		size_t cap;
		const char *text; /* NULL: does not fit */
	} cases[] = {
		{ 0, 1, "0" },
		{ 9, 1, "9" },
		{ 10, 2, "10" },
		{ 10, 1, NULL },
		{ 4096, 4, "4096" },
		{ UINT64_MAX, 20, "18446744073709551615" },
		{ UINT64_MAX, 19, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *room = malloc(cases[i].cap);
		struct writer w = writer_of(room, cases[i].cap);

		assert_non_null(room);
		writer_decimal(&w, cases[i].number);
		assert_int_equal(writer_ok(&w), cases[i].text != NULL);
		if (cases[i].text != NULL)
			assert_true(span_is(writer_span(&w), cases[i].text));
		free(room);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_long_messages_and_keeps_their_code),
		cmocka_unit_test(fails_for_good_after_a_short_read),
		cmocka_unit_test(reads_what_a_writer_wrote),
		cmocka_unit_test(compares_spans),
		cmocka_unit_test(writes_numbers),
		cmocka_unit_test(owns_wipes_and_compares_secrets),
		cmocka_unit_test(reads_rfc_4648_vectors),
		cmocka_unit_test(refuses_what_is_no_base64),
		cmocka_unit_test(reads_only_one_form_of_uuid),
		cmocka_unit_test(makes_uuids_with_their_versions),
		cmocka_unit_test(knows_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
