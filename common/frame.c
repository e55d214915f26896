#include "common/frame.h"

#include "common/frame_table.h"

#include <string.h>

const char *
frame_name(uint8_t type)
{
	const struct frame_layout *l = frame_table_layout(type);

	return l == NULL ? "unknown" : l->name;
}

/*
 * Decoding.
 */

/* Store ${v} where ${field} says, if it is good. */
static int
take_value(struct frame *out, const char *frame,
    const struct frame_field *field, const struct frame_tag *tag, struct span v,
    struct err *err)
{
	uint8_t *at = (uint8_t *)out + field->at;
	struct reader r = reader_of(v);
	uint64_t number;
	uint32_t n32;
	uint16_t n16;

	if (tag->kind == FRAME_BYTES) {
		memcpy(at, &v, sizeof(v));
		return frame_table_bytes(frame, tag, v, err);
	}
	switch (tag->kind) {
	case FRAME_NUM8:
		number = *at = reader_u8(&r);
		break;
	case FRAME_NUM16:
		number = n16 = reader_be16(&r);
		memcpy(at, &n16, sizeof(n16));
		break;
	case FRAME_NUM32:
		number = n32 = reader_be32(&r);
		memcpy(at, &n32, sizeof(n32));
		break;
	default:
		number = reader_be64(&r);
		memcpy(at, &number, sizeof(number));
		break;
	}
	return frame_table_number(frame, tag, number, err);
}

/* What the TLVs of one payload have shown so far. */
struct progress {
	const struct frame_layout *layout;
	size_t next;    /* field that is expected */
	uint32_t last;  /* tag number seen last, plus one */
	bool bad_value; /* of a frame that concerns one stream only */
	struct err why;
};

/* Fields between the one expected and that of ${number} must be optional. */
static int
skip_to(struct progress *p, uint32_t number, struct err *err)
{
	const struct frame_layout *l = p->layout;

	for (; p->next < l->count && l->fields[p->next].tag < number; p->next++)
		if (!l->fields[p->next].optional)
			return err_set(err, ERR_MALFORMED,
			    "%s without %s (12.2)", l->name,
			    frame_table_tag(l->fields[p->next].tag)->name);
	return 0;
}

static int
take_tlv(struct frame *out, struct progress *p, uint16_t number, struct span v,
    struct err *err)
{
	const struct frame_layout *l = p->layout;
	const struct frame_tag *tag;

	if (number < p->last)
		return err_set(err, ERR_MALFORMED,
		    "%s: tag 0x%04x behind 0x%04x, want rising ones (12.2)",
		    l->name, number, p->last - 1);
	p->last = (uint32_t)number + 1;
	if (skip_to(p, number, err) != 0)
		return -1;
	if (p->next == l->count || l->fields[p->next].tag != number) {
		if (number >= TAG_IGNORABLE)
			return 0;
		return err_set(err, ERR_MALFORMED,
		    "%s with tag 0x%04x, which is not its (12.2)", l->name,
		    number);
	}
	tag = frame_table_tag(number);
	if (tag->kind != FRAME_BYTES && v.len != frame_table_width(tag->kind))
		return err_set(err, ERR_MALFORMED,
		    "%s: %s of %zu bytes, want %zu (12.2)", l->name, tag->name,
		    v.len, frame_table_width(tag->kind));
	if (take_value(out, l->name, &l->fields[p->next++], tag, v,
		p->bad_value ? NULL : &p->why) == 0)
		return 0;
	if (l->one_stream) {
		p->bad_value = true;
		return 0;
	}
	*err = p->why;
	return -1;
}

/* Rules between the fields of one frame. */
static int
judge_whole(struct frame *out, bool had_rank, struct err *err)
{
	if (out->type == FRAME_CLAIM) {
		out->claim.has_rank = had_rank;
		if (had_rank && out->claim.mode != FRAME_MODE_ORDERED)
			return err_set(err, ERR_MALFORMED,
			    "CLAIM: RANK without MODE ordered (12.2)");
	}
	if (out->type == FRAME_GOAWAY &&
	    out->goaway.reconnect_min_ms > out->goaway.reconnect_max_ms)
		return err_set(err, ERR_MALFORMED,
		    "GOAWAY: RECONNECT-MIN %u over RECONNECT-MAX %u (12.2)",
		    out->goaway.reconnect_min_ms, out->goaway.reconnect_max_ms);
	return 0;
}

static int
take_payload(struct frame *out, const struct frame_layout *l, struct reader *r,
    struct err *err)
{
	struct progress p = { .layout = l };
	bool had_rank = false;

	if (l->fields == NULL) {
		if (r->rest.len < l->raw_min || r->rest.len > l->raw_max)
			return err_set(err, ERR_MALFORMED,
			    "%s of %zu bytes, want %zu to %zu (12.2)", l->name,
			    r->rest.len, l->raw_min, l->raw_max);
		out->data = reader_take(r, r->rest.len);
		return 0;
	}
	while (r->rest.len > 0) {
		uint16_t number = reader_be16(r);
		struct span v = reader_take(r, reader_be16(r));

		if (!reader_ok(r))
			return err_set(err, ERR_MALFORMED,
			    "%s: a TLV runs over the end (12.2)", l->name);
		if (take_tlv(out, &p, number, v, err) != 0)
			return -1;
		had_rank = had_rank || number == TAG_RANK;
	}
	if (skip_to(&p, UINT32_MAX, err) != 0)
		return -1;
	if (p.bad_value) {
		*err = p.why;
		err->code = ERR_LIMIT;
		return -1;
	}
	return judge_whole(out, had_rank, err);
}

int
frame_decode(struct frame *out, struct span message, struct err *err)
{
	struct reader r = reader_of(message);
	const struct frame_layout *l;
	struct err unused;
	uint16_t reserved;
	uint8_t flags;

	if (err == NULL)
		err = &unused;
	memset(out, 0, sizeof(*out));
	if (message.len > FRAME_MAX)
		return err_set(err, ERR_MALFORMED,
		    "frame of %zu bytes, at most %d (12.2)", message.len,
		    FRAME_MAX);
	out->type = reader_u8(&r);
	flags = reader_u8(&r);
	reserved = reader_be16(&r);
	out->stream = reader_be32(&r);
	if (!reader_ok(&r))
		return err_set(err, ERR_MALFORMED,
		    "frame of %zu bytes, want a header of %d (12.2)",
		    message.len, FRAME_HEADER_LEN);
	if (out->type >= 0x80)
		return 0;
	l = frame_table_layout(out->type);
	if (l == NULL)
		return err_set(err, ERR_MALFORMED,
		    "frame of unknown type 0x%02x (12.2)", out->type);
	if (reserved != 0)
		return err_set(err, ERR_MALFORMED,
		    "%s: reserved bits 0x%04x, want 0 (12.2)", l->name,
		    reserved);
	if (out->stream > FRAME_STREAM_MAX ||
	    (l->stream == FRAME_ON_ZERO && out->stream != 0) ||
	    (l->stream == FRAME_ON_STREAM && out->stream == 0))
		return err_set(err, ERR_MALFORMED, "%s on stream %u (12.2)",
		    l->name, out->stream);
	out->end = l->may_end && (flags & FRAME_END) != 0;
	return take_payload(out, l, &r, err);
}

/*
 * Encoding.
 */

static int
put_field(struct writer *w, const struct frame *in,
    const struct frame_layout *l, const struct frame_field *field,
    struct err *err)
{
	const uint8_t *at = (const uint8_t *)in + field->at;
	const struct frame_tag *tag = frame_table_tag(field->tag);
	uint64_t number = 0;
	struct span v = { NULL, 0 };
	uint32_t n32;
	uint16_t n16;

	switch (tag->kind) {
	case FRAME_BYTES:
		memcpy(&v, at, sizeof(v));
		break;
	case FRAME_NUM8:
		number = *at;
		break;
	case FRAME_NUM16:
		memcpy(&n16, at, sizeof(n16));
		number = n16;
		break;
	case FRAME_NUM32:
		memcpy(&n32, at, sizeof(n32));
		number = n32;
		break;
	case FRAME_NUM64:
		memcpy(&number, at, sizeof(number));
		break;
	}
	if (field->optional && field->tag != TAG_RANK && v.ptr == NULL &&
	    number == 0)
		return 0;
	if (field->tag == TAG_RANK && !in->claim.has_rank)
		return 0;
	/* An empty body is left out as well: the tag is for first bytes. */
	if (field->tag == TAG_BODY && v.len == 0)
		return 0;
	if ((tag->kind == FRAME_BYTES
		    ? frame_table_bytes(l->name, tag, v, err)
		    : frame_table_number(l->name, tag, number, err)) != 0)
		return -1;
	writer_be16(w, tag->number);
	writer_be16(w,
	    (uint16_t)(tag->kind == FRAME_BYTES
		    ? v.len
		    : frame_table_width(tag->kind)));
	switch (tag->kind) {
	case FRAME_BYTES:
		writer_put(w, v);
		break;
	case FRAME_NUM8:
		writer_u8(w, (uint8_t)number);
		break;
	case FRAME_NUM16:
		writer_be16(w, (uint16_t)number);
		break;
	case FRAME_NUM32:
		writer_be32(w, (uint32_t)number);
		break;
	case FRAME_NUM64:
		writer_be64(w, number);
		break;
	}
	return 0;
}

static int
put_payload(struct writer *w, const struct frame *in,
    const struct frame_layout *l, struct err *err)
{
	struct frame copy = *in;

	if (l->fields == NULL) {
		if (in->data.len < l->raw_min || in->data.len > l->raw_max)
			return err_set(err, ERR_INTERNAL, "%s of %zu bytes",
			    l->name, in->data.len);
		writer_put(w, in->data);
		return 0;
	}
	for (size_t i = 0; i < l->count; i++)
		if (put_field(w, in, l, &l->fields[i], err) != 0)
			return -1;
	return judge_whole(
	    &copy, in->type == FRAME_CLAIM && in->claim.has_rank, err);
}

int
frame_encode(struct writer *w, const struct frame *in, struct err *err)
{
	const struct frame_layout *l = frame_table_layout(in->type);
	size_t start = w->len;

	if (l == NULL || in->stream > FRAME_STREAM_MAX ||
	    (l->stream == FRAME_ON_ZERO && in->stream != 0) ||
	    (l->stream == FRAME_ON_STREAM && in->stream == 0)) {
		w->failed = true;
		return err_set(err, ERR_INTERNAL,
		    "no frame of type 0x%02x on stream %u", in->type,
		    in->stream);
	}
	writer_u8(w, in->type);
	writer_u8(w, in->end && l->may_end ? FRAME_END : 0);
	writer_be16(w, 0);
	writer_be32(w, in->stream);
	if (put_payload(w, in, l, err) != 0) {
		w->failed = true;
		if (err != NULL)
			err->code = ERR_INTERNAL;
		return -1;
	}
	if (!writer_ok(w) || w->len - start > FRAME_MAX) {
		w->failed = true;
		return err_set(err, ERR_LIMIT,
		    "%s does not fit into its message", l->name);
	}
	return 0;
}
