#include "common/tunnel_impl.h"

#include <assert.h>
#include <string.h>

/* What goes out. */

/*
 * Grease (docs/protocol.md 12.7): frames, flags and tags that every receiver
 * ignores.  The generator is no secret: xorshift32.
 */
static uint32_t
draw(struct tunnel *t)
{
	t->grease ^= t->grease << 13;
	t->grease ^= t->grease >> 17;
	t->grease ^= t->grease << 5;
	return t->grease;
}

static bool
has_tlvs(uint8_t type)
{
	return type != FRAME_DATA && type != FRAME_PING && type != FRAME_PONG;
}

static void
grease_frame(struct tunnel *t, struct writer *w, uint8_t type)
{
	uint32_t dice = draw(t);
	size_t len = dice % 16;

	w->ptr[1] |= (uint8_t)(dice >> 8 & ~(uint32_t)FRAME_END);
	if (!has_tlvs(type) || w->cap - w->len < 4 + len)
		return;
	writer_be16(w, (uint16_t)(0xc000 | dice >> 16));
	writer_be16(w, (uint16_t)len);
	writer_zeros(w, len);
}

static void
grease_between(struct tunnel *t)
{
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint32_t dice = draw(t);

	if (!tunnel_is_ready(t) || dice % 4 != 0)
		return;
	writer_u8(&w, (uint8_t)(0x80 | dice >> 8));
	writer_u8(&w, (uint8_t)(dice >> 16));
	writer_be16(&w, 0);
	writer_be32(&w, draw(t));
	writer_zeros(&w, dice >> 24 & 31);
	t->ops->send(t->arg, writer_span(&w), span_of(NULL, 0));
}

int
tunnel_put(struct tunnel *t, const struct frame *f, struct err *err)
{
	uint8_t bytes[FRAME_MAX];
	struct writer w = writer_of(bytes, t->max_message);

	if (frame_encode(&w, f, err) != 0)
		return -1;
	if (t->grease != 0)
		grease_frame(t, &w, f->type);
	t->ops->send(t->arg, writer_span(&w), span_of(NULL, 0));
	if (t->grease != 0)
		grease_between(t);
	return 0;
}

void
tunnel_put_reset(struct tunnel *t, uint32_t id, uint32_t code, const char *text)
{
	struct frame f = { .type = FRAME_RESET, .stream = id };

	f.reset.code = code;
	if (text != NULL) {
		f.reset.text = span_str(text);
		if (f.reset.text.len > FRAME_TEXT_MAX)
			f.reset.text.len = FRAME_TEXT_MAX;
	}
	tunnel_put(t, &f, NULL);
}

void
tunnel_put_window(struct tunnel *t, uint32_t id, uint32_t credit)
{
	struct frame f = {
		.type = FRAME_WINDOW, .stream = id, .credit = credit
	};

	tunnel_put(t, &f, NULL);
}

void
tunnel_owe(struct tunnel *t, uint32_t len)
{
	t->owed += len;
	/* Half a window at a time: few frames, and the peer never waits. */
	if (t->owed < TUNNEL_WINDOW / 2 || !tunnel_is_ready(t))
		return;
	t->recv_window += t->owed;
	len = t->owed;
	t->owed = 0;
	tunnel_put_window(t, 0, len);
}

void
tunnel_consumed(struct tunnel *t, uint32_t stream, size_t len)
{
	struct tunnel_stream *s = tunnel_stream_find(t, stream);
	uint32_t owed;

	if (s == NULL)
		return;
	if (len > s->held)
		len = s->held;
	s->held -= (uint32_t)len;
	s->owed += (uint32_t)len;
	/* A body that fits into what is open needs no credit. */
	if (s->owed >= TUNNEL_STREAM_WINDOW / 2 &&
	    s->to_come > s->recv_window) {
		s->recv_window += s->owed;
		owed = s->owed;
		s->owed = 0;
		tunnel_put_window(t, stream, owed);
	}
	tunnel_owe(t, (uint32_t)len);
}

/*
 * Heads.
 */

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Bytes that both windows would let pass for a stream. */
static size_t
open_window(const struct tunnel *t, const struct tunnel_stream *s)
{
	return least(t->send_window, s->send_window);
}

/*
 * Send the head ${f} with as much of its body, *${body}, as goes into the
 * message and the windows.  *${body} is cut to what went.
 */
static int
put_head(struct tunnel *t, struct tunnel_stream *s, struct frame *f,
    struct span *body, struct err *err)
{
	uint8_t bytes[FRAME_MAX];
	struct writer w;
	struct span none = span_of(NULL, 0);
	size_t tlv = 4;

	body->len = least(body->len, open_window(t, s));
	body->len = least(body->len, t->max_message - FRAME_HEADER_LEN - tlv);
	for (;;) {
		f->end = body->len == s->to_send;
		if (body->len == 0)
			*body = none;
		w = writer_of(bytes, t->max_message);
		if (frame_encode(&w, f, err) == 0)
			break;
		if (err->code != ERR_LIMIT || body->len == 0) {
			err->code = ERR_INTERNAL;
			return -1;
		}
		/* Too long: how long is it without a body? */
		struct span whole = *body;

		*body = none;
		f->end = false;
		w = writer_of(bytes, t->max_message);
		if (frame_encode(&w, f, err) != 0) {
			err->code = ERR_INTERNAL;
			return -1;
		}
		if (w.cap - w.len <= tlv)
			break;
		*body =
		    span_of(whole.ptr, least(whole.len, w.cap - w.len - tlv));
	}
	if (t->grease != 0)
		grease_frame(t, &w, f->type);
	s->head_sent = true;
	s->to_send -= (uint32_t)body->len;
	s->send_window -= (uint32_t)body->len;
	t->send_window -= (uint32_t)body->len;
	t->ops->send(t->arg, writer_span(&w), none);
	if (t->grease != 0)
		grease_between(t);
	return 0;
}

/* The rest behind a head: *${taken} of ${body} are gone already. */
static void
put_rest(struct tunnel *t, uint32_t id, struct span body, size_t *taken)
{
	if (*taken < body.len)
		*taken += tunnel_send(
		    t, id, span_of(body.ptr + *taken, body.len - *taken));
}

int
tunnel_open(struct tunnel *t, uint32_t *stream, void *user,
    const struct frame_request *request, size_t *taken, struct err *err)
{
	struct frame f = { .type = FRAME_REQUEST, .request = *request };
	struct tunnel_stream *s;
	struct err unused;

	if (err == NULL)
		err = &unused;
	if (t->state == TUNNEL_ST_RELAY && t->next_stream > FRAME_STREAM_MAX)
		tunnel_goaway(
		    t, FRAME_GOAWAY_IDS_USED, 0, 5000, span_of(NULL, 0));
	if (t->state != TUNNEL_ST_RELAY || t->goaway_sent || t->goaway_got)
		return err_set(err, ERR_CLOSED, "the tunnel takes no streams");
	if (t->stream_count >= t->max_streams)
		return err_set(err, ERR_LIMIT,
		    "%zu streams are open, at most "
		    "%u",
		    t->stream_count, t->max_streams);
	if (request->body.len > request->body_length)
		return err_set(err, ERR_INTERNAL, "body over body_length");
	if ((s = tunnel_stream_add(t, t->next_stream)) == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a stream");
	s->user = user;
	s->to_send = request->body_length;
	f.stream = s->id;
	if (put_head(t, s, &f, &f.request.body, err) != 0) {
		tunnel_stream_end(t, s);
		return -1;
	}
	t->next_stream += 2;
	*stream = f.stream;
	*taken = f.request.body.len;
	put_rest(t, f.stream, request->body, taken);
	return 0;
}

/* The agent's answer is complete: for both ends the stream is over. */
static void
end_if_answered(struct tunnel *t, uint32_t id)
{
	struct tunnel_stream *s = tunnel_stream_find(t, id);

	if (s == NULL || t->role != TUNNEL_AGENT || !s->head_sent ||
	    s->to_send > 0)
		return;
	tunnel_stream_end(t, s);
	tunnel_settle(t);
}

int
tunnel_respond(struct tunnel *t, uint32_t stream,
    const struct frame_response *response, size_t *taken, struct err *err)
{
	struct frame f = {
		.type = FRAME_RESPONSE, .stream = stream, .response = *response
	};
	struct tunnel_stream *s = tunnel_stream_find(t, stream);
	struct err unused;

	if (err == NULL)
		err = &unused;
	if (t->state != TUNNEL_ST_AGENT || s == NULL)
		return err_set(err, ERR_NOT_FOUND, "stream %u is over", stream);
	if (s->head_sent)
		return err_set(
		    err, ERR_CONFLICT, "stream %u has its answer", stream);
	if (response->body.len > response->body_length)
		return err_set(err, ERR_INTERNAL, "body over body_length");
	s->to_send = response->body_length;
	if (put_head(t, s, &f, &f.response.body, err) != 0)
		return -1;
	*taken = f.response.body.len;
	put_rest(t, stream, response->body, taken);
	end_if_answered(t, stream);
	return 0;
}

size_t
tunnel_send(struct tunnel *t, uint32_t stream, struct span bytes)
{
	struct tunnel_stream *s;
	uint8_t head[FRAME_HEADER_LEN];
	size_t taken = 0, n;
	struct writer w;

	/* Looked up anew each time: a callback may end it, or move it. */
	while (
	    (s = tunnel_stream_find(t, stream)) != NULL && taken < bytes.len) {
		assert(s->head_sent && bytes.len - taken <= s->to_send);
		n = least(bytes.len - taken, open_window(t, s));
		n = least(n, t->max_message - FRAME_HEADER_LEN);
		if (n == 0) {
			s->blocked = true;
			break;
		}
		s->to_send -= (uint32_t)n;
		s->send_window -= (uint32_t)n;
		t->send_window -= (uint32_t)n;
		w = writer_of(head, sizeof(head));
		writer_u8(&w, FRAME_DATA);
		writer_u8(&w, s->to_send == 0 ? FRAME_END : 0);
		writer_be16(&w, 0);
		writer_be32(&w, stream);
		t->ops->send(
		    t->arg, writer_span(&w), span_of(bytes.ptr + taken, n));
		taken += n;
	}
	end_if_answered(t, stream);
	return taken;
}

/*
 * The rest of the life of a stream.
 */

void
tunnel_reset(
    struct tunnel *t, uint32_t stream, enum frame_reset code, const char *text)
{
	struct tunnel_stream *s = tunnel_stream_find(t, stream);

	if (s == NULL)
		return;
	tunnel_put_reset(t, stream, code, text);
	tunnel_stream_end(t, s);
	tunnel_settle(t);
}

void
tunnel_pending(struct tunnel *t, uint32_t stream, enum frame_reason reason,
    uint32_t extend_ms)
{
	struct tunnel_stream *s = tunnel_stream_find(t, stream);
	struct frame f = { .type = FRAME_PENDING, .stream = stream };

	f.pending.reason = (uint8_t)reason;
	f.pending.extend_ms = extend_ms;
	if (t->state == TUNNEL_ST_AGENT && s != NULL && !s->head_sent)
		tunnel_put(t, &f, NULL);
}

void
tunnel_set_user(struct tunnel *t, uint32_t stream, void *user)
{
	struct tunnel_stream *s = tunnel_stream_find(t, stream);

	if (s != NULL)
		s->user = user;
}

void *
tunnel_user(const struct tunnel *t, uint32_t stream)
{
	const struct tunnel_stream *s = tunnel_stream_find(t, stream);

	return s == NULL ? NULL : s->user;
}

size_t
tunnel_streams(const struct tunnel *t)
{
	return t->stream_count;
}

size_t
tunnel_room(const struct tunnel *t)
{
	if (t->state != TUNNEL_ST_RELAY || t->goaway_sent || t->goaway_got ||
	    t->next_stream > FRAME_STREAM_MAX ||
	    t->stream_count >= t->max_streams)
		return 0;
	return t->max_streams - t->stream_count;
}
