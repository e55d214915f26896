#include "common/ws.h"

#include "tests/unit/common/exact.h"

#include <stdio.h>

static const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };

/* A client's frame; ${len_form} 7, 16 or 64, or 0 for the shortest. */
static void
put_frame(struct writer *w, uint8_t first, struct span payload, int len_form)
{
	size_t at;

	if (len_form == 0)
		len_form = payload.len < 126 ? 7
		    : payload.len < 65536    ? 16
					     : 64;
	writer_u8(w, first);
	if (len_form == 7) {
		writer_u8(w, (uint8_t)(0x80 | payload.len));
	} else if (len_form == 16) {
		writer_u8(w, 0x80 | 126);
		writer_be16(w, (uint16_t)payload.len);
	} else {
		writer_u8(w, 0x80 | 127);
		writer_be64(w, payload.len);
	}
	writer_put(w, span_of(key, 4));
	at = w->len;
	writer_put(w, payload);
	if (writer_ok(w))
		ws_mask(w->ptr + at, payload.len, key, 0);
}

/* What a decoder said of some bytes, as text: one word an event. */
static void
run(char *out, size_t cap, struct span in, size_t piece, struct err *err)
{
	struct ws ws;
	enum ws_event event = WS_MORE;
	size_t at = 0;

	ws_init(&ws);
	out[0] = '\0';
	for (size_t done = 0; done < in.len;) {
		size_t len = in.len - done < piece ? in.len - done : piece;
		uint8_t *part = exact(span_of(in.ptr + done, len));
		uint8_t *p = part;
		struct ws_got got;

		done += len;
		do {
			unsigned sum = 0;

			event = ws_next(&ws, &p, &len, &got, err);
			for (size_t i = 0; i < got.data.len; i++)
				sum = sum * 31 + got.data.ptr[i];
			if (event != WS_MORE)
				at += (size_t)snprintf(out + at, cap - at,
				    "%s %zu %x %u;",
				    (const char *const[]){ "", "message",
					"ping", "pong", "close", "bad" }[event],
				    got.data.len, sum, got.code);
		} while (
		    event != WS_MORE && event != WS_BAD && event != WS_CLOSE);
		assert_int_equal(len, 0);
		free(part);
	}
	ws_free(&ws);
}

static const struct {
	const char *name;
	const char *bytes;
	size_t len;
	uint16_t code;
	const char *says;
} bad[] = {
	{ "RSV1", "\xc2\x80", 2, 1002, "RSV" },
	{ "RSV2", "\xa2\x80", 2, 1002, "RSV" },
	{ "RSV3", "\x92\x80", 2, 1002, "RSV" },
	{ "no mask", "\x82\x00", 2, 1002, "without a mask" },
	{ "text", "\x81\x81", 2, 4400, "text message" },
	{ "opcode 3", "\x83\x80", 2, 1002, "opcode 0x3" },
	{ "opcode 7", "\x87\x80", 2, 1002, "opcode 0x7" },
	{ "opcode b", "\x8b\x80", 2, 1002, "opcode 0xb" },
	{ "opcode f", "\x8f\x80", 2, 1002, "opcode 0xf" },
	{ "lone continuation", "\x80\x80", 2, 1002, "continuation of no" },
	{ "message inside a message", "\x02\x80\0\0\0\0\x82\x80", 8, 1002,
	    "inside a message" },
	{ "fragmented ping", "\x09\x80", 2, 1002, "fragmented control" },
	{ "long ping", "\x89\xfe", 2, 1002, "control frame over" },
	{ "length 125 in 16 bits", "\x82\xfe\x00\x7d\0\0\0\0", 8, 1002,
	    "shortest form" },
	{ "length 65535 in 64 bits", "\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", 14,
	    1002, "shortest form" },
	{ "length with the top bit", "\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14,
	    1002, "shortest form" },
	{ "16385 bytes", "\x82\xfe\x40\x01\0\0\0\0", 8, 1009,
	    "message of 16385 bytes" },
	{ "2^62 bytes", "\x82\xff\x40\0\0\0\0\0\0\0\0\0\0\0", 14, 1009,
	    "at most 16384" },
	{ "close of one byte", "\x88\x81\0\0\0\0\x03", 7, 1002,
	    "without a valid code" },
	{ "close 999", "\x88\x82\0\0\0\0\x03\xe7", 8, 1002, "valid code" },
	{ "close 1004", "\x88\x82\0\0\0\0\x03\xec", 8, 1002, "valid code" },
	{ "close 1005", "\x88\x82\0\0\0\0\x03\xed", 8, 1002, "valid code" },
	{ "close 1006", "\x88\x82\0\0\0\0\x03\xee", 8, 1002, "valid code" },
	{ "close 1012", "\x88\x82\0\0\0\0\x03\xf4", 8, 1002, "valid code" },
	{ "close 1015", "\x88\x82\0\0\0\0\x03\xf7", 8, 1002, "valid code" },
	{ "close 2999", "\x88\x82\0\0\0\0\x0b\xb7", 8, 1002, "valid code" },
	{ "close 5000", "\x88\x82\0\0\0\0\x13\x88", 8, 1002, "valid code" },
	{ "close reason", "\x88\x83\0\0\0\0\x03\xe8\xff", 9, 1007, "UTF-8" },
};

static void
refuses_what_rfc_6455_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		for (size_t piece = 1; piece <= bad[i].len; piece++) {
			struct err err = { 0 };
			char got[256], want[16];

			run(got, sizeof(got), span_of(bad[i].bytes, bad[i].len),
			    piece, &err);
			snprintf(want, sizeof(want), " %u;", bad[i].code);
			if (strncmp(got, "bad", 3) != 0)
				fail_msg("%s: %s", bad[i].name, got);
			assert_says(bad[i].name, got, want);
			assert_says(bad[i].name, err.msg, bad[i].says);
		}
	}
}

/* RFC 6455 7.4: the codes that a peer may send, and none; what comes behind
 * is not looked at. */
static void
a_close_is_the_end(void **state)
{
	static const uint16_t codes[] = { 1000, 1003, 1007, 1011, 3000, 4999,
		WS_CLOSE_NONE };
	static const uint8_t hello[] = "hello";

	(void)state;
	for (size_t i = 0; i < COUNT(codes); i++) {
		uint8_t bytes[64], code[2];
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct writer c = writer_of(code, sizeof(code));
		struct err err = { 0 };
		char got[256], want[64];

		if (codes[i] != WS_CLOSE_NONE)
			writer_be16(&c, codes[i]);
		put_frame(&w, 0x88, writer_span(&c), 7);
		put_frame(&w, 0x89, span_of(hello, 5), 7);
		put_frame(&w, 0x82, span_of(hello, 5), 7);
		snprintf(want, sizeof(want), "close 0 0 %u;", codes[i]);
		for (size_t piece = 1; piece <= w.len; piece++) {
			run(got, sizeof(got), writer_span(&w), piece, &err);
			assert_string_equal(got, want);
		}
	}
}

/* Messages whole and fragmented, control frames between the fragments. */
static struct span
session(void)
{
	static uint8_t bytes[3 * WS_MESSAGE_MAX];
	static uint8_t filler[WS_MESSAGE_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	for (size_t i = 0; i < sizeof(filler); i++)
		filler[i] = (uint8_t)(i * 7 + 1);
	put_frame(&w, 0x82, span_of(filler, 5), 0);
	put_frame(&w, 0x82, span_of(filler, 0), 0);
	put_frame(&w, 0x82, span_of(filler, 125), 0);
	put_frame(&w, 0x82, span_of(filler, 126), 0);
	put_frame(&w, 0x82, span_of(filler, WS_MESSAGE_MAX), 0);
	put_frame(&w, 0x02, span_of(filler, 1000), 0);
	put_frame(&w, 0x89, span_of(filler, 125), 0);
	put_frame(&w, 0x00, span_of(filler, 0), 0);
	put_frame(&w, 0x00, span_of(filler + 1000, 15383), 0);
	put_frame(&w, 0x8a, span_of(filler, 3), 0);
	put_frame(&w, 0x80, span_of(filler + 16383, 1), 0);
	put_frame(&w, 0x02, span_of(filler, 0), 0);
	put_frame(&w, 0x80, span_of(filler, 7), 0);
	put_frame(&w, 0x88,
	    span_of("\x03\xe8"
		    "bye",
		5),
	    0);
	assert_true(writer_ok(&w));
	return writer_span(&w);
}

static void
says_the_same_for_any_split(void **state)
{
	static const size_t pieces[] = { 1, 2, 3, 5, 7, 13, 14, 15, 64, 127,
		1000, 4096, 16384, 16391, 16392, 20000, 50000 };
	char whole[1024], got[1024];
	struct err err;

	(void)state;
	run(whole, sizeof(whole), session(), 1 << 20, &err);
	assert_true(strncmp(whole, "message 5 ", 10) == 0);
	assert_says("session", whole, "close 3 ");
	assert_says("session", whole, "ping 125 ");
	for (size_t i = 0; i < COUNT(pieces); i++) {
		run(got, sizeof(got), session(), pieces[i], &err);
		assert_string_equal(got, whole);
	}
}

static void
joins_fragments_up_to_the_limit_only(void **state)
{
	static uint8_t bytes[2 * WS_MESSAGE_MAX], filler[WS_MESSAGE_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct err err;
	char got[128];

	(void)state;
	put_frame(&w, 0x02, span_of(filler, WS_MESSAGE_MAX), 0);
	put_frame(&w, 0x80, span_of(filler, 1), 0);
	run(got, sizeof(got), writer_span(&w), 100, &err);
	assert_string_equal(got, "bad 0 0 1009;");
	assert_says("joined", err.msg, "message of 16385 bytes");
}

/* Fourteen bytes must not make us hold what they announce. */
static void
keeps_nothing_for_a_header_alone(void **state)
{
	uint8_t bytes[] = { 0x82, 0xfe, 0x40, 0x00, 1, 2, 3, 4 };
	uint8_t *p = bytes;
	size_t len = sizeof(bytes);
	struct ws_got got;
	struct err err;
	struct ws ws;

	(void)state;
	ws_init(&ws);
	assert_int_equal(ws_next(&ws, &p, &len, &got, &err), WS_MORE);
	assert_int_equal(ws.held.cap, 0);
	ws_free(&ws);
	assert_true(sizeof(struct ws) < 256);
}

static void
masks_from_any_offset(void **state)
{
	(void)state;
	for (size_t len = 0; len < 40; len++) {
		for (size_t at = 0; at < 8; at++) {
			uint8_t *bytes = exact(span_of(bad, len));

			ws_mask(bytes, len, key, at);
			for (size_t i = 0; i < len; i++)
				assert_int_equal(bytes[i],
				    ((const uint8_t *)bad)[i] ^
					key[(at + i) % 4]);
			free(bytes);
		}
	}
}

static void
writes_frames_in_their_shortest_form(void **state)
{
	static const struct {
		size_t len;
		const char *head;
		size_t head_len;
	} cases[] = {
		{ 0, "\x82\x00", 2 },
		{ 125, "\x82\x7d", 2 },
		{ 126, "\x82\x7e\x00\x7e", 4 },
		{ 65535, "\x82\x7e\xff\xff", 4 },
		{ 65536, "\x82\x7f\0\0\0\0\0\1\0\0", 10 },
	};
	uint8_t out[200];
	char why[300];
	struct writer w;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		w = writer_of(out, sizeof(out));
		ws_put_header(&w, WS_OP_BINARY, cases[i].len);
		assert_true(span_equal(writer_span(&w),
		    span_of(cases[i].head, cases[i].head_len)));
	}
	memset(why, 'x', sizeof(why));
	why[sizeof(why) - 1] = '\0';
	w = writer_of(out, sizeof(out));
	ws_put_close(&w, 4401, why);
	assert_int_equal(w.len, 2 + 125);
	assert_memory_equal(out, "\x88\x7d\x11\x31xx", 6);
	w = writer_of(out, sizeof(out));
	ws_put_pong(&w, span_str("hi"));
	assert_memory_equal(out, "\x8a\x02hi", 4);
}

/*
 * Handshake.
 */

static const char *const speaks[] = { "attest-relay.v2", "attest-relay.v1",
	NULL };

static int
shake(struct ws_handshake *hs, const char *start, const char *fields,
    struct err *err)
{
	struct http_head head;
	char text[1024];
	unsigned status;

	snprintf(text, sizeof(text), "%s\r\nHost: x\r\n%s\r\n", start, fields);
	assert_int_equal(
	    http_head_parse(&head, span_str(text), &status, err), 0);
	return ws_handshake(hs, &head, speaks, err);
}

#define GET "GET /agent/v1 HTTP/1.1"
#define UP "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define PROTO "Sec-WebSocket-Protocol: attest-relay.v1\r\n"

static const struct {
	const char *name;
	const char *start;
	const char *fields;
	unsigned status;
	const char *says;
} no_upgrades[] = {
	{ "POST", "POST / HTTP/1.1", UP KEY V13 PROTO "Content-Length: 0\r\n",
	    405, "method" },
	{ "body", GET, UP KEY V13 PROTO "Content-Length: 1\r\n", 400, "body" },
	{ "no Upgrade", GET, "Connection: Upgrade\r\n" KEY V13 PROTO, 426,
	    "no upgrade" },
	{ "other Upgrade", GET,
	    "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY V13 PROTO, 426,
	    "no upgrade" },
	{ "no Connection", GET, "Upgrade: websocket\r\n" KEY V13 PROTO, 426,
	    "no upgrade" },
	{ "no version", GET, UP KEY PROTO, 426, "Version" },
	{ "version 8", GET, UP KEY PROTO "Sec-WebSocket-Version: 8\r\n", 426,
	    "Version" },
	{ "two versions", GET, UP KEY V13 V13 PROTO, 426, "Version" },
	{ "no key", GET, UP V13 PROTO, 400, "Key" },
	{ "two keys", GET, UP KEY KEY V13 PROTO, 400, "Key" },
	{ "key of 15 bytes", GET,
	    UP V13 PROTO "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n", 400,
	    "Key" },
	{ "key not base64", GET,
	    UP V13 PROTO "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n", 400,
	    "Key" },
	{ "key of 17 bytes", GET,
	    UP V13 PROTO "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWE=\r\n", 400,
	    "Key" },
	{ "no subprotocol", GET, UP KEY V13, 400, "subprotocol" },
	{ "unknown subprotocol", GET,
	    UP KEY V13 "Sec-WebSocket-Protocol: chat, attest-relay.v9\r\n", 400,
	    "subprotocol" },
	{ "subprotocol in another case", GET,
	    UP KEY V13 "Sec-WebSocket-Protocol: Attest-Relay.v1\r\n", 400,
	    "subprotocol" },
};

static void
refuses_broken_upgrades(void **state)
{
	struct ws_handshake hs;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(no_upgrades); i++) {
		if (shake(&hs, no_upgrades[i].start, no_upgrades[i].fields,
			&err) != -1)
			fail_msg("%s: accepted", no_upgrades[i].name);
		assert_says(no_upgrades[i].name, err.msg, no_upgrades[i].says);
		if (hs.status != no_upgrades[i].status)
			fail_msg("%s: %u", no_upgrades[i].name, hs.status);
	}
}

static void
answers_the_example_of_the_rfc(void **state)
{
	struct ws_handshake hs;
	uint8_t out[512];
	struct writer w = writer_of(out, sizeof(out));
	struct err err;

	(void)state;
	assert_int_equal(shake(&hs, GET,
			     "UPGRADE: h2c, WebSocket\r\n"
			     "Connection: keep-alive, Upgrade\r\n" KEY V13
			     "Sec-WebSocket-Extensions: permessage-deflate\r\n"
			     "Origin: http://evil.example\r\n"
			     "Sec-WebSocket-Protocol: x,attest-relay.v1\r\n"
			     "Sec-WebSocket-Protocol: attest-relay.v2\r\n",
			     &err),
	    0);
	assert_string_equal(hs.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	/* The peer's order decides. */
	assert_string_equal(hs.subprotocol, "attest-relay.v1");
	ws_put_switching(&w, &hs);
	assert_true(span_is(writer_span(&w),
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	    "Sec-WebSocket-Protocol: attest-relay.v1\r\n\r\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_rfc_6455_refuses),
		cmocka_unit_test(a_close_is_the_end),
		cmocka_unit_test(says_the_same_for_any_split),
		cmocka_unit_test(joins_fragments_up_to_the_limit_only),
		cmocka_unit_test(keeps_nothing_for_a_header_alone),
		cmocka_unit_test(masks_from_any_offset),
		cmocka_unit_test(writes_frames_in_their_shortest_form),
		cmocka_unit_test(refuses_broken_upgrades),
		cmocka_unit_test(answers_the_example_of_the_rfc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
