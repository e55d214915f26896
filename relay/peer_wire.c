#include "relay/peer_wire.h"

#define LENGTH_LEN 2

void
peer_wire_put(struct conn *c, struct span head, struct span body)
{
	uint8_t bytes[LENGTH_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));

	writer_be16(&w, (uint16_t)(head.len + body.len));
	conn_write(c, writer_span(&w));
	conn_write(c, head);
	conn_write(c, body);
}

int
peer_wire_next(struct span *rest, struct span *frame, struct err *err)
{
	struct reader r = reader_of(*rest);
	size_t len = reader_be16(&r);

	if (!reader_ok(&r))
		return 0;
	/* Judged before it is waited for. */
	if (len < FRAME_HEADER_LEN || len > FRAME_MAX)
		return err_set(err, ERR_MALFORMED,
		    "a frame of %zu bytes, want %d to %d", len,
		    FRAME_HEADER_LEN, FRAME_MAX);
	*frame = reader_take(&r, len);
	if (!reader_ok(&r))
		return 0;
	*rest = r.rest;
	return 1;
}

int64_t
peer_wire_take(struct tunnel *t, const struct conn *c, struct span bytes,
    uint64_t now_ms, struct err *err)
{
	struct span rest = bytes, frame;
	int got;

	while (!conn_closing(c)) {
		got = peer_wire_next(&rest, &frame, err);
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		tunnel_input(t, frame, now_ms);
	}
	return (int64_t)(bytes.len - rest.len);
}
