#include "common/tunnel.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

/*
 * Both ends of a tunnel under a peer that sends anything: each input is a list
 * of commands, most of them messages.  What must hold: no callback after the
 * end, none for a stream that nobody knows, bodies within what was announced,
 * and no more held than the windows allow.
 */

#define STREAMS 4
#define IDS 64

struct end {
	struct tunnel *t;
	enum tunnel_role role;
	bool closed, drained;
	uint64_t now_ms;
	struct {
		bool open;        /* known to us and not over */
		uint32_t to_come; /* of the body */
		bool head;
	} streams[IDS]; /* by id / 2 */
	size_t held;
};

static uint8_t zeros[70000];

static size_t
slot(uint32_t id)
{
	MUST(id % 2 == 1 && id / 2 < IDS);
	return id / 2;
}

static void
take_body(struct end *e, uint32_t id, size_t len, bool end)
{
	size_t i = slot(id);

	MUST(!e->closed && e->streams[i].open);
	MUST(len <= e->streams[i].to_come);
	e->streams[i].to_come -= (uint32_t)len;
	MUST(end == (e->streams[i].to_come == 0));
	if (end && e->role == TUNNEL_RELAY)
		e->streams[i].open = false;
}

static void
on_send(void *arg, struct span head, struct span body)
{
	struct end *e = arg;
	uint8_t message[FRAME_MAX];
	struct writer w = writer_of(message, sizeof(message));
	struct frame f;
	struct err err;

	MUST(!e->closed);
	writer_put(&w, head);
	writer_put(&w, body);
	MUST(writer_ok(&w));
	MUST(frame_decode(&f, writer_span(&w), &err) == 0);
}

static void
on_data(void *arg, uint32_t id, void *user, struct span bytes, bool end)
{
	MUST(user == arg && bytes.len > 0);
	take_body(arg, id, bytes.len, end);
}

static void
on_reset(void *arg, uint32_t id, void *user, uint32_t code, struct span text)
{
	struct end *e = arg;

	(void)code;
	MUST(user == arg && !e->closed && e->streams[slot(id)].open);
	MUST(frame_is_text(text));
	e->streams[slot(id)].open = false;
	tunnel_consumed(e->t, id, 1);
}

static void
on_writable(void *arg, uint32_t id, void *user)
{
	struct end *e = arg;

	MUST(user == arg && !e->closed);
	tunnel_reset(e->t, id, FRAME_RESET_INTERNAL, "enough");
	e->streams[slot(id)].open = false;
}

static void
on_goaway(void *arg, const struct frame_goaway *g)
{
	(void)g;
	MUST(!((struct end *)arg)->closed);
}

static void
on_drained(void *arg)
{
	struct end *e = arg;

	MUST(!e->closed && !e->drained && tunnel_streams(e->t) == 0);
	e->drained = true;
}

static void
on_closed(void *arg, unsigned code, const char *why)
{
	struct end *e = arg;

	MUST(!e->closed && code >= 1000 && why[0] != '\0');
	for (size_t i = 0; i < IDS; i++)
		MUST(!e->streams[i].open);
	e->closed = true;
}

static void
on_hello(void *arg, const struct frame_hello *h)
{
	struct end *e = arg;
	struct frame_welcome w = { .tenant = span_str("t"), .ping_ms = 20000 };
	struct err err;

	MUST(h->key.len == 32 && h->signature.len == 64);
	MUST(tunnel_welcome(e->t, &w, e->now_ms, &err) == 0);
}

static void
on_claim(void *arg, uint32_t number, const struct frame_claim *claim)
{
	struct end *e = arg;
	uint8_t list[64 * 17];
	struct writer w = writer_of(list, sizeof(list));
	struct frame_claim_name name;
	struct frame_claimed answer;
	struct span rest = claim->names;
	struct err err;

	while (frame_next_name(&rest, &name))
		frame_put_result(&w, &name.uuid, FRAME_CLAIM_DENIED);
	answer.results = writer_span(&w);
	if (number % 3 != 0)
		MUST(tunnel_claimed(e->t, number, &answer, &err) == 0);
}

static void
on_unclaim(void *arg, const struct frame_unclaim *u)
{
	MUST(!((struct end *)arg)->closed && u->uuids.len % 16 == 0);
}

static void
on_response(void *arg, uint32_t id, void *user, const struct frame_response *r,
    bool end)
{
	struct end *e = arg;

	MUST(user == arg && !e->streams[slot(id)].head);
	e->streams[slot(id)].head = true;
	e->streams[slot(id)].to_come = r->body_length;
	take_body(e, id, r->body.len, end);
}

static void
on_pending(void *arg, uint32_t id, void *user, const struct frame_pending *p)
{
	(void)p;
	MUST(user == arg && ((struct end *)arg)->streams[slot(id)].open);
}

static void
on_challenge(void *arg, const struct frame_challenge *c)
{
	struct end *e = arg;
	struct frame_hello h = { .key = span_of(zeros, 32),
		.signature = span_of(zeros, 64),
		.software = span_str("a"),
		.boot_id = span_of(zeros, 16) };
	struct err err;

	MUST(c->nonce.len == 32);
	MUST(tunnel_hello(e->t, &h, e->now_ms, &err) == 0);
}

static void
on_welcome(void *arg, const struct frame_welcome *w)
{
	(void)arg;
	(void)w;
}

static void
on_claimed(void *arg, uint32_t number, const struct frame_claimed *c)
{
	(void)arg;
	(void)c;
	MUST(number >= 1);
}

static void
on_request(void *arg, uint32_t id, const struct frame_request *r, bool end)
{
	struct end *e = arg;

	MUST(!e->streams[slot(id)].open);
	e->streams[slot(id)].open = true;
	e->streams[slot(id)].to_come = r->body_length;
	tunnel_set_user(e->t, id, e);
	MUST(tunnel_streams(e->t) <= STREAMS);
	take_body(e, id, r->body.len, end);
}

static void
on_notice(void *arg, const struct frame_notice *n)
{
	(void)arg;
	MUST(frame_is_text(n->text));
}

static const struct tunnel_ops ops = { on_send, on_data, on_reset, on_writable,
	on_goaway, on_drained, on_closed, on_hello, on_claim, on_unclaim,
	on_response, on_pending, on_challenge, on_welcome, on_claimed,
	on_request, on_notice };

/* What an application does: one of a few things, by ${what}. */
static void
act(struct end *e, uint8_t what, uint32_t id, size_t len)
{
	struct frame_request req = { .method = span_str("POST"),
		.path = span_str("/"),
		.body_length = (uint32_t)len,
		.body = span_of(zeros, len) };
	struct frame_response res = { .status = 200,
		.body_length = (uint32_t)len,
		.body = span_of(zeros, len) };
	struct err err;
	size_t taken;

	switch (what % 8) {
	case 0:
		if (tunnel_open(e->t, &id, e, &req, &taken, &err) == 0) {
			MUST(taken <= len);
			e->streams[slot(id)].open = true;
		}
		break;
	case 1:
		if (tunnel_respond(e->t, id, &res, &taken, &err) == 0 &&
		    taken == len)
			e->streams[slot(id)].open = false;
		break;
	case 2:
		tunnel_consumed(e->t, id, len);
		break;
	case 3:
		if (tunnel_user(e->t, id) != NULL)
			e->streams[slot(id)].open = false;
		tunnel_reset(e->t, id, FRAME_RESET_CANCELLED, NULL);
		break;
	case 4:
		e->now_ms += len;
		tunnel_tick(e->t, e->now_ms);
		break;
	case 5:
		tunnel_pending(e->t, id, FRAME_REASON_CEK, 1000);
		break;
	case 6:
		if (len > 60000)
			tunnel_goaway(
			    e->t, FRAME_GOAWAY_RESTART, 0, 1, span_of(NULL, 0));
		break;
	default:
		if (len > 60000)
			tunnel_close(e->t, TUNNEL_CLOSE_LOST, "gone");
		break;
	}
}

/* A greeted tunnel saves the fuzzer the guess of 12.3. */
static void
greet(struct end *e)
{
	struct frame_challenge c = { .nonce = span_of(zeros, 32),
		.relay_name = span_str("r") };
	struct frame f;
	uint8_t bytes[512];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct err err;

	if (e->role == TUNNEL_RELAY) {
		MUST(tunnel_start(e->t, &c, &err) == 0);
		f = (struct frame){ .type = FRAME_HELLO,
			.hello = { STREAMS, span_of(zeros, 32),
			    span_of(zeros, 64), span_str("a"),
			    span_of(zeros, 16), 0 } };
		MUST(frame_encode(&w, &f, &err) == 0);
		tunnel_input(e->t, writer_span(&w), e->now_ms);
		return;
	}
	c.max_message = 4096;
	c.max_streams = STREAMS;
	f = (struct frame){ .type = FRAME_CHALLENGE, .challenge = c };
	MUST(frame_encode(&w, &f, &err) == 0);
	tunnel_input(e->t, writer_span(&w), e->now_ms);
	w = writer_of(bytes, sizeof(bytes));
	f = (struct frame){ .type = FRAME_WELCOME,
		.welcome = { 0, span_str("t"), 20000, 1 } };
	MUST(frame_encode(&w, &f, &err) == 0);
	tunnel_input(e->t, writer_span(&w), e->now_ms);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_of(span_of(data, size));
	uint8_t start = reader_u8(&r);
	struct tunnel_config config = {
		.role = start & 1, .ping_ms = 20000, .max_streams = STREAMS
	};
	struct end e = { .role = start & 1 };

	e.t = tunnel_new(&config, &ops, &e, 0);
	MUST(e.t != NULL);
	if ((start & 2) == 0)
		greet(&e);
	/* At most IDS streams, so that the record of them suffices. */
	for (int i = 0; i < IDS && reader_ok(&r) && r.rest.len > 0; i++) {
		uint8_t what = reader_u8(&r);

		if (what & 0x80) {
			act(&e, what, reader_u8(&r), reader_be16(&r));
			continue;
		}
		size_t len = reader_be16(&r) % 600;
		uint8_t message[600];

		len = len < r.rest.len ? len : r.rest.len;
		reader_copy(&r, message, len);
		/* Types and streams that hit more often than chance would. */
		if (len >= 8 && what & 0x40) {
			message[2] = message[3] = message[4] = message[5] =
			    message[6] = 0;
			message[7] %= 2 * STREAMS + 2;
		}
		tunnel_input(e.t, span_of(message, len), e.now_ms);
		MUST(e.closed == (tunnel_phase(e.t) == TUNNEL_OVER));
		MUST(e.closed == (tunnel_deadline(e.t) == TUNNEL_NEVER));
	}
	tunnel_close(e.t, TUNNEL_CLOSE_LOST, "end");
	MUST(e.closed);
	tunnel_free(e.t);
	return 0;
}
