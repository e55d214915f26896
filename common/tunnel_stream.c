#include "common/tunnel_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the peer does to streams. */

#define KEEP_CAP 4 /* entries that an idle tunnel may keep */

/*
 * The table: sorted, as ids only rise.
 */

/* Index of the first stream with an id over ${id}. */
static size_t
above(const struct tunnel *t, uint32_t id)
{
	size_t low = 0, high = t->stream_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (t->streams[mid].id <= id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct tunnel_stream *
tunnel_stream_find(const struct tunnel *t, uint32_t id)
{
	size_t i = above(t, id);

	return i > 0 && t->streams[i - 1].id == id ? &t->streams[i - 1] : NULL;
}

struct tunnel_stream *
tunnel_stream_after(const struct tunnel *t, uint32_t id)
{
	size_t i = above(t, id);

	return i < t->stream_count ? &t->streams[i] : NULL;
}

struct tunnel_stream *
tunnel_stream_add(struct tunnel *t, uint32_t id)
{
	struct tunnel_stream *s;
	size_t cap;

	if (t->stream_count == t->stream_cap) {
		cap = t->stream_cap == 0 ? KEEP_CAP : 2 * t->stream_cap;
		s = reallocarray(t->streams, cap, sizeof(*s));
		if (s == NULL)
			return NULL;
		t->streams = s;
		t->stream_cap = cap;
	}
	s = &t->streams[t->stream_count++];
	*s = (struct tunnel_stream){ .id = id,
		.send_window = TUNNEL_STREAM_WINDOW,
		.recv_window = TUNNEL_STREAM_WINDOW };
	return s;
}

void
tunnel_stream_end(struct tunnel *t, struct tunnel_stream *s)
{
	size_t i = (size_t)(s - t->streams);
	uint32_t held = s->held;

	memmove(s, s + 1, (t->stream_count - i - 1) * sizeof(*s));
	t->stream_count--;
	if (t->stream_count == 0 && t->stream_cap > KEEP_CAP) {
		free(t->streams);
		t->streams = NULL;
		t->stream_cap = 0;
	}
	tunnel_owe(t, held);
}

/*
 * Breaches and lookups.
 */

static void
count_breach(struct tunnel *t, uint64_t now_ms, const char *why)
{
	size_t slot = t->breach_count++ % TUNNEL_BREACHES_MAX;
	size_t oldest = t->breach_count % TUNNEL_BREACHES_MAX;
	char words[160];

	t->breach_ms[slot] = now_ms;
	if (t->breach_count < TUNNEL_BREACHES_MAX ||
	    now_ms - t->breach_ms[oldest] > TUNNEL_BREACHES_MS)
		return;
	snprintf(words, sizeof(words),
	    "%d breaches in a minute, the last: %.100s", TUNNEL_BREACHES_MAX,
	    why);
	tunnel_close(t, TUNNEL_CLOSE_GARBAGE, words);
}

/* The peer broke the rules of one stream, which the caller may know or not. */
static void
breach(struct tunnel *t, uint32_t id, uint64_t now_ms, const char *why)
{
	struct tunnel_stream *s = tunnel_stream_find(t, id);
	void *user;

	tunnel_put_reset(t, id, FRAME_RESET_PROTOCOL, why);
	if (s != NULL) {
		user = s->user;
		tunnel_stream_end(t, s);
		t->ops->reset(
		    t->arg, id, user, FRAME_RESET_PROTOCOL, span_str(why));
	}
	count_breach(t, now_ms, why);
	tunnel_settle(t);
}

void
tunnel_breach(
    struct tunnel *t, uint32_t stream, uint64_t now_ms, const char *why)
{
	if (tunnel_is_ready(t))
		breach(t, stream, now_ms, why);
}

/*
 * The stream of ${f}.  NULL: it is over, and frames that were on their way may
 * still come; or it was never opened, which ends the tunnel.
 */
static struct tunnel_stream *
stream_of(struct tunnel *t, const struct frame *f)
{
	struct tunnel_stream *s = tunnel_stream_find(t, f->stream);
	struct err err;

	if (s != NULL)
		return s;
	if (f->stream >= t->next_stream || f->stream % 2 == 0) {
		err_set(&err, ERR_MALFORMED,
		    "%s on stream %u, which was never "
		    "opened (docs/protocol.md 12.4)",
		    frame_name(f->type), f->stream);
		tunnel_close(t, TUNNEL_CLOSE_FRAME, err.msg);
	}
	return NULL;
}

/*
 * Bodies.
 */

/* May the peer send ${len} bytes of body now, for ${s} or, if NULL, for
 * nobody? */
static bool
fits_window(struct tunnel *t, const struct tunnel_stream *s, size_t len)
{
	if (len <= t->recv_window && (s == NULL || len <= s->recv_window))
		return true;
	tunnel_close(t, TUNNEL_CLOSE_FLOW,
	    "body over its window (docs/protocol.md 12.4)");
	return false;
}

static bool
take_window(struct tunnel *t, struct tunnel_stream *s, size_t len)
{
	if (!fits_window(t, s, len))
		return false;
	t->recv_window -= (uint32_t)len;
	if (s == NULL) {
		tunnel_owe(t, (uint32_t)len);
		return true;
	}
	s->recv_window -= (uint32_t)len;
	s->held += (uint32_t)len;
	return true;
}

/* Do ${len} more bytes and END fit what the head announced?  NULL: they do. */
static const char *
wrong_body(const struct tunnel_stream *s, size_t len, bool end)
{
	if (len > s->to_come)
		return "body longer than BODY-LENGTH";
	if (end && len < s->to_come)
		return "END before BODY-LENGTH bytes";
	if (!end && len == s->to_come)
		return "no END with the last byte of the body";
	return NULL;
}

void
tunnel_on_request(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	const struct frame_request *r = &f->request;
	struct tunnel_stream *s = NULL;
	const char *wrong;
	struct err err;

	if (f->stream != t->next_stream) {
		err_set(&err, ERR_MALFORMED,
		    "REQUEST on stream %u, want %u "
		    "(docs/protocol.md 12.4)",
		    f->stream, t->next_stream);
		tunnel_close(t, TUNNEL_CLOSE_FRAME, err.msg);
		return;
	}
	/* Before there is a stream, for the caller has not heard of it. */
	if (!fits_window(t, NULL, r->body.len))
		return;
	t->next_stream += 2;
	/* After our GOAWAY the relay takes it elsewhere by itself. */
	if (t->goaway_sent) {
		take_window(t, NULL, r->body.len);
		return;
	}
	if (t->stream_count >= t->max_streams ||
	    (s = tunnel_stream_add(t, f->stream)) == NULL) {
		take_window(t, NULL, r->body.len);
		tunnel_put_reset(
		    t, f->stream, FRAME_RESET_REFUSED, "too many streams");
		return;
	}
	s->head_got = true;
	s->to_come = r->body_length;
	wrong = wrong_body(s, r->body.len, f->end);
	if (wrong != NULL) {
		tunnel_stream_end(t, s);
		take_window(t, NULL, r->body.len);
		breach(t, f->stream, now_ms, wrong);
		return;
	}
	take_window(t, s, r->body.len);
	s->to_come -= (uint32_t)r->body.len;
	t->ops->request(t->arg, f->stream, r, f->end);
}

void
tunnel_on_response(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	const struct frame_response *r = &f->response;
	struct tunnel_stream *s = stream_of(t, f);
	const char *wrong;
	void *user;

	if (t->state == TUNNEL_ST_OVER || !take_window(t, s, r->body.len) ||
	    s == NULL)
		return;
	if (s->head_got) {
		breach(t, f->stream, now_ms, "second RESPONSE");
		return;
	}
	s->head_got = true;
	s->to_come = r->body_length;
	wrong = wrong_body(s, r->body.len, f->end);
	if (wrong != NULL) {
		breach(t, f->stream, now_ms, wrong);
		return;
	}
	s->to_come -= (uint32_t)r->body.len;
	user = s->user;
	if (f->end)
		tunnel_stream_end(t, s);
	t->ops->response(t->arg, f->stream, user, r, f->end);
	tunnel_settle(t);
}

void
tunnel_on_bad_head(
    struct tunnel *t, const struct frame *f, uint64_t now_ms, const char *why)
{
	struct tunnel_stream *s = NULL;
	size_t len;

	if (f->type == FRAME_REQUEST) {
		len = f->request.body.len;
		if (f->stream != t->next_stream) {
			tunnel_close(t, TUNNEL_CLOSE_FRAME, why);
			return;
		}
		t->next_stream += 2;
	} else {
		len = f->response.body.len;
		s = stream_of(t, f);
		if (t->state == TUNNEL_ST_OVER)
			return;
	}
	if (take_window(t, s, len) && (s != NULL || f->type == FRAME_REQUEST))
		breach(t, f->stream, now_ms, why);
}

void
tunnel_on_data(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	struct tunnel_stream *s = stream_of(t, f);
	const char *wrong;
	bool over;
	void *user;

	if (t->state == TUNNEL_ST_OVER || !take_window(t, s, f->data.len) ||
	    s == NULL)
		return;
	wrong = s->head_got ? wrong_body(s, f->data.len, f->end)
			    : "DATA before RESPONSE";
	if (wrong != NULL) {
		breach(t, f->stream, now_ms, wrong);
		return;
	}
	s->to_come -= (uint32_t)f->data.len;
	user = s->user;
	over = f->end && t->role == TUNNEL_RELAY;
	if (over)
		tunnel_stream_end(t, s);
	t->ops->data(t->arg, f->stream, user, f->data, f->end);
	if (over)
		tunnel_settle(t);
}

void
tunnel_on_reset(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	struct tunnel_stream *s = stream_of(t, f);
	void *user;

	(void)now_ms;
	if (s == NULL)
		return;
	user = s->user;
	tunnel_stream_end(t, s);
	t->ops->reset(t->arg, f->stream, user, f->reset.code, f->reset.text);
	tunnel_settle(t);
}

void
tunnel_on_pending(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	struct tunnel_stream *s = stream_of(t, f);

	(void)now_ms;
	/* Behind its RESPONSE it says nothing any more. */
	if (s != NULL && !s->head_got)
		t->ops->pending(t->arg, f->stream, s->user, &f->pending);
}

/*
 * Windows.
 */

static bool
grow(struct tunnel *t, uint32_t *window, uint32_t credit)
{
	if (credit > FRAME_STREAM_MAX - *window) {
		tunnel_close(t, TUNNEL_CLOSE_FLOW,
		    "window over 2^31-1 (docs/protocol.md 12.4)");
		return false;
	}
	*window += credit;
	return true;
}

static void
wake(struct tunnel *t, struct tunnel_stream *s)
{
	if (!s->blocked || s->send_window == 0)
		return;
	s->blocked = false;
	t->ops->writable(t->arg, s->id, s->user);
}

void
tunnel_on_window(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	struct tunnel_stream *s;
	uint32_t id = 0;

	(void)now_ms;
	if (f->stream == 0) {
		if (!grow(t, &t->send_window, f->credit))
			return;
		/* What a callback opens or ends in between does no harm. */
		for (; t->send_window > 0 &&
		     (s = tunnel_stream_after(t, id)) != NULL;
		     wake(t, s))
			id = s->id;
		return;
	}
	s = stream_of(t, f);
	if (s != NULL && grow(t, &s->send_window, f->credit) &&
	    t->send_window > 0)
		wake(t, s);
}
