#include "common/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

/*
 * Our server codec and wslay's client, bytes in memory between them: whole
 * conversations in random pieces arrive whole both ways.  Then wslay's server
 * reads the same bytes as ours, many of them spoilt: ours must never hand out
 * a message that it does not.
 */

#define ROUNDS 2000
#define SPOILT 100000
#define PIPE_MAX (1 << 20)
#define BATCH 8
#define NOTES_MAX 64

static unsigned dice = 1;

static unsigned
draw(unsigned n)
{
	dice ^= dice << 13;
	dice ^= dice >> 17;
	dice ^= dice << 5;
	return dice % n;
}

#define MUST(condition)                                                        \
	do {                                                                   \
		if (!(condition)) {                                            \
			printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                               \
		}                                                              \
	} while (0)

/* Bytes under way, and what their reader made of them. */
struct pipe {
	uint8_t bytes[PIPE_MAX];
	size_t len, at;
};

/* One thing that a reader told, small enough to compare. */
struct note {
	unsigned op;
	size_t len;
	uint64_t hash;
};

struct notes {
	struct note list[NOTES_MAX];
	size_t count;
	bool refused;
	bool in_close; /* waits for the rest of a close frame */
};

static uint64_t
hash(const uint8_t *ptr, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ ptr[i]) * 0x100000001b3u;
	return h;
}

static void
note(struct notes *n, unsigned op, const uint8_t *ptr, size_t len)
{
	MUST(n->count < NOTES_MAX);
	n->list[n->count++] = (struct note){ op, len, hash(ptr, len) };
}

/*
 * wslay's side.
 */

struct far {
	struct pipe *in, *out;
	struct notes notes;
};

static ssize_t
far_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags,
    void *user)
{
	struct far *f = user;
	size_t n = f->in->len - f->in->at;

	(void)flags;
	if (n == 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	n = n < len ? n : len;
	memcpy(buf, f->in->bytes + f->in->at, n);
	f->in->at += n;
	return (ssize_t)n;
}

static ssize_t
far_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t len,
    int flags, void *user)
{
	struct far *f = user;

	(void)ctx;
	(void)flags;
	MUST(f->out->len + len <= PIPE_MAX);
	memcpy(f->out->bytes + f->out->len, data, len);
	f->out->len += len;
	return (ssize_t)len;
}

static int
far_mask(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, void *user)
{
	(void)ctx;
	(void)user;
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)draw(256);
	return 0;
}

static void
far_message(wslay_event_context_ptr ctx,
    const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
	struct far *f = user;

	(void)ctx;
	note(&f->notes, arg->opcode, arg->msg, arg->msg_length);
}

static const struct wslay_event_callbacks far_ops = {
	.recv_callback = far_recv,
	.send_callback = far_send,
	.genmask_callback = far_mask,
	.on_msg_recv_callback = far_message,
};

/*
 * Our side.
 */

/* Read all of ${in} in pieces of at most ${piece} bytes. */
static void
read_ours(struct notes *n, const struct pipe *in, size_t piece)
{
	struct ws_got got;
	struct err err;
	struct ws ws;

	ws_init(&ws);
	for (size_t at = 0; at < in->len && !n->refused;) {
		size_t len = 1 + draw((unsigned)piece);
		uint8_t *part, *p;
		enum ws_event event;

		len = len < in->len - at ? len : in->len - at;
		p = part = malloc(len);
		MUST(part != NULL);
		memcpy(part, in->bytes + at, len);
		at += len;
		while (
		    (event = ws_next(&ws, &p, &len, &got, &err)) != WS_MORE) {
			switch (event) {
			case WS_MESSAGE:
				note(n, WS_OP_BINARY, got.data.ptr,
				    got.data.len);
				break;
			case WS_PING:
				note(n, WS_OP_PING, got.data.ptr, got.data.len);
				break;
			case WS_PONG:
				note(n, WS_OP_PONG, got.data.ptr, got.data.len);
				break;
			case WS_CLOSE:
				note(n, WS_OP_CLOSE, NULL, 0);
				break;
			default:
				n->refused = true;
				break;
			}
			if (event == WS_BAD || event == WS_CLOSE)
				break;
		}
		free(part);
	}
	n->in_close = ws.in_payload && ws.opcode == WS_OP_CLOSE;
	ws_free(&ws);
}

static void
put(struct pipe *p, enum ws_opcode op, const uint8_t *ptr, size_t len)
{
	struct writer w = writer_of(p->bytes + p->len, PIPE_MAX - p->len);

	ws_put_header(&w, op, len);
	writer_put(&w, span_of(ptr, len));
	MUST(writer_ok(&w));
	p->len += w.len;
}

/*
 * Conversations.
 */

static uint8_t filler[WS_MESSAGE_MAX];
static struct pipe up, down;

static size_t
any_len(size_t max)
{
	static const size_t edges[] = { 0, 1, 125, 126, 127, 128, 1000, 16383,
		16384 };
	size_t len = draw(2) == 0 ? edges[draw(9)] : draw(WS_MESSAGE_MAX + 1);

	return len < max ? len : max;
}

/* A source of fragments: what is left of one message. */
struct rest {
	size_t at, len;
};

static ssize_t
next_fragment(wslay_event_context_ptr ctx, uint8_t *buf, size_t len,
    const union wslay_event_msg_source *source, int *eof, void *user)
{
	struct rest *r = source->data;
	size_t n = r->len - r->at, most = 1 + draw(5000);

	(void)ctx;
	(void)user;
	n = n < len ? n : len;
	n = n < most ? n : most;
	memcpy(buf, filler + r->at, n);
	r->at += n;
	*eof = r->at == r->len;
	return (ssize_t)n;
}

/* wslay's client says some things; what they were goes to ${said}. */
static void
speak(wslay_event_context_ptr ctx, struct notes *said)
{
	for (unsigned i = 1 + draw(BATCH); i > 0; i--) {
		struct wslay_event_msg msg = { .msg = filler };
		struct wslay_event_fragmented_msg parts = {
			.opcode = WSLAY_BINARY_FRAME,
			.read_callback = next_fragment,
		};
		struct rest rest = { 0, any_len(WS_MESSAGE_MAX) };

		switch (draw(4)) {
		case 0:
			msg.opcode = draw(2) == 0 ? WSLAY_PING : WSLAY_PONG;
			msg.msg_length = any_len(125);
			MUST(wslay_event_queue_msg(ctx, &msg) == 0);
			break;
		case 1:
			parts.source.data = &rest;
			msg.opcode = WSLAY_BINARY_FRAME;
			msg.msg_length = rest.len;
			MUST(
			    wslay_event_queue_fragmented_msg(ctx, &parts) == 0);
			break;
		default:
			msg.opcode = WSLAY_BINARY_FRAME;
			msg.msg_length = rest.len;
			MUST(wslay_event_queue_msg(ctx, &msg) == 0);
			break;
		}
		note(said, msg.opcode, filler, msg.msg_length);
		/* Sent one by one, or pings would overtake. */
		MUST(wslay_event_send(ctx) == 0);
	}
}

static void
must_equal(const struct notes *a, const struct notes *b)
{
	MUST(!a->refused && !b->refused && a->count == b->count);
	for (size_t i = 0; i < a->count; i++)
		MUST(a->list[i].op == b->list[i].op &&
		    a->list[i].len == b->list[i].len &&
		    a->list[i].hash == b->list[i].hash);
}

static size_t
converse(void)
{
	struct far client = { &down, &up, { .count = 0 } };
	struct notes said = { .count = 0 }, heard = { .count = 0 },
		     ours = { .count = 0 };
	wslay_event_context_ptr ctx;

	up.len = up.at = down.len = down.at = 0;
	MUST(wslay_event_context_client_init(&ctx, &far_ops, &client) == 0);
	speak(ctx, &said);
	read_ours(&heard, &up, draw(2) == 0 ? 50 : 40000);
	must_equal(&said, &heard);
	for (unsigned i = 1 + draw(BATCH); i > 0; i--) {
		enum ws_opcode op = draw(4) == 0 ? WS_OP_PING : WS_OP_BINARY;
		size_t len = any_len(op == WS_OP_PING ? 125 : WS_MESSAGE_MAX);

		put(&down, op, filler, len);
		note(&ours, op, filler, len);
	}
	MUST(wslay_event_recv(ctx) == 0);
	must_equal(&ours, &client.notes);
	wslay_event_context_free(ctx);
	return said.count + ours.count;
}

/*
 * Spoilt bytes.
 */

static void
spoil(void)
{
	/* Mostly in the headers, which is where things can be misread. */
	size_t at = draw(2) == 0 ? draw(16) : draw((unsigned)up.len);

	at = at < up.len ? at : up.len - 1;
	switch (draw(4)) {
	case 0:
		up.bytes[at] ^= (uint8_t)(1u << draw(8));
		break;
	case 1:
		up.bytes[at] = (uint8_t)draw(256);
		break;
	case 2:
		memmove(up.bytes + at, up.bytes + at + 1, up.len - at - 1);
		up.len--;
		break;
	default:
		memmove(up.bytes + at + 1, up.bytes + at, up.len - at);
		up.bytes[at] = (uint8_t)draw(256);
		up.len++;
		break;
	}
}

/* Frames with small payloads, so that every byte has its chance. */
static void
mumble(void)
{
	uint8_t first[] = { 0x82, 0x02, 0x80, 0x00, 0x89, 0x8a, 0x88, 0x82 };

	up.len = up.at = 0;
	for (unsigned i = 1 + draw(4); i > 0; i--) {
		struct writer w = writer_of(up.bytes + up.len, 400);
		uint8_t mask[4] = { 1, 2, 3, 4 };
		size_t len = draw(20), start;

		writer_u8(&w, first[draw(sizeof(first))]);
		if (draw(4) == 0) {
			len += 126;
			writer_u8(&w, 0xfe);
			writer_be16(&w, (uint16_t)len);
		} else {
			writer_u8(&w, (uint8_t)(0x80 | len));
		}
		writer_put(&w, span_of(mask, 4));
		start = w.len;
		if ((w.ptr[0] & 15) == 8 && len >= 2) {
			writer_be16(&w, (uint16_t)(990 + draw(30)));
			writer_put(&w,
			    span_of("goodbye, all of you....",
				len - 2 < 23 ? len - 2 : 23));
			while (w.len - start < len)
				writer_u8(&w, 'x');
		} else {
			writer_put(&w, span_of(filler, len));
		}
		ws_mask(w.ptr + start, len, mask, 0);
		MUST(writer_ok(&w));
		up.len += w.len;
	}
}

/* True if wslay, too, made of them at least what we made. */
static bool
no_laxer(size_t *same, size_t *stricter)
{
	struct far server = { &up, &down, { .count = 0 } };
	struct notes ours = { .count = 0 };
	wslay_event_context_ptr ctx;

	down.len = down.at = 0;
	read_ours(&ours, &up, 30);
	MUST(wslay_event_context_server_init(&ctx, &far_ops, &server) == 0);
	wslay_event_config_set_max_recv_msg_length(ctx, WS_MESSAGE_MAX);
	(void)wslay_event_recv(ctx);
	server.notes.refused = !wslay_event_get_read_enabled(ctx);
	wslay_event_context_free(ctx);
	if (ours.count > server.notes.count)
		return false;
	for (size_t i = 0; i < ours.count; i++)
		if (ours.list[i].op != server.notes.list[i].op ||
		    (ours.list[i].op != WS_OP_CLOSE &&
			ours.list[i].hash != server.notes.list[i].hash))
			return false;
	if (ours.refused && ours.count < server.notes.count)
		++*stricter;
	else
		++*same;
	/* Who reads on where it has stopped would be laxer, too; but it judges
	 * the code of a close before the frame is complete, we then. */
	return ours.refused || ours.in_close || !server.notes.refused ||
	    (ours.count > 0 && ours.list[ours.count - 1].op == WS_OP_CLOSE);
}

static void
show(void)
{
	for (size_t i = 0; i < up.len && i < 80; i++)
		printf("%02x", up.bytes[i]);
	printf("\n");
}

int
main(void)
{
	size_t things = 0, same = 0, stricter = 0, laxer = 0;

	for (size_t i = 0; i < sizeof(filler); i++)
		filler[i] = (uint8_t)(i * 31 + i / 256);
	for (int i = 0; i < ROUNDS; i++)
		things += converse();
	for (int i = 0; i < SPOILT; i++) {
		mumble();
		for (unsigned n = draw(3); n > 0; n--)
			spoil();
		if (!no_laxer(&same, &stricter)) {
			if (laxer++ < 10)
				show();
		}
	}
	printf("wslay %s: %d conversations of %zu messages; %d spoilt: alike "
	       "%zu, we refuse more %zu, we are laxer %zu\n",
	    WSLAY_VERSION, ROUNDS, things, SPOILT, same, stricter, laxer);
	return laxer == 0 ? 0 : 1;
}
