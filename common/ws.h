#ifndef COMMON_WS_H
#define COMMON_WS_H

#include "common/buf.h"
#include "common/err.h"
#include "common/http_head.h"
#include "common/span.h"

/*
 * RFC 6455, server side, binary messages only (docs/protocol.md 12.1); no I/O.
 * No extensions, ever.
 */

#define WS_MESSAGE_MAX 16384
#define WS_CONTROL_MAX 125
#define WS_ACCEPT_LEN 28
#define WS_HEADER_MAX 10 /* of a server's frame, which has no mask */

#define WS_CLOSE_NORMAL 1000
#define WS_CLOSE_GOING_AWAY 1001
#define WS_CLOSE_PROTOCOL 1002
#define WS_CLOSE_NONE 1005 /* the peer's close had no code */
#define WS_CLOSE_TOO_BIG 1009
#define WS_CLOSE_INTERNAL 1011
#define WS_CLOSE_TEXT 4400 /* docs/protocol.md 12.1 */

struct ws_handshake {
	unsigned status; /* 101; else the answer: 400, 405, 426 */
	char accept[WS_ACCEPT_LEN + 1];
	const char *subprotocol; /* one of ${speaks} */
};

/**
 * ws_handshake(out, head, speaks, err):
 * Judge an upgrade: GET, Upgrade: websocket, Connection: upgrade, no body,
 * exactly one Sec-WebSocket-Key of 16 bytes and Sec-WebSocket-Version 13, and
 * a subprotocol of the NULL-ended list ${speaks}: the first one of the peer's
 * list that we speak.  Extensions offered are not accepted; Origin is ignored,
 * as no browser speaks this.
 *   errors  out->status is 400, 405 or 426 (answer with
 *           Sec-WebSocket-Version: 13); ERR_UNSUPPORTED: no common subprotocol
 *   source  RFC 6455 4.2
 */
int ws_handshake(struct ws_handshake *out, const struct http_head *head,
    const char *const *speaks, struct err *err);

/** ws_put_switching(w, hs): the whole head of the 101. */
void ws_put_switching(struct writer *w, const struct ws_handshake *hs);

/* One connection's decoder.  About 140 bytes; ${held} and ${control} are
 * empty while idle. */
struct ws {
	struct buf held;  /* payload of a message that came in pieces */
	uint8_t head[14]; /* header of the frame that is coming */
	uint8_t head_len; /* bytes of it */
	uint8_t opcode;   /* of that frame; only if in_payload */
	bool fin;
	bool in_payload;
	bool in_message; /* fragments came, FIN not yet */
	bool give_back;  /* ${held} was handed out by the last event */
	bool over;       /* a close or a breach: nothing is read any more */
	uint8_t mask[4];
	uint32_t frame_len; /* payload of the frame */
	uint32_t frame_got;
	struct buf control; /* payload of a control frame in pieces */
};

enum ws_event {
	WS_MORE,    /* all input is used up; nothing to tell */
	WS_MESSAGE, /* ${data}: a whole binary message */
	WS_PING,    /* ${data}: to be sent back with WS_OP_PONG */
	WS_PONG,
	WS_CLOSE, /* ${code}, ${data} the reason; answer the close, then end */
	WS_BAD    /* send a close with ${code}, then end; ${err} says why */
};

enum ws_opcode {
	WS_OP_CONTINUE = 0x0,
	WS_OP_TEXT = 0x1,
	WS_OP_BINARY = 0x2,
	WS_OP_CLOSE = 0x8,
	WS_OP_PING = 0x9,
	WS_OP_PONG = 0xa
};

struct ws_got {
	struct span data; /* valid until the next call or change of the input */
	uint16_t code;    /* WS_CLOSE (1005: none was given), WS_BAD */
};

void ws_init(struct ws *ws);
void ws_free(struct ws *ws);

/**
 * ws_next(ws, in, len, out, err):
 * Take bytes from *${in}, *${len} of them, which moves both forward; call until
 * it says WS_MORE.  Payloads are unmasked in place, so the input must be
 * writable; a whole message in one frame is handed out without a copy.  How the
 * bytes are split over calls changes nothing but that.  A length is judged when
 * its header is complete, before anything is kept.
 *   source  RFC 6455 5
 */
enum ws_event ws_next(struct ws *ws, uint8_t **in, size_t *len,
    struct ws_got *out, struct err *err);

/** ws_put_header(w, op, len): header of a final, unmasked frame. */
void ws_put_header(struct writer *w, enum ws_opcode op, size_t len);

/** ws_put_close(w, code, why): a close frame; ${why} is cut to 123 bytes. */
void ws_put_close(struct writer *w, uint16_t code, const char *why);

/** ws_put_pong(w, data): the answer to WS_PING. */
void ws_put_pong(struct writer *w, struct span data);

/** ws_mask(ptr, len, key, at): XOR with ${key}, starting at its byte ${at}%4. */
void ws_mask(uint8_t *ptr, size_t len, const uint8_t key[4], size_t at);

#endif
