#include "tests/bench/driver/link.h"

#include "common/clock.h"
#include "common/tls.h"
#include "common/tunnel.h"
#include "common/ws.h"
#include "tests/bench/driver/talk.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GREETING_MS 30000
#define PING_MS 60000 /* the relay's interval is shorter */
#define MASKED 0x80

/* An answer that waits for its time. */
struct later {
	STAILQ_ENTRY(later) next;
	uint32_t stream;
	uint64_t due_ms;
	size_t sent; /* bytes */
	uint8_t body[TALK_ANSWER_LEN];
};

STAILQ_HEAD(later_list, later);

struct link {
	const struct link_settings *settings;
	struct loop *loop;
	uint32_t number;
	struct wire *wire; /* NULL: over */
	struct tunnel *tunnel;
	bool upgraded;
	uint64_t asked_us; /* CLAIM, then the ping */
	uint64_t claim_us;
	struct loop_timer timer; /* the tunnel's, and late answers' */
	struct later_list late;
	struct loop_grave grave;
	const struct link_ops *ops;
	void *arg;
};

/*
 * WebSocket.
 */

static void
put_message(struct link *l, uint8_t opcode, struct span head, struct span body)
{
	uint8_t bytes[16];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (l->wire == NULL)
		return;
	ws_put_header(&w, opcode, head.len + body.len);
	bytes[1] |= MASKED;
	writer_zeros(&w, 4);
	wire_write(l->wire, writer_span(&w));
	wire_write(l->wire, head);
	wire_write(l->wire, body);
}

static void
on_send(void *arg, struct span head, struct span body)
{
	put_message(arg, WS_OP_BINARY, head, body);
}

static void
over(struct link *l, const char *why)
{
	struct wire *wire = l->wire;

	if (wire == NULL)
		return;
	l->wire = NULL;
	wire_close(wire);
	tunnel_close(l->tunnel, TUNNEL_CLOSE_LOST, why);
	l->ops->gone(l->arg, l, why);
}

static void
on_up(struct link *l, uint64_t ping_us)
{
	l->ops->up(l->arg, l, l->claim_us, ping_us);
}

static void
on_message(struct link *l, uint8_t opcode, struct span data)
{
	switch (opcode) {
	case WS_OP_BINARY:
		tunnel_input(l->tunnel, data, clock_ms());
		break;
	case WS_OP_PONG:
		on_up(l, clock_us() - l->asked_us);
		break;
	case WS_OP_CLOSE:
		over(l, "closed by the relay");
		break;
	default:
		break;
	}
}

/* Bytes of the first message at ${in}, all of it; 0: not whole yet. */
static size_t
take_message(struct link *l, struct span in)
{
	struct reader r = reader_of(in);
	uint8_t first = reader_u8(&r), len7 = reader_u8(&r);
	size_t len = len7 == 126 ? reader_be16(&r) : len7;
	struct span data = reader_take(&r, len);

	if (!reader_ok(&r))
		return 0;
	on_message(l, first & 0x0f, data);
	return in.len - r.rest.len;
}

static void
touch(struct link *l)
{
	uint64_t due = tunnel_deadline(l->tunnel), now = clock_ms();
	const struct later *first = STAILQ_FIRST(&l->late);

	if (first != NULL && first->due_ms < due)
		due = first->due_ms;
	if (l->wire != NULL && due != TUNNEL_NEVER)
		loop_timer_set(&l->timer, due > now ? due - now : 0);
}

static size_t
on_data(void *arg, const uint8_t *ptr, size_t len)
{
	struct link *l = arg;
	size_t took = 0, n;
	const uint8_t *end;

	if (!l->upgraded) {
		end = memmem(ptr, len, "\r\n\r\n", 4);
		if (end == NULL)
			return 0;
		if (memcmp(ptr, "HTTP/1.1 101", 12) != 0) {
			over(l, "no upgrade");
			return len;
		}
		l->upgraded = true;
		took = (size_t)(end - ptr) + 4;
	}
	while (l->wire != NULL && took < len &&
	    (n = take_message(l, span_of(ptr + took, len - took))) > 0)
		took += n;
	if (l->wire != NULL)
		touch(l);
	return took;
}

static void
on_open(void *arg)
{
	struct link *l = arg;
	char text[512];
	int n;

	n = snprintf(text, sizeof(text),
	    "GET %s/agent/v1 HTTP/1.1\r\nHost: localhost\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Protocol: " TUNNEL_SUBPROTOCOL "\r\n\r\n",
	    l->settings->base);
	wire_write(l->wire, span_of(text, (size_t)n));
}

static void
on_gone(void *arg, const char *why)
{
	struct link *l = arg;

	/* The wire is closed already. */
	l->wire = NULL;
	tunnel_close(l->tunnel, TUNNEL_CLOSE_LOST, why);
	l->ops->gone(l->arg, l, why);
}

static const struct wire_ops link_wire = {
	.open = on_open,
	.data = on_data,
	.gone = on_gone,
};

/*
 * Greeting.
 */

static EVP_PKEY *
key_of(const struct link *l)
{
	EVP_PKEY **key = &l->settings->keys[l->number - l->settings->first];
	uint8_t seed[TALK_KEY_LEN];

	if (*key == NULL) {
		talk_seed(seed, l->number);
		*key = EVP_PKEY_new_raw_private_key(
		    EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
	}
	return *key;
}

static int
sign(uint8_t out[FRAME_SIGNATURE_LEN], uint8_t key[FRAME_KEY_LEN],
    EVP_PKEY *pkey, struct span text)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = FRAME_SIGNATURE_LEN, key_len = FRAME_KEY_LEN;
	int rc = -1;

	if (ctx != NULL && pkey != NULL &&
	    EVP_PKEY_get_raw_public_key(pkey, key, &key_len) == 1 &&
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestSign(ctx, out, &len, text.ptr, text.len) == 1)
		rc = 0;
	EVP_MD_CTX_free(ctx);
	return rc;
}

static void
on_challenge(void *arg, const struct frame_challenge *c)
{
	struct link *l = arg;
	uint8_t exporter[TUNNEL_EXPORTER_LEN] = { 0 };
	uint8_t signature[FRAME_SIGNATURE_LEN], key[FRAME_KEY_LEN];
	uint8_t boot[FRAME_BOOT_ID_LEN] = { 1 };
	uint8_t text[TUNNEL_HELLO_TEXT_MAX];
	struct writer w = writer_of(text, sizeof(text));
	struct frame_hello hello = {
		.key = span_of(key, sizeof(key)),
		.signature = span_of(signature, sizeof(signature)),
		.software = span_str("relay-bench/1"),
		.boot_id = span_of(boot, sizeof(boot)),
	};

	if (c->binding != 0)
		tls_exporter(wire_ssl(l->wire), exporter, sizeof(exporter),
		    TUNNEL_EXPORTER_LABEL, NULL);
	tunnel_hello_text(&w, c->nonce, c->binding,
	    span_of(exporter, sizeof(exporter)), c->relay_name,
	    TUNNEL_SUBPROTOCOL);
	if (sign(signature, key, key_of(l), writer_span(&w)) != 0 ||
	    tunnel_hello(l->tunnel, &hello, clock_ms(), NULL) != 0)
		tunnel_close(l->tunnel, TUNNEL_CLOSE_OK, "cannot sign");
}

static void
on_welcome(void *arg, const struct frame_welcome *welcome)
{
	struct link *l = arg;
	struct uuid vm = talk_vm(l->number);
	uint8_t names[64];
	struct writer w = writer_of(names, sizeof(names));
	struct frame_claim claim = { .mode = FRAME_MODE_EXCLUSIVE };
	uint32_t number;

	(void)welcome;
	frame_put_name(&w, &vm, span_of(NULL, 0));
	claim.names = writer_span(&w);
	l->asked_us = clock_us();
	tunnel_claim(l->tunnel, &number, &claim, NULL);
}

static void
on_claimed(void *arg, uint32_t number, const struct frame_claimed *claimed)
{
	struct link *l = arg;
	struct span rest = claimed->results;
	enum frame_result result;
	struct uuid vm;

	(void)number;
	if (!frame_next_result(&rest, &vm, &result) ||
	    result != FRAME_CLAIM_OK) {
		tunnel_close(l->tunnel, TUNNEL_CLOSE_OK, "claim denied");
		return;
	}
	l->claim_us = clock_us() - l->asked_us;
	if (!l->settings->ping) {
		on_up(l, 0);
		return;
	}
	l->asked_us = clock_us();
	put_message(l, WS_OP_PING, span_str("now"), span_of(NULL, 0));
}

/*
 * Requests.
 */

/* Send ${part} bytes of the answer, now; frees ${later} once all is gone. */
static void
respond(struct link *l, struct later *later, size_t part)
{
	static const char json[] = "application/json";
	uint8_t headers[64];
	struct writer w = writer_of(headers, sizeof(headers));
	struct frame_response r = { .status = 200,
		.body_length = TALK_ANSWER_LEN,
		.body = span_of(later->body, part) };

	frame_put_header(&w, span_str("content-type"), span_str(json));
	r.headers = writer_span(&w);
	if (tunnel_respond(l->tunnel, later->stream, &r, &later->sent, NULL) ==
		0 &&
	    later->sent < part)
		tunnel_set_user(l->tunnel, later->stream, later);
	else
		free(later);
}

/* Now, or when its time has come. */
static void
answer(struct link *l, struct later *later)
{
	if (l->settings->delay_ms == 0) {
		respond(l, later, TALK_ANSWER_LEN);
		return;
	}
	later->due_ms = clock_ms() + l->settings->delay_ms;
	STAILQ_INSERT_TAIL(&l->late, later, next);
}

static void
on_request(
    void *arg, uint32_t stream, const struct frame_request *request, bool end)
{
	struct link *l = arg;
	struct later *later = malloc(sizeof(*later));
	bool stuck = l->settings->stuck &&
	    memmem(request->path.ptr, request->path.len, "/validate", 9) !=
		NULL;

	if (later == NULL)
		abort();
	later->stream = stream;
	tunnel_consumed(l->tunnel, stream, request->body.len);
	if (!talk_answer(later->body, request->path)) {
		tunnel_reset(l->tunnel, stream, FRAME_RESET_INTERNAL, "what?");
		free(later);
	} else if (stuck) {
		respond(l, later, TALK_ANSWER_LEN / 2);
	} else if (!end) {
		tunnel_set_user(l->tunnel, stream, later);
	} else {
		answer(l, later);
	}
}

static void
on_timer(void *arg)
{
	struct link *l = arg;
	uint64_t now = clock_ms();
	struct later *later;

	while (l->wire != NULL && (later = STAILQ_FIRST(&l->late)) != NULL &&
	    later->due_ms <= now) {
		STAILQ_REMOVE_HEAD(&l->late, next);
		respond(l, later, TALK_ANSWER_LEN);
	}
	tunnel_tick(l->tunnel, now);
	touch(l);
}

static void
on_body(void *arg, uint32_t stream, void *user, struct span bytes, bool end)
{
	struct link *l = arg;

	tunnel_consumed(l->tunnel, stream, bytes.len);
	if (!end || user == NULL)
		return;
	tunnel_set_user(l->tunnel, stream, NULL);
	answer(l, user);
}

static void
on_reset(
    void *arg, uint32_t stream, void *user, uint32_t code, struct span text)
{
	(void)arg;
	(void)stream;
	(void)code;
	(void)text;
	free(user);
}

static void
on_writable(void *arg, uint32_t stream, void *user)
{
	struct link *l = arg;
	struct later *later = user;

	if (later == NULL)
		return;
	later->sent += tunnel_send(l->tunnel, stream,
	    span_of(later->body + later->sent, TALK_ANSWER_LEN - later->sent));
	if (later->sent == TALK_ANSWER_LEN)
		free(later);
}

static void
on_goaway(void *arg, const struct frame_goaway *g)
{
	struct link *l = arg;

	if (g->code != FRAME_GOAWAY_SUPERSEDED)
		l->ops->move(
		    l->arg, l, g->reconnect_min_ms, g->reconnect_max_ms);
}

static void
on_drained(void *arg)
{
	(void)arg;
}

static void
on_closed(void *arg, unsigned code, const char *why)
{
	struct link *l = arg;

	if (code != TUNNEL_CLOSE_LOST)
		over(l, why);
}

static void
on_notice(void *arg, const struct frame_notice *notice)
{
	(void)arg;
	(void)notice;
}

static const struct tunnel_ops link_tunnel = {
	.send = on_send,
	.data = on_body,
	.reset = on_reset,
	.writable = on_writable,
	.goaway = on_goaway,
	.drained = on_drained,
	.closed = on_closed,
	.challenge = on_challenge,
	.welcome = on_welcome,
	.claimed = on_claimed,
	.request = on_request,
	.notice = on_notice,
};

struct link *
link_dial(const struct link_settings *settings, struct loop *loop,
    uint32_t number, const struct link_ops *ops, void *arg)
{
	struct tunnel_config config = { .role = TUNNEL_AGENT,
		.max_streams = TUNNEL_STREAMS_MAX,
		.ping_ms = PING_MS };
	struct link *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->settings = settings;
	l->loop = loop;
	l->number = number;
	l->ops = ops;
	l->arg = arg;
	STAILQ_INIT(&l->late);
	loop_timer_init(&l->timer, loop, on_timer, l);
	l->tunnel = tunnel_new(&config, &link_tunnel, l, clock_ms());
	if (l->tunnel == NULL ||
	    wire_dial(&l->wire, loop, settings->ctx, &settings->to, &link_wire,
		l, NULL) != 0) {
		link_free(l);
		return NULL;
	}
	/* As attest-agent: a connection that the other end's queue has lost
	 * would wait for minutes. */
	loop_timer_set(&l->timer, GREETING_MS);
	return l;
}

void
link_leave(struct link *l)
{
	tunnel_goaway(l->tunnel, FRAME_GOAWAY_SHUTDOWN, 0, 0, span_of(NULL, 0));
}

static void
release(void *arg)
{
	struct link *l = arg;
	struct later *later;

	while ((later = STAILQ_FIRST(&l->late)) != NULL) {
		STAILQ_REMOVE_HEAD(&l->late, next);
		free(later);
	}
	tunnel_free(l->tunnel);
	free(l);
}

void
link_free(struct link *l)
{
	struct wire *wire;

	if (l == NULL)
		return;
	wire = l->wire;
	l->wire = NULL;
	wire_close(wire);
	loop_timer_free(&l->timer);
	loop_bury(l->loop, &l->grave, release, l);
}
