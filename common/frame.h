#ifndef COMMON_FRAME_H
#define COMMON_FRAME_H

#include "common/err.h"
#include "common/span.h"
#include "common/uuid.h"

/*
 * Frames of the tunnel and their TLVs <-> structs (docs/protocol.md 12.2); no
 * I/O, no allocation.  One WebSocket message is one frame.
 */

#define FRAME_MAX 16384 /* bytes, header included */
#define FRAME_HEADER_LEN 8
#define FRAME_DATA_MAX (FRAME_MAX - FRAME_HEADER_LEN)
#define FRAME_END 0x01
#define FRAME_STREAM_MAX 0x7fffffffu

#define FRAME_NONCE_LEN 32
#define FRAME_KEY_LEN 32
#define FRAME_SIGNATURE_LEN 64
#define FRAME_BOOT_ID_LEN 16
#define FRAME_PING_LEN 8
#define FRAME_LABEL_MAX 64
#define FRAME_NAMES_MAX 64 /* entries of NAMES, RESULTS, UUIDS */
#define FRAME_HEADERS_MAX 32
#define FRAME_PATH_MAX 512
#define FRAME_TEXT_MAX 256
#define FRAME_CAP_KBS 0x1u /* CAPABILITIES */

enum frame_type {
	FRAME_CHALLENGE = 0x01,
	FRAME_HELLO = 0x02,
	FRAME_WELCOME = 0x03,
	FRAME_CLAIM = 0x04,
	FRAME_CLAIMED = 0x05,
	FRAME_UNCLAIM = 0x06,
	FRAME_REQUEST = 0x10,
	FRAME_RESPONSE = 0x11,
	FRAME_DATA = 0x12,
	FRAME_RESET = 0x13,
	FRAME_WINDOW = 0x14,
	FRAME_PENDING = 0x15,
	FRAME_PING = 0x20,
	FRAME_PONG = 0x21,
	FRAME_GOAWAY = 0x22,
	FRAME_NOTICE = 0x23
};

enum frame_reset {
	FRAME_RESET_CANCELLED = 1,
	FRAME_RESET_REFUSED = 2, /* not processed: may be sent elsewhere */
	FRAME_RESET_NOT_MINE = 3,
	FRAME_RESET_TOO_LARGE = 4,
	FRAME_RESET_DEADLINE = 5,
	FRAME_RESET_INTERNAL = 6,
	FRAME_RESET_PROTOCOL = 7,
	/* Between relays (docs/protocol.md 16.3). */
	FRAME_RESET_LOST = 8, /* the agent's tunnel ended, and who knows */
	FRAME_RESET_BUSY = 9  /* nothing was processed; too much is queued */
};

enum frame_goaway_code {
	FRAME_GOAWAY_SHUTDOWN = 0,
	FRAME_GOAWAY_RESTART = 1,
	FRAME_GOAWAY_SUPERSEDED = 2,
	FRAME_GOAWAY_IDS_USED = 3
};

enum frame_notice_code {
	FRAME_NOTICE_DUPLICATE = 1,
	FRAME_NOTICE_CLOCK_SKEW = 2,
	FRAME_NOTICE_QUOTA = 3,
	FRAME_NOTICE_UPGRADE = 4
};

enum frame_result {
	FRAME_CLAIM_OK = 0,
	FRAME_CLAIM_DENIED = 1,
	FRAME_CLAIM_STANDBY = 2
};
enum frame_mode { FRAME_MODE_EXCLUSIVE = 0, FRAME_MODE_ORDERED = 1 };
enum frame_reason { FRAME_REASON_APPROVAL = 1, FRAME_REASON_CEK = 2 };

/*
 * The payloads.  Spans are borrowed: from the message when decoded, from the
 * caller when encoded.  An optional span that is absent has ptr NULL, an
 * optional number that is absent is 0.
 */
struct frame_challenge {
	struct span nonce; /* FRAME_NONCE_LEN */
	struct span relay_name;
	uint16_t minor;
	uint64_t time_ms; /* since 1970 */
	uint32_t max_message;
	uint32_t max_streams;
	uint32_t max_claims;
	uint32_t tenant_claims;  /* optional */
	uint32_t tenant_tunnels; /* optional */
	uint32_t request_rate;   /* optional; requests a second */
	uint8_t binding;         /* 1: the exporter is signed; 0: it is not */
};

struct frame_hello {
	uint32_t max_streams;
	struct span key;       /* FRAME_KEY_LEN */
	struct span signature; /* FRAME_SIGNATURE_LEN */
	struct span software;
	struct span boot_id; /* FRAME_BOOT_ID_LEN */
	uint32_t capabilities;
	uint16_t slot; /* optional: which of the agent's addresses of relays */
};

struct frame_welcome {
	uint16_t minor;
	struct span tenant;
	uint32_t ping_ms;
	uint64_t session_number;
};

struct frame_claim {
	uint32_t capabilities;
	struct span names; /* walk with frame_next_name() */
	uint8_t mode;      /* enum frame_mode */
	bool has_rank;     /* only with FRAME_MODE_ORDERED */
	uint16_t rank;
};

struct frame_claimed {
	struct span results; /* walk with frame_next_result() */
};

struct frame_unclaim {
	struct span uuids; /* walk with frame_next_uuid() */
};

struct frame_request {
	struct span method;
	struct span path;
	struct span headers; /* walk with frame_next_header() */
	uint32_t body_length;
	uint32_t deadline_ms;
	struct span body; /* optional: the first bytes of the body */
};

struct frame_response {
	struct span headers;
	uint32_t body_length;
	struct span body; /* optional */
	uint16_t status;  /* 200..599 */
};

struct frame_reset_body {
	uint32_t code;
	struct span text; /* optional */
};

struct frame_pending {
	uint8_t reason; /* enum frame_reason */
	uint32_t extend_ms;
};

struct frame_goaway {
	uint32_t code;
	uint32_t last_stream;
	uint32_t reconnect_min_ms;
	uint32_t reconnect_max_ms;
	struct span url; /* optional */
};

struct frame_notice {
	uint32_t code;
	struct span text;
};

struct frame {
	uint8_t type;
	bool end;        /* flag 0x01 */
	uint32_t stream; /* request number in CLAIM and CLAIMED */
	union {
		struct frame_challenge challenge;
		struct frame_hello hello;
		struct frame_welcome welcome;
		struct frame_claim claim;
		struct frame_claimed claimed;
		struct frame_unclaim unclaim;
		struct frame_request request;
		struct frame_response response;
		struct span data; /* DATA; PING and PONG: 8 bytes */
		struct frame_reset_body reset;
		uint32_t credit; /* WINDOW */
		struct frame_pending pending;
		struct frame_goaway goaway;
		struct frame_notice notice;
	};
};

/** frame_name(type): "REQUEST"; "unknown" for others. */
const char *frame_name(uint8_t type);

/**
 * frame_decode(out, message, err):
 * Decode one message.  An unknown type >= 0x80 is a success with nothing but
 * type and stream in ${out}: the caller ignores it.
 *   lifetime  ${out} holds spans into ${message}
 *   errors    ERR_MALFORMED: breaks the format (close 4401).  ERR_LIMIT: the
 *             format is good but a value of a REQUEST or RESPONSE is outside
 *             its range (12.6: that stream alone is ended); out->type,
 *             out->stream and the length of the body, for the windows, are
 *             then right, the rest is unusable
 *   source    docs/protocol.md 12.2
 */
int frame_decode(struct frame *out, struct span message, struct err *err);

/**
 * frame_encode(w, in, err):
 * Write one message, held to the same rules as the decoder.
 *   errors  ERR_INTERNAL: a value breaks the rules (our own fault);
 *           ERR_LIMIT: ${w} is too small.  ${w} has then failed
 */
int frame_encode(struct writer *w, const struct frame *in, struct err *err);

/* One entry of NAMES. */
struct frame_claim_name {
	struct uuid uuid;
	struct span label; /* empty unless self-certifying */
};

/*
 * Lists: frame_next_*() take the next entry off ${rest} and return false at
 * its end; frame_put_*() append one to the value that is being built.
 */
bool frame_next_name(struct span *rest, struct frame_claim_name *out);
bool frame_next_result(
    struct span *rest, struct uuid *uuid, enum frame_result *result);
bool frame_next_uuid(struct span *rest, struct uuid *out);
bool frame_next_header(
    struct span *rest, struct span *name, struct span *value);

void frame_put_name(
    struct writer *w, const struct uuid *uuid, struct span label);
void frame_put_result(
    struct writer *w, const struct uuid *uuid, enum frame_result result);
void frame_put_uuid(struct writer *w, const struct uuid *uuid);
void frame_put_header(struct writer *w, struct span name, struct span value);

/** frame_find_header(headers, name, value): first header ${name} (lower-case);
 * false and an empty ${value} if there is none. */
bool frame_find_header(
    struct span headers, const char *name, struct span *value);

/** frame_is_text(s): UTF-8 (RFC 3629) without NUL, CR and LF. */
bool frame_is_text(struct span s);

#endif
