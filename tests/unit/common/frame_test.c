#include "common/frame.h"

#include "tests/unit/common/exact.h"

#include <stdio.h>

#define BYTES(s) (const char *)(s), sizeof(s) - 1

#define Z16 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define Z32 Z16 Z16
#define Z64 Z32 Z32

/* Headers: type, flags, reserved, stream. */
#define H(type, stream) type "\0\0\0\0\0\0" stream
#define HE(type, stream) type "\1\0\0\0\0\0" stream

/* clang-format off */
static const struct {
	const char *name;
	const char *bytes;
	size_t len;
	enum err_code code;
	const char *says;
} bad[] = {
	{ "empty", BYTES(""), ERR_MALFORMED, "frame of 0 bytes" },
	{ "half a header", BYTES("\x20\0\0\0\0\0\0"), ERR_MALFORMED,
	    "frame of 7 bytes, want a header" },
	{ "type 0", BYTES(H("\0", "\0")), ERR_MALFORMED, "unknown type 0x00" },
	{ "type 7", BYTES(H("\7", "\0")), ERR_MALFORMED, "unknown type 0x07" },
	{ "type 0x18, reserved", BYTES(H("\x18", "\0")), ERR_MALFORMED,
	    "unknown type 0x18" },
	{ "type 0x7f", BYTES(H("\x7f", "\0")), ERR_MALFORMED,
	    "unknown type 0x7f" },
	{ "reserved bits", BYTES("\x20\0\0\1\0\0\0\0" "12345678"),
	    ERR_MALFORMED, "reserved bits 0x0001" },
	{ "top bit of stream", BYTES("\x12\0\0\0\x80\0\0\1" "x"),
	    ERR_MALFORMED, "DATA on stream 2147483649" },
	{ "DATA on stream 0", BYTES(H("\x12", "\0") "x"), ERR_MALFORMED,
	    "DATA on stream 0" },
	{ "PING on stream 1", BYTES(H("\x20", "\1") "12345678"),
	    ERR_MALFORMED, "PING on stream 1" },
	{ "CLAIM on stream 0", BYTES(H("\4", "\0")), ERR_MALFORMED,
	    "CLAIM on stream 0" },
	{ "DATA without a byte", BYTES(H("\x12", "\1")), ERR_MALFORMED,
	    "DATA of 0 bytes, want 1" },
	{ "PING of 7", BYTES(H("\x20", "\0") "1234567"), ERR_MALFORMED,
	    "PING of 7 bytes, want 8 to 8" },
	{ "PONG of 9", BYTES(H("\x21", "\0") "123456789"), ERR_MALFORMED,
	    "PONG of 9 bytes" },
	{ "half a tag", BYTES(H("\x14", "\1") "\0"), ERR_MALFORMED,
	    "WINDOW: a TLV runs over the end" },
	{ "tag without length", BYTES(H("\x14", "\1") "\0\x62\0"),
	    ERR_MALFORMED, "runs over the end" },
	{ "value too short", BYTES(H("\x14", "\1") "\0\x62\0\4\0\0\0"),
	    ERR_MALFORMED, "runs over the end" },
	{ "number of 3 bytes", BYTES(H("\x14", "\1") "\0\x62\0\3\0\0\1"),
	    ERR_MALFORMED, "CREDIT of 3 bytes, want 4" },
	{ "number of 5 bytes", BYTES(H("\x14", "\1") "\0\x62\0\5\0\0\0\0\1"),
	    ERR_MALFORMED, "CREDIT of 5 bytes, want 4" },
	{ "no credit", BYTES(H("\x14", "\1") "\0\x62\0\4\0\0\0\0"),
	    ERR_MALFORMED, "CREDIT 0, want 1" },
	{ "credit over 2^31", BYTES(H("\x14", "\1") "\0\x62\0\4\x80\0\0\0"),
	    ERR_MALFORMED, "CREDIT 2147483648" },
	{ "nothing in it", BYTES(H("\x14", "\1")), ERR_MALFORMED,
	    "WINDOW without CREDIT" },
	{ "tag twice", BYTES(H("\x14", "\1") "\0\x62\0\4\0\0\0\1"
	    "\0\x62\0\4\0\0\0\1"), ERR_MALFORMED, "0x0062 behind 0x0062" },
	{ "tags falling", BYTES(H("\x13", "\1") "\0\x61\0\0"
	    "\0\x60\0\4\0\0\0\1"), ERR_MALFORMED, "RESET without CODE" },
	{ "falling behind ignored", BYTES(H("\x13", "\1")
	    "\0\x60\0\4\0\0\0\1" "\x90\0\0\0" "\0\x61\0\0"), ERR_MALFORMED,
	    "0x0061 behind 0x9000" },
	{ "ignored tag twice", BYTES(H("\x13", "\1") "\0\x60\0\4\0\0\0\1"
	    "\x90\0\0\0" "\x90\0\0\0"), ERR_MALFORMED, "0x9000 behind" },
	{ "unknown tag", BYTES(H("\x13", "\1") "\0\x60\0\4\0\0\0\1"
	    "\x7f\xff\0\0"), ERR_MALFORMED, "tag 0x7fff, which is not" },
	{ "tag of another frame", BYTES(H("\x13", "\1") "\0\x40\0\1X"),
	    ERR_MALFORMED, "tag 0x0040, which is not" },
	{ "required one behind an ignored one", BYTES(H("\x15", "\1")
	    "\0\x63\0\1\1" "\x80\0\0\0"), ERR_MALFORMED,
	    "PENDING without EXTEND" },
	{ "reason 0", BYTES(H("\x15", "\1") "\0\x63\0\1\0" "\0\x64\0\4\0\0\0\1"),
	    ERR_MALFORMED, "REASON 0, want 1" },
	{ "text with LF", BYTES(H("\x23", "\0") "\0\x60\0\4\0\0\0\1"
	    "\0\x61\0\3a\nb"), ERR_MALFORMED, "TEXT is not UTF-8" },
	{ "text with NUL", BYTES(H("\x23", "\0") "\0\x60\0\4\0\0\0\1"
	    "\0\x61\0\3a\0b"), ERR_MALFORMED, "TEXT is not UTF-8" },
	{ "text with half a character", BYTES(H("\x23", "\0")
	    "\0\x60\0\4\0\0\0\1" "\0\x61\0\2a\xc3"), ERR_MALFORMED,
	    "TEXT is not UTF-8" },
	{ "overlong slash", BYTES(H("\x23", "\0") "\0\x60\0\4\0\0\0\1"
	    "\0\x61\0\2\xc0\xaf"), ERR_MALFORMED, "TEXT is not UTF-8" },
	{ "surrogate", BYTES(H("\x23", "\0") "\0\x60\0\4\0\0\0\1"
	    "\0\x61\0\3\xed\xa0\x80"), ERR_MALFORMED, "TEXT is not UTF-8" },
	{ "over U+10FFFF", BYTES(H("\x23", "\0") "\0\x60\0\4\0\0\0\1"
	    "\0\x61\0\4\xf4\x90\x80\x80"), ERR_MALFORMED,
	    "TEXT is not UTF-8" },
	{ "GOAWAY window backwards", BYTES(H("\x22", "\0")
	    "\0\x60\0\4\0\0\0\0" "\0\x70\0\4\0\0\0\0" "\0\x71\0\4\0\0\0\2"
	    "\0\x72\0\4\0\0\0\1"), ERR_MALFORMED, "RECONNECT-MIN 2 over" },
	{ "GOAWAY last stream", BYTES(H("\x22", "\0") "\0\x60\0\4\0\0\0\0"
	    "\0\x70\0\4\x80\0\0\0"), ERR_MALFORMED, "LAST-STREAM 2147483648" },
	{ "empty URL", BYTES(H("\x22", "\0") "\0\x60\0\4\0\0\0\0"
	    "\0\x70\0\4\0\0\0\0" "\0\x71\0\4\0\0\0\2" "\0\x72\0\4\0\0\0\3"
	    "\0\x73\0\0"), ERR_MALFORMED, "URL of 0 bytes" },
	{ "short nonce", BYTES(H("\1", "\0") "\0\1\0\x10" Z16), ERR_MALFORMED,
	    "NONCE of 16 bytes, want 32 to 32" },
	{ "no relay name", BYTES(H("\1", "\0") "\0\1\0\x20" Z32 "\0\2\0\0"),
	    ERR_MALFORMED, "RELAY-NAME of 0 bytes" },
	{ "long key", BYTES(H("\2", "\0") "\0\6\0\4\0\0\0\1" "\0\x10\0\x21" Z32
	    "x"), ERR_MALFORMED, "KEY of 33 bytes" },
	{ "no streams", BYTES(H("\2", "\0") "\0\6\0\4\0\0\0\0"), ERR_MALFORMED,
	    "MAX-STREAMS 0" },
	{ "hello without a key", BYTES(H("\2", "\0") "\0\6\0\4\0\0\0\1"
	    "\0\x11\0\x40" Z64), ERR_MALFORMED, "HELLO without KEY" },
	{ "NAMES cut", BYTES(H("\4", "\1") "\0\x14\0\4\0\0\0\0"
	    "\0\x30\0\x12" Z16 "\2a"), ERR_MALFORMED,
	    "NAMES has a broken entry" },
	{ "label of 65", BYTES(H("\4", "\1") "\0\x14\0\4\0\0\0\0"
	    "\0\x30\0\x52" Z16 "\x41" Z64 "x"), ERR_MALFORMED,
	    "NAMES has a broken entry" },
	{ "no names", BYTES(H("\4", "\1") "\0\x14\0\4\0\0\0\0" "\0\x30\0\0"),
	    ERR_MALFORMED, "NAMES of 0 bytes" },
	{ "mode 2", BYTES(H("\4", "\1") "\0\x14\0\4\0\0\0\0" "\0\x30\0\x11" Z16
	    "\0" "\0\x33\0\1\2"), ERR_MALFORMED, "MODE 2, want 0 to 1" },
	{ "rank without order", BYTES(H("\4", "\1") "\0\x14\0\4\0\0\0\0"
	    "\0\x30\0\x11" Z16 "\0" "\0\x33\0\1\0" "\0\x34\0\2\0\0"),
	    ERR_MALFORMED, "RANK without MODE ordered" },
	{ "result 3", BYTES(H("\5", "\1") "\0\x31\0\x11" Z16 "\3"),
	    ERR_MALFORMED, "RESULTS has a broken entry" },
	{ "half a UUID", BYTES(H("\6", "\0") "\0\x32\0\x18" Z16 "12345678"),
	    ERR_MALFORMED, "UUIDS has a broken entry" },
	/* One stream's values: the stream ends, not the tunnel. */
	{ "status 199", BYTES(HE("\x11", "\1") "\0\x42\0\0"
	    "\0\x43\0\4\0\0\0\0" "\0\x50\0\2\0\xc7"), ERR_LIMIT,
	    "STATUS 199, want 200 to 599" },
	{ "status 600", BYTES(HE("\x11", "\1") "\0\x42\0\0"
	    "\0\x43\0\4\0\0\0\0" "\0\x50\0\2\2\x58"), ERR_LIMIT,
	    "STATUS 600" },
	{ "CR in a header", BYTES(HE("\x11", "\1") "\0\x42\0\6\1a\0\2\r\n"
	    "\0\x43\0\4\0\0\0\0" "\0\x50\0\2\0\xc8"), ERR_LIMIT,
	    "HEADERS has a broken entry" },
	{ "upper case in a header", BYTES(HE("\x11", "\1") "\0\x42\0\4\1A\0\0"
	    "\0\x43\0\4\0\0\0\0" "\0\x50\0\2\0\xc8"), ERR_LIMIT,
	    "HEADERS has a broken entry" },
	{ "nameless header", BYTES(HE("\x11", "\1") "\0\x42\0\3\0\0\0"
	    "\0\x43\0\4\0\0\0\0" "\0\x50\0\2\0\xc8"), ERR_LIMIT,
	    "HEADERS has a broken entry" },
	{ "bad status and no end of it", BYTES(HE("\x11", "\1") "\0\x42\0\0"
	    "\0\x43\0\4\0\0\0\0" "\0\x50\0\2\0\xc7" "\0\x51\0\0"),
	    ERR_MALFORMED, "tag 0x0051" },
	{ "bad header and no status", BYTES(HE("\x11", "\1") "\0\x42\0\1x"
	    "\0\x43\0\4\0\0\0\0"), ERR_MALFORMED, "RESPONSE without STATUS" },
	{ "empty BODY", BYTES(HE("\x11", "\1") "\0\x42\0\0"
	    "\0\x43\0\4\0\0\0\0" "\0\x45\0\0" "\0\x50\0\2\0\xc8"), ERR_LIMIT,
	    "BODY of 0 bytes" },
	{ "lower-case method", BYTES(HE("\x10", "\1") "\0\x40\0\3get"
	    "\0\x41\0\1/" "\0\x42\0\0" "\0\x43\0\4\0\0\0\0"
	    "\0\x44\0\4\0\0\0\1"), ERR_LIMIT, "METHOD has more than" },
	{ "path without a slash", BYTES(HE("\x10", "\1") "\0\x40\0\3GET"
	    "\0\x41\0\1a" "\0\x42\0\0" "\0\x43\0\4\0\0\0\0"
	    "\0\x44\0\4\0\0\0\1"), ERR_LIMIT, "PATH does not start" },
};
/* clang-format on */

static void
refuses_broken_frames(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		uint8_t *in = exact(span_of(bad[i].bytes, bad[i].len));
		struct err err = { 0 };
		struct frame f;

		if (frame_decode(&f, span_of(in, bad[i].len), &err) != -1)
			fail_msg("%s: accepted", bad[i].name);
		assert_says(bad[i].name, err.msg, bad[i].says);
		if (err.code != bad[i].code)
			fail_msg("%s: code %d", bad[i].name, err.code);
		free(in);
	}
}

static struct span
text(const char *s)
{
	return span_str(s);
}

static const uint8_t zeros[64];

/* One good frame of each kind, all optional parts set. */
static size_t
make_all(struct frame out[20], struct writer *lists)
{
	static const struct uuid uuid = { "0123456789abcdef" };
	struct writer w = *lists;
	struct span names, results, uuids, headers;
	size_t at;

#define LIST(name, ...)                                                        \
	at = w.len;                                                            \
	__VA_ARGS__;                                                           \
	name = span_of(w.ptr + at, w.len - at)
	LIST(names, frame_put_name(&w, &uuid, text("web"));
	     frame_put_name(&w, &uuid, text("")));
	LIST(results, frame_put_result(&w, &uuid, FRAME_CLAIM_STANDBY));
	LIST(uuids, frame_put_uuid(&w, &uuid));
	LIST(headers, frame_put_header(&w, text("content-type"), text("a/b"));
	     frame_put_header(&w, text("x"), text("")));
#undef LIST
	assert_true(writer_ok(&w));
	/* clang-format off */
	const struct frame all[] = {
		{ .type = FRAME_CHALLENGE, .challenge = { span_of(zeros, 32),
		    text("relay \xc3\xa4"), 1, 1600000000123, 16384, 32, 4096,
		    7, 8, 9, 1 } },
		{ .type = FRAME_HELLO, .hello = { 32, span_of(zeros, 32),
		    span_of(zeros, 64), text("attest-agent/0.1"),
		    span_of(zeros, 16), 1 } },
		{ .type = FRAME_WELCOME, .welcome = { 1, text("acme"), 20000,
		    1ull << 40 } },
		{ .type = FRAME_CLAIM, .stream = 3, .claim = { 1, names,
		    FRAME_MODE_ORDERED, true, 0 } },
		{ .type = FRAME_CLAIM, .stream = 4, .claim = { 0, names,
		    FRAME_MODE_EXCLUSIVE, false, 0 } },
		{ .type = FRAME_CLAIMED, .stream = 3, .claimed = { results } },
		{ .type = FRAME_UNCLAIM, .unclaim = { uuids } },
		{ .type = FRAME_REQUEST, .stream = 1, .end = true, .request = {
		    text("POST"), text("/vm/x/launch"), headers, 3, 30000,
		    text("abc") } },
		{ .type = FRAME_RESPONSE, .stream = 1, .response = { headers,
		    9, text("abc"), 599 } },
		{ .type = FRAME_RESPONSE, .stream = 0x7fffffff, .end = true,
		    .response = { span_of(NULL, 0), 0, span_of(NULL, 0),
		    200 } },
		{ .type = FRAME_DATA, .stream = 5, .end = true,
		    .data = text("d") },
		{ .type = FRAME_RESET, .stream = 5, .reset = { 7,
		    text("why") } },
		{ .type = FRAME_WINDOW, .stream = 0, .credit = 1 },
		{ .type = FRAME_WINDOW, .stream = 9, .credit = 0x7fffffff },
		{ .type = FRAME_PENDING, .stream = 9, .pending = { 2, 10 } },
		{ .type = FRAME_PING, .data = text("12345678") },
		{ .type = FRAME_PONG, .data = text("12345678") },
		{ .type = FRAME_GOAWAY, .goaway = { 1, 99, 0, 5000,
		    text("wss://b.example/sev") } },
		{ .type = FRAME_NOTICE, .notice = { 4, text("") } },
	};
	/* clang-format on */
	memcpy(out, all, sizeof(all));
	return COUNT(all);
}

static void
reads_what_it_writes(void **state)
{
	uint8_t lists[256], bytes[FRAME_MAX], again[FRAME_MAX];
	struct writer scratch = writer_of(lists, sizeof(lists));
	struct frame all[20], got;
	size_t count = make_all(all, &scratch);
	struct err err;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct writer w2 = writer_of(again, sizeof(again));

		if (frame_encode(&w, &all[i], &err) != 0)
			fail_msg("%zu: %s", i, err.msg);
		uint8_t *in = exact(writer_span(&w));

		if (frame_decode(&got, span_of(in, w.len), &err) != 0)
			fail_msg("%zu: %s", i, err.msg);
		assert_int_equal(got.type, all[i].type);
		assert_int_equal(got.stream, all[i].stream);
		assert_int_equal(got.end, all[i].end);
		assert_int_equal(frame_encode(&w2, &got, &err), 0);
		assert_true(span_equal(writer_span(&w), writer_span(&w2)));
		/* No cut of it is a frame, but of raw bytes. */
		for (size_t cut = 0; cut < w.len; cut++) {
			uint8_t *part = exact(span_of(in, cut));

			if (frame_decode(&got, span_of(part, cut), &err) == 0 &&
			    all[i].type != FRAME_DATA) {
				struct writer w3 =
				    writer_of(again, sizeof(again));

				/* Optional parts at the end may go. */
				assert_int_equal(
				    frame_encode(&w3, &got, &err), 0);
				assert_int_equal(w3.len, cut);
			}
			free(part);
		}
		free(in);
	}
}

/* docs/protocol.md 12.2, byte for byte. */
static void
writes_the_bytes_of_the_contract(void **state)
{
	uint8_t bytes[128];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct frame f = { .type = FRAME_RESPONSE,
		.stream = 7,
		.end = true,
		.response = {
		    .body_length = 2, .body = text("{}"), .status = 200 } };
	static const uint8_t want[] = { 0x11, 0x01, 0, 0, 0, 0, 0, 7, 0, 0x42,
		0, 0, 0, 0x43, 0, 4, 0, 0, 0, 2, 0, 0x45, 0, 2, '{', '}', 0,
		0x50, 0, 2, 0, 200 };

	(void)state;
	assert_int_equal(frame_encode(&w, &f, NULL), 0);
	assert_true(span_equal(writer_span(&w), span_of(want, sizeof(want))));
}

static void
reads_the_parts_of_a_claim(void **state)
{
	static const struct uuid uuid = { "0123456789abcdef" };
	uint8_t list[64], bytes[128];
	struct writer l = writer_of(list, sizeof(list));
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct frame f = { .type = FRAME_CLAIM, .stream = 1 };
	struct frame_claim_name name;
	struct span rest;

	(void)state;
	frame_put_name(&l, &uuid, text("web"));
	frame_put_name(&l, &uuid, text(""));
	f.claim.names = writer_span(&l);
	f.claim.mode = FRAME_MODE_ORDERED;
	f.claim.has_rank = true;
	f.claim.rank = 0;
	assert_int_equal(frame_encode(&w, &f, NULL), 0);
	assert_int_equal(frame_decode(&f, writer_span(&w), NULL), 0);
	assert_true(f.claim.has_rank && f.claim.rank == 0);
	rest = f.claim.names;
	assert_true(frame_next_name(&rest, &name));
	assert_true(
	    uuid_equal(&name.uuid, &uuid) && span_is(name.label, "web"));
	assert_true(frame_next_name(&rest, &name));
	assert_int_equal(name.label.len, 0);
	assert_false(frame_next_name(&rest, &name));
	assert_int_equal(rest.len, 0);
}

static void
finds_headers(void **state)
{
	uint8_t bytes[128];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct span value;

	(void)state;
	frame_put_header(&w, text("accept"), text("a/b"));
	frame_put_header(&w, text("x"), text("1"));
	frame_put_header(&w, text("x"), text("2"));
	assert_true(frame_find_header(writer_span(&w), "x", &value));
	assert_true(span_is(value, "1"));
	assert_false(frame_find_header(writer_span(&w), "y", &value));
	assert_null(value.ptr);
	w = writer_of(bytes, sizeof(bytes));
	frame_put_header(&w, text("X"), text("1"));
	assert_false(writer_ok(&w));
	w = writer_of(bytes, sizeof(bytes));
	frame_put_header(&w, text("x"), text("1\r\ny: 2"));
	assert_false(writer_ok(&w));
}

static void
ignores_what_a_newer_peer_may_send(void **state)
{
	static const char type[] = "\x80\xff\xff\xff\xff\xff\xff\xff"
				   "junk";
	static const char flags[] = "\x14\xfe\0\0\0\0\0\1"
				    "\0\x62\0\4\0\0\0\5"
				    "\x80\0\0\3abc"
				    "\xff\xff\0\0";
	struct frame f;

	(void)state;
	assert_int_equal(
	    frame_decode(&f, span_of(type, sizeof(type) - 1), NULL), 0);
	assert_int_equal(f.type, 0x80);
	assert_int_equal(
	    frame_decode(&f, span_of(flags, sizeof(flags) - 1), NULL), 0);
	assert_int_equal(f.credit, 5);
	assert_false(f.end);
}

static void
holds_lists_and_messages_to_their_limits(void **state)
{
	static uint8_t list[FRAME_MAX], bytes[2 * FRAME_MAX], body[FRAME_MAX];
	static const struct uuid uuid = { "0123456789abcdef" };
	struct err err;

	(void)state;
	for (size_t n = 63; n <= 65; n++) {
		struct writer l = writer_of(list, sizeof(list));
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct frame f = { .type = FRAME_UNCLAIM };

		for (size_t i = 0; i < n; i++)
			frame_put_uuid(&l, &uuid);
		f.unclaim.uuids = writer_span(&l);
		assert_int_equal(frame_encode(&w, &f, &err), n > 64 ? -1 : 0);
		if (n > 64)
			assert_says("uuids", err.msg, "more than 64");
	}
	for (size_t n = 32; n <= 33; n++) {
		struct writer l = writer_of(list, sizeof(list));
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct frame f = { .type = FRAME_RESPONSE,
			.stream = 1,
			.response.status = 200 };

		for (size_t i = 0; i < n; i++)
			frame_put_header(&l, text("a"), text("b"));
		f.response.headers = writer_span(&l);
		assert_int_equal(frame_encode(&w, &f, &err), n > 32 ? -1 : 0);
		if (n > 32)
			assert_says("headers", err.msg, "more than 32");
	}
	for (size_t n = FRAME_DATA_MAX; n <= FRAME_DATA_MAX + 1; n++) {
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct frame f = { .type = FRAME_DATA,
			.stream = 1,
			.data = span_of(body, n) };

		memset(bytes, 0, sizeof(bytes));
		assert_int_equal(
		    frame_encode(&w, &f, &err), n > FRAME_DATA_MAX ? -1 : 0);
		bytes[0] = FRAME_DATA;
		bytes[7] = 1;
		uint8_t *in = exact(span_of(bytes, 8 + n));

		assert_int_equal(frame_decode(&f, span_of(in, 8 + n), &err),
		    n > FRAME_DATA_MAX ? -1 : 0);
		if (n > FRAME_DATA_MAX)
			assert_says("long", err.msg, "at most 16384");
		free(in);
	}
}

static void
refuses_to_write_what_it_would_not_read(void **state)
{
	const struct {
		const char *name;
		struct frame f;
		size_t cap;
		enum err_code code;
	} cases[] = {
		{ "status",
		    { .type = FRAME_RESPONSE,
			.stream = 1,
			.response.status = 100 },
		    256, ERR_INTERNAL },
		{ "stream", { .type = FRAME_RESPONSE, .response.status = 200 },
		    256, ERR_INTERNAL },
		{ "type", { .type = 0x18, .stream = 1 }, 256, ERR_INTERNAL },
		{ "ping", { .type = FRAME_PING, .data = text("1") }, 256,
		    ERR_INTERNAL },
		{ "credit", { .type = FRAME_WINDOW }, 256, ERR_INTERNAL },
		{ "rank",
		    { .type = FRAME_CLAIM,
			.stream = 1,
			.claim = { 0, span_of(zeros, 17), FRAME_MODE_EXCLUSIVE,
			    true, 1 } },
		    256, ERR_INTERNAL },
		{ "room",
		    { .type = FRAME_RESET,
			.stream = 1,
			.reset = { 1, text("0123456789") } },
		    20, ERR_LIMIT },
	};
	uint8_t bytes[256];
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct writer w = writer_of(bytes, cases[i].cap);

		if (frame_encode(&w, &cases[i].f, &err) != -1)
			fail_msg("%s: written", cases[i].name);
		assert_int_equal(err.code, cases[i].code);
		assert_false(writer_ok(&w));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_broken_frames),
		cmocka_unit_test(reads_what_it_writes),
		cmocka_unit_test(writes_the_bytes_of_the_contract),
		cmocka_unit_test(reads_the_parts_of_a_claim),
		cmocka_unit_test(finds_headers),
		cmocka_unit_test(ignores_what_a_newer_peer_may_send),
		cmocka_unit_test(holds_lists_and_messages_to_their_limits),
		cmocka_unit_test(refuses_to_write_what_it_would_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
