#include "common/tunnel_impl.h"

/* Greeting and claims: all that is said outside of streams, but the end. */

/*
 * Greeting.
 */

static int
wrong_time(struct err *err, const char *what)
{
	return err_set(
	    err, ERR_CLOSED, "no %s at this point of a tunnel", what);
}

int
tunnel_start(
    struct tunnel *t, const struct frame_challenge *challenge, struct err *err)
{
	struct frame f = { .type = FRAME_CHALLENGE, .challenge = *challenge };

	if (t->state != TUNNEL_ST_NEW)
		return wrong_time(err, "CHALLENGE");
	f.challenge.minor = TUNNEL_MINOR;
	f.challenge.max_message = FRAME_MAX;
	f.challenge.max_streams = t->max_streams;
	t->state = TUNNEL_ST_CHALLENGED;
	return tunnel_put(t, &f, err);
}

void
tunnel_on_challenge(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	t->step_by_ms = now_ms + TUNNEL_STEP_MS;
	if (f->challenge.max_message < t->max_message)
		t->max_message = f->challenge.max_message;
	t->ops->challenge(t->arg, &f->challenge);
}

static const char tag[] = "attest-relay.v1 hello"; /* with its NUL */

void
tunnel_hello_text(struct writer *w, struct span nonce, uint8_t binding,
    struct span exporter, struct span relay_name, const char *subprotocol)
{
	struct span protocol = span_str(subprotocol);

	/* Fixed lengths are what makes two hellos differ in their bytes. */
	if (nonce.len != FRAME_NONCE_LEN || binding > 1 ||
	    (binding == 1 && exporter.len != TUNNEL_EXPORTER_LEN) ||
	    relay_name.len > UINT16_MAX || protocol.len > UINT16_MAX) {
		w->failed = true;
		return;
	}
	writer_put(w, span_of(tag, sizeof(tag)));
	writer_put(w, nonce);
	writer_u8(w, binding);
	if (binding == 1)
		writer_put(w, exporter);
	else
		writer_zeros(w, TUNNEL_EXPORTER_LEN);
	writer_be16(w, (uint16_t)relay_name.len);
	writer_put(w, relay_name);
	writer_be16(w, (uint16_t)protocol.len);
	writer_put(w, protocol);
}

bool
tunnel_is_hello_text(struct span text)
{
	struct reader r = reader_of(text);
	struct span head = reader_take(&r, sizeof(tag));
	uint8_t binding;

	(void)reader_take(&r, FRAME_NONCE_LEN);
	binding = reader_u8(&r);
	(void)reader_take(&r, TUNNEL_EXPORTER_LEN);
	(void)reader_take(&r, reader_be16(&r));
	(void)reader_take(&r, reader_be16(&r));
	return reader_done(&r) && binding <= 1 &&
	    span_equal(head, span_of(tag, sizeof(tag)));
}

int
tunnel_hello(struct tunnel *t, const struct frame_hello *hello, uint64_t now_ms,
    struct err *err)
{
	struct frame f = { .type = FRAME_HELLO, .hello = *hello };

	if (t->state != TUNNEL_ST_SIGNING)
		return wrong_time(err, "HELLO");
	f.hello.max_streams = t->max_streams;
	t->state = TUNNEL_ST_SIGNED;
	t->step_by_ms = now_ms + TUNNEL_STEP_MS;
	return tunnel_put(t, &f, err);
}

void
tunnel_on_hello(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	t->step_by_ms = now_ms + TUNNEL_STEP_MS;
	if (f->hello.max_streams < t->max_streams)
		t->max_streams = f->hello.max_streams;
	t->ops->hello(t->arg, &f->hello);
}

int
tunnel_welcome(struct tunnel *t, const struct frame_welcome *welcome,
    uint64_t now_ms, struct err *err)
{
	struct frame f = { .type = FRAME_WELCOME, .welcome = *welcome };

	if (t->state != TUNNEL_ST_PROVING)
		return wrong_time(err, "WELCOME");
	f.welcome.minor = TUNNEL_MINOR;
	t->state = TUNNEL_ST_RELAY;
	t->heard_ms = now_ms;
	return tunnel_put(t, &f, err);
}

void
tunnel_on_welcome(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	uint32_t told = f->welcome.ping_ms;

	(void)now_ms;
	/* The relay knows the idle limits in front of it; a shorter interval
	 * of our own stays. */
	if (told < t->ping_ms)
		t->ping_ms =
		    told < TUNNEL_PING_MIN_MS ? TUNNEL_PING_MIN_MS : told;
	t->ops->welcome(t->arg, &f->welcome);
}

/*
 * Claims.
 */

int
tunnel_claim(struct tunnel *t, uint32_t *number,
    const struct frame_claim *claim, struct err *err)
{
	struct frame f = { .type = FRAME_CLAIM, .claim = *claim };

	if (t->state != TUNNEL_ST_AGENT || t->claim_last == FRAME_STREAM_MAX)
		return wrong_time(err, "CLAIM");
	if (t->claims_open == TUNNEL_CLAIMS_OPEN_MAX)
		return err_set(err, ERR_LIMIT, "%u CLAIMs have no answer yet",
		    t->claims_open);
	f.stream = t->claim_last + 1;
	if (tunnel_put(t, &f, err) != 0)
		return -1;
	t->claim_last++;
	t->claims_open++;
	*number = f.stream;
	return 0;
}

void
tunnel_on_claim(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	struct err err;

	(void)now_ms;
	if (f->stream <= t->claim_last) {
		err_set(&err, ERR_MALFORMED, "CLAIM %u behind CLAIM %u",
		    f->stream, t->claim_last);
		tunnel_close(t, TUNNEL_CLOSE_FRAME, err.msg);
		return;
	}
	if (t->claims_open == TUNNEL_CLAIMS_OPEN_MAX) {
		tunnel_close(t, TUNNEL_CLOSE_LIMITS,
		    "too many CLAIMs without an answer");
		return;
	}
	t->claim_last = f->stream;
	t->claims_open++;
	t->ops->claim(t->arg, f->stream, &f->claim);
}

int
tunnel_claimed(struct tunnel *t, uint32_t number,
    const struct frame_claimed *claimed, struct err *err)
{
	struct frame f = {
		.type = FRAME_CLAIMED, .stream = number, .claimed = *claimed
	};

	if (t->state != TUNNEL_ST_RELAY || t->claims_open == 0)
		return wrong_time(err, "CLAIMED");
	if (tunnel_put(t, &f, err) != 0)
		return -1;
	t->claims_open--;
	return 0;
}

void
tunnel_on_claimed(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	uint32_t due = t->claim_last - t->claims_open + 1;
	struct err err;

	(void)now_ms;
	if (t->claims_open == 0 || f->stream != due) {
		err_set(&err, ERR_MALFORMED, "CLAIMED %u, want %u", f->stream,
		    t->claims_open == 0 ? 0 : due);
		tunnel_close(t, TUNNEL_CLOSE_FRAME, err.msg);
		return;
	}
	t->claims_open--;
	t->ops->claimed(t->arg, f->stream, &f->claimed);
}

int
tunnel_unclaim(
    struct tunnel *t, const struct frame_unclaim *unclaim, struct err *err)
{
	struct frame f = { .type = FRAME_UNCLAIM, .unclaim = *unclaim };

	if (t->state != TUNNEL_ST_AGENT)
		return wrong_time(err, "UNCLAIM");
	return tunnel_put(t, &f, err);
}

void
tunnel_on_unclaim(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	(void)now_ms;
	t->ops->unclaim(t->arg, &f->unclaim);
}
