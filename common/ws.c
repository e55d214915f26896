#include "common/ws.h"

#include "common/utf8.h"

#include <string.h>

/* Leave the decoder dead with a close code. */
#define BAD(close_code, ...)                                                   \
	(ws->over = true, out->code = (close_code),                            \
	    err_set(err, ERR_MALFORMED, __VA_ARGS__), WS_BAD)

void
ws_init(struct ws *ws)
{
	memset(ws, 0, sizeof(*ws));
	buf_init(&ws->held, WS_MESSAGE_MAX, false);
	buf_init(&ws->control, WS_CONTROL_MAX, false);
}

void
ws_free(struct ws *ws)
{
	buf_free(&ws->held);
	buf_free(&ws->control);
}

void
ws_mask(uint8_t *ptr, size_t len, const uint8_t key[4], size_t at)
{
	uint8_t turned[8];
	uint64_t wide, word[4];
	size_t i = 0;

	for (size_t k = 0; k < sizeof(turned); k++)
		turned[k] = key[(at + k) % 4];
	memcpy(&wide, turned, sizeof(wide));
	/* Four words a round, which the compiler makes two vectors of. */
	for (; len - i >= sizeof(word); i += sizeof(word)) {
		memcpy(word, ptr + i, sizeof(word));
		for (size_t k = 0; k < 4; k++)
			word[k] ^= wide;
		memcpy(ptr + i, word, sizeof(word));
	}
	for (size_t k = 0; i < len; i++, k++)
		ptr[i] ^= turned[k % sizeof(turned)];
}

/*
 * Headers.
 */

static bool
is_control(uint8_t opcode)
{
	return (opcode & 0x8) != 0;
}

/* How long will the header be, as far as its first bytes tell? */
static size_t
header_len(const struct ws *ws)
{
	uint8_t len7;

	if (ws->head_len < 2)
		return 2;
	len7 = ws->head[1] & 0x7f;
	return 2u + (len7 == 126 ? 2 : len7 == 127 ? 8 : 0) + 4;
}

/* The first two bytes are here: all but the length can be judged. */
static enum ws_event
judge_start(struct ws *ws, struct ws_got *out, struct err *err)
{
	uint8_t first = ws->head[0], opcode = first & 0x0f;
	bool fin = (first & 0x80) != 0;

	if ((first & 0x70) != 0)
		return BAD(WS_CLOSE_PROTOCOL,
		    "RSV bits without an extension "
		    "(RFC 6455 5.2)");
	if ((ws->head[1] & 0x80) == 0)
		return BAD(WS_CLOSE_PROTOCOL,
		    "frame without a mask "
		    "(RFC 6455 5.1)");
	switch (opcode) {
	case WS_OP_CONTINUE:
		if (!ws->in_message)
			return BAD(WS_CLOSE_PROTOCOL,
			    "continuation of no "
			    "message (RFC 6455 5.4)");
		return WS_MORE;
	case WS_OP_TEXT:
		return BAD(WS_CLOSE_TEXT,
		    "text message (docs/protocol.md "
		    "12.1)");
	case WS_OP_BINARY:
		if (ws->in_message)
			return BAD(WS_CLOSE_PROTOCOL,
			    "message inside a message "
			    "(RFC 6455 5.4)");
		return WS_MORE;
	case WS_OP_CLOSE:
	case WS_OP_PING:
	case WS_OP_PONG:
		if (!fin)
			return BAD(WS_CLOSE_PROTOCOL,
			    "fragmented control frame "
			    "(RFC 6455 5.5)");
		if ((ws->head[1] & 0x7f) > WS_CONTROL_MAX)
			return BAD(WS_CLOSE_PROTOCOL,
			    "control frame over %d "
			    "bytes (RFC 6455 5.5)",
			    WS_CONTROL_MAX);
		return WS_MORE;
	default:
		return BAD(
		    WS_CLOSE_PROTOCOL, "opcode 0x%x (RFC 6455 5.2)", opcode);
	}
}

/* The whole header is here. */
static enum ws_event
judge_header(struct ws *ws, struct ws_got *out, struct err *err)
{
	struct reader r = reader_of(span_of(ws->head, ws->head_len));
	uint8_t first = reader_u8(&r), len7 = reader_u8(&r) & 0x7f;
	uint64_t len = len7 == 126 ? reader_be16(&r)
	    : len7 == 127          ? reader_be64(&r)
				   : len7;
	size_t held = buf_len(&ws->held);

	if ((len7 == 126 && len < 126) || (len7 == 127 && len <= UINT16_MAX) ||
	    len > INT64_MAX)
		return BAD(WS_CLOSE_PROTOCOL,
		    "length %llu not in its shortest "
		    "form (RFC 6455 5.2)",
		    (unsigned long long)len);
	/* Judged before anything is kept, or fourteen bytes could make us
	 * wait for, and hold, what they announce. */
	if (!is_control(first & 0x0f) && len > WS_MESSAGE_MAX - held)
		return BAD(WS_CLOSE_TOO_BIG,
		    "message of %llu bytes, at most %d "
		    "(docs/protocol.md 12.2)",
		    (unsigned long long)len + held, WS_MESSAGE_MAX);
	reader_copy(&r, ws->mask, sizeof(ws->mask));
	ws->opcode = first & 0x0f;
	ws->fin = (first & 0x80) != 0;
	ws->frame_len = (uint32_t)len;
	ws->frame_got = 0;
	ws->in_payload = true;
	if (!is_control(ws->opcode))
		ws->in_message = true;
	return WS_MORE;
}

/* Take header bytes until the header is whole, bad, or the input ends. */
static enum ws_event
take_header(struct ws *ws, uint8_t **in, size_t *len, struct ws_got *out,
    struct err *err)
{
	while (*len > 0) {
		enum ws_event event = WS_MORE;

		ws->head[ws->head_len++] = **in;
		++*in;
		--*len;
		if (ws->head_len == 2)
			event = judge_start(ws, out, err);
		if (event == WS_MORE && ws->head_len > 2 &&
		    ws->head_len == header_len(ws)) {
			event = judge_header(ws, out, err);
			ws->head_len = 0;
			return event;
		}
		if (event != WS_MORE)
			return event;
	}
	return WS_MORE;
}

/*
 * Payloads.
 */

/* RFC 6455 7.4: which codes may a peer send?  The registry has since got 1012
 * to 1014, which no client of ours sends. */
static bool
is_close_code(uint16_t code)
{
	return (code >= 1000 && code <= 1003) ||
	    (code >= 1007 && code <= 1011) || (code >= 3000 && code <= 4999);
}

static enum ws_event
finish_control(
    struct ws *ws, struct span data, struct ws_got *out, struct err *err)
{
	struct reader r = reader_of(data);

	ws->in_payload = false;
	if (ws->opcode != WS_OP_CLOSE) {
		out->data = data;
		return ws->opcode == WS_OP_PING ? WS_PING : WS_PONG;
	}
	out->code = data.len == 0 ? WS_CLOSE_NONE : reader_be16(&r);
	if (!reader_ok(&r) || (data.len > 0 && !is_close_code(out->code)))
		return BAD(WS_CLOSE_PROTOCOL,
		    "close without a valid code "
		    "(RFC 6455 7.4)");
	if (!utf8_is_valid(r.rest))
		return BAD(1007, "close reason is not UTF-8 (RFC 6455 5.5.1)");
	out->data = r.rest;
	ws->over = true;
	return WS_CLOSE;
}

static enum ws_event
take_control(
    struct ws *ws, struct span part, struct ws_got *out, struct err *err)
{
	bool whole = part.len == ws->frame_len;

	if (!whole && buf_append(&ws->control, part, err) != 0) {
		ws->over = true;
		out->code = WS_CLOSE_INTERNAL;
		return WS_BAD;
	}
	ws->frame_got += (uint32_t)part.len;
	if (ws->frame_got < ws->frame_len)
		return WS_MORE;
	return finish_control(
	    ws, whole ? part : buf_span(&ws->control), out, err);
}

static enum ws_event
take_data(struct ws *ws, struct span part, struct ws_got *out, struct err *err)
{
	bool whole = ws->fin && part.len == ws->frame_len - ws->frame_got;

	ws->frame_got += (uint32_t)part.len;
	if (whole && buf_len(&ws->held) == 0) {
		/* All of it lies in the input: no copy. */
		ws->in_payload = ws->in_message = false;
		out->data = part;
		return WS_MESSAGE;
	}
	if (buf_append(&ws->held, part, err) != 0) {
		ws->over = true;
		out->code = WS_CLOSE_INTERNAL;
		return WS_BAD;
	}
	if (ws->frame_got < ws->frame_len)
		return WS_MORE;
	ws->in_payload = false;
	if (!ws->fin)
		return WS_MORE;
	ws->in_message = false;
	ws->give_back = true;
	out->data = buf_span(&ws->held);
	return WS_MESSAGE;
}

static enum ws_event
take_payload(struct ws *ws, uint8_t **in, size_t *len, struct ws_got *out,
    struct err *err)
{
	size_t want = ws->frame_len - ws->frame_got;
	size_t n = want < *len ? want : *len;
	struct span part = span_of(*in, n);

	if (n > 0)
		ws_mask(*in, n, ws->mask, ws->frame_got);
	*in += n;
	*len -= n;
	return is_control(ws->opcode) ? take_control(ws, part, out, err)
				      : take_data(ws, part, out, err);
}

enum ws_event
ws_next(struct ws *ws, uint8_t **in, size_t *len, struct ws_got *out,
    struct err *err)
{
	enum ws_event event = WS_MORE;

	*out = (struct ws_got){ .code = 0 };
	if (ws->give_back) {
		buf_free(&ws->held);
		ws->give_back = false;
	}
	if (ws->control.ptr != NULL && !ws->in_payload)
		buf_free(&ws->control);
	/* An empty payload is complete without a byte more. */
	while (event == WS_MORE && !ws->over &&
	    (*len > 0 || (ws->in_payload && ws->frame_got == ws->frame_len)))
		event = ws->in_payload ? take_payload(ws, in, len, out, err)
				       : take_header(ws, in, len, out, err);
	if (ws->over) {
		*in += *len;
		*len = 0;
	}
	return event;
}

/*
 * Frames of ours.
 */

void
ws_put_header(struct writer *w, enum ws_opcode op, size_t len)
{
	writer_u8(w, (uint8_t)(0x80 | op));
	if (len < 126) {
		writer_u8(w, (uint8_t)len);
	} else if (len <= UINT16_MAX) {
		writer_u8(w, 126);
		writer_be16(w, (uint16_t)len);
	} else {
		writer_u8(w, 127);
		writer_be64(w, len);
	}
}

void
ws_put_close(struct writer *w, uint16_t code, const char *why)
{
	struct span text = span_str(why);

	if (text.len > WS_CONTROL_MAX - 2)
		text.len = WS_CONTROL_MAX - 2;
	/* Our words are ASCII, so that a cut never splits a character. */
	ws_put_header(w, WS_OP_CLOSE, 2 + text.len);
	writer_be16(w, code);
	writer_put(w, text);
}

void
ws_put_pong(struct writer *w, struct span data)
{
	ws_put_header(w, WS_OP_PONG, data.len);
	writer_put(w, data);
}
