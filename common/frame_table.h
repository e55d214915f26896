#ifndef COMMON_FRAME_TABLE_H
#define COMMON_FRAME_TABLE_H

#include "common/frame.h"

/*
 * docs/protocol.md 12.2 as tables, for frame.c alone: what each tag means, and
 * which tags each frame has.
 */

enum frame_tag_number {
	TAG_NONCE = 0x0001,
	TAG_RELAY_NAME = 0x0002,
	TAG_MINOR = 0x0003,
	TAG_TIME = 0x0004,
	TAG_MAX_MESSAGE = 0x0005,
	TAG_MAX_STREAMS = 0x0006,
	TAG_MAX_CLAIMS = 0x0007,
	TAG_TENANT_CLAIMS = 0x0008,
	TAG_TENANT_TUNNELS = 0x0009,
	TAG_REQUEST_RATE = 0x000a,
	TAG_BINDING = 0x000b,
	TAG_KEY = 0x0010,
	TAG_SIGNATURE = 0x0011,
	TAG_SOFTWARE = 0x0012,
	TAG_BOOT_ID = 0x0013,
	TAG_CAPABILITIES = 0x0014,
	TAG_TENANT = 0x0020,
	TAG_PING_INTERVAL = 0x0021,
	TAG_SESSION_NUMBER = 0x0022,
	TAG_NAMES = 0x0030,
	TAG_RESULTS = 0x0031,
	TAG_UUIDS = 0x0032,
	TAG_MODE = 0x0033,
	TAG_RANK = 0x0034,
	TAG_METHOD = 0x0040,
	TAG_PATH = 0x0041,
	TAG_HEADERS = 0x0042,
	TAG_BODY_LENGTH = 0x0043,
	TAG_DEADLINE = 0x0044,
	TAG_BODY = 0x0045,
	TAG_STATUS = 0x0050,
	TAG_CODE = 0x0060,
	TAG_TEXT = 0x0061,
	TAG_CREDIT = 0x0062,
	TAG_REASON = 0x0063,
	TAG_EXTEND = 0x0064,
	TAG_LAST_STREAM = 0x0070,
	TAG_RECONNECT_MIN = 0x0071,
	TAG_RECONNECT_MAX = 0x0072,
	TAG_URL = 0x0073,
	/* Optional ones that came later: who does not know them ignores them. */
	TAG_IGNORABLE = 0x8000,
	TAG_SLOT = 0x8001
};

enum frame_kind {
	FRAME_BYTES,
	FRAME_NUM8,
	FRAME_NUM16,
	FRAME_NUM32,
	FRAME_NUM64
};

/* What a tag means, the same in every frame. */
struct frame_tag {
	uint16_t number;
	const char *name;
	enum frame_kind kind;
	uint64_t min, max;                 /* of the number, or of the length */
	const char *(*wrong)(struct span); /* words, or NULL if it is fine */
};

/* One tag of a frame, and where its value goes. */
struct frame_field {
	uint16_t tag;
	bool optional;
	size_t at; /* in struct frame */
};

enum frame_stream_rule { FRAME_ON_ZERO, FRAME_ON_STREAM, FRAME_ON_ANY };

/* A frame without fields has raw bytes for its payload. */
struct frame_layout {
	const char *name;
	const struct frame_field *fields; /* tags in rising order */
	size_t count;
	enum frame_stream_rule stream;
	bool may_end;    /* flag END means something */
	bool one_stream; /* a bad value ends the stream, not the tunnel */
	size_t raw_min, raw_max;
};

/** frame_table_layout(type): NULL for unknown types. */
const struct frame_layout *frame_table_layout(uint8_t type);

/** frame_table_tag(number): NULL for unknown tags. */
const struct frame_tag *frame_table_tag(uint16_t number);

/** frame_table_width(kind): bytes of a number on the wire. */
size_t frame_table_width(enum frame_kind kind);

/** frame_table_number(frame, tag, v, err), frame_table_bytes(...): is the value
 * within the bounds of its tag?  errors ERR_MALFORMED */
int frame_table_number(const char *frame, const struct frame_tag *tag,
    uint64_t v, struct err *err);
int frame_table_bytes(const char *frame, const struct frame_tag *tag,
    struct span v, struct err *err);

#endif
