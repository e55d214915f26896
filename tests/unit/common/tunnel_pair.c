#include "tests/unit/common/tunnel_pair.h"

#include <stdio.h>

static const uint8_t filler[1 << 21];

__attribute__((format(printf, 2, 3))) static void
note(struct pair_end *e, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(e->log + e->log_len, PAIR_LOG_MAX - e->log_len, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < PAIR_LOG_MAX - e->log_len);
	e->log_len += (size_t)n;
}

static void
enqueue(struct pair_end *to, struct span head, struct span body)
{
	struct pair_message *m = malloc(sizeof(*m) + head.len + body.len);

	m->next = NULL;
	m->len = head.len + body.len;
	if (head.len > 0)
		memcpy(m->bytes, head.ptr, head.len);
	if (body.len > 0)
		memcpy(m->bytes + head.len, body.ptr, body.len);
	*to->tail = m;
	to->tail = &m->next;
}

static void
on_send(void *arg, struct span head, struct span body)
{
	struct pair_end *e = arg;

	assert_true(head.len + body.len <= FRAME_MAX);
	e->sent++;
	e->last_type = head.ptr[0];
	enqueue(e->peer, head, body);
}

static void
eat(struct pair_end *e, uint32_t stream, size_t len)
{
	e->body_sum += len;
	if (e->eat)
		tunnel_consumed(e->tunnel, stream, len);
}

static void
on_data(void *arg, uint32_t stream, void *user, struct span bytes, bool end)
{
	struct pair_end *e = arg;

	(void)user;
	note(e, "data %u %zu%s;", stream, bytes.len, end ? " end" : "");
	eat(e, stream, bytes.len);
}

static void
on_reset(
    void *arg, uint32_t stream, void *user, uint32_t code, struct span text)
{
	(void)user;
	note(arg, "reset %u %u %.*s;", stream, code, (int)text.len,
	    (const char *)text.ptr);
}

static void
on_writable(void *arg, uint32_t stream, void *user)
{
	(void)user;
	note(arg, "writable %u;", stream);
}

static void
on_goaway(void *arg, const struct frame_goaway *goaway)
{
	note(arg, "goaway %u %u;", goaway->code, goaway->last_stream);
}

static void
on_drained(void *arg)
{
	note(arg, "drained;");
}

static void
on_closed(void *arg, unsigned code, const char *why)
{
	note(arg, "closed %u %s;", code, why);
}

static void
on_hello(void *arg, const struct frame_hello *hello)
{
	struct pair_end *e = arg;

	note(e, "hello %u;", hello->max_streams);
	if (!e->hold)
		pair_welcome(e->pair);
}

static void
on_claim(void *arg, uint32_t number, const struct frame_claim *claim)
{
	note(arg, "claim %u %zu;", number, claim->names.len);
}

static void
on_unclaim(void *arg, const struct frame_unclaim *unclaim)
{
	note(arg, "unclaim %zu;", unclaim->uuids.len);
}

static void
on_response(void *arg, uint32_t stream, void *user,
    const struct frame_response *response, bool end)
{
	struct pair_end *e = arg;

	assert_ptr_equal(user, e->pair);
	note(e, "response %u %u %zu/%u%s;", stream, response->status,
	    response->body.len, response->body_length, end ? " end" : "");
	eat(e, stream, response->body.len);
}

static void
on_pending(
    void *arg, uint32_t stream, void *user, const struct frame_pending *pending)
{
	(void)user;
	note(arg, "pending %u %u %u;", stream, pending->reason,
	    pending->extend_ms);
}

static void
on_challenge(void *arg, const struct frame_challenge *challenge)
{
	struct pair_end *e = arg;

	note(e, "challenge %u;", challenge->max_streams);
	if (!e->hold)
		pair_hello(e->pair);
}

static void
on_welcome(void *arg, const struct frame_welcome *welcome)
{
	note(arg, "welcome %u;", welcome->ping_ms);
}

static void
on_claimed(void *arg, uint32_t number, const struct frame_claimed *claimed)
{
	note(arg, "claimed %u %zu;", number, claimed->results.len);
}

static void
on_request(
    void *arg, uint32_t stream, const struct frame_request *request, bool end)
{
	struct pair_end *e = arg;

	note(e, "request %u %zu/%u%s;", stream, request->body.len,
	    request->body_length, end ? " end" : "");
	tunnel_set_user(e->tunnel, stream, e->pair);
	eat(e, stream, request->body.len);
}

static void
on_notice(void *arg, const struct frame_notice *notice)
{
	note(arg, "notice %u %.*s;", notice->code, (int)notice->text.len,
	    (const char *)notice->text.ptr);
}

static const struct tunnel_ops relay_ops = {
	.send = on_send,
	.data = on_data,
	.reset = on_reset,
	.writable = on_writable,
	.goaway = on_goaway,
	.drained = on_drained,
	.closed = on_closed,
	.hello = on_hello,
	.claim = on_claim,
	.unclaim = on_unclaim,
	.response = on_response,
	.pending = on_pending,
};

static const struct tunnel_ops agent_ops = {
	.send = on_send,
	.data = on_data,
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

static void
open_end(struct pair *p, struct pair_end *e, struct pair_end *peer,
    const struct tunnel_config *config, enum tunnel_role role)
{
	struct tunnel_config c = *config;

	c.role = role;
	e->pair = p;
	e->peer = peer;
	e->tail = &e->head;
	e->eat = true;
	e->tunnel = tunnel_new(
	    &c, role == TUNNEL_RELAY ? &relay_ops : &agent_ops, e, p->now_ms);
	assert_non_null(e->tunnel);
}

void
pair_open(struct pair *p, const struct tunnel_config *config)
{
	memset(p, 0, sizeof(*p));
	p->now_ms = 1000000;
	open_end(p, &p->relay, &p->agent, config, TUNNEL_RELAY);
	open_end(p, &p->agent, &p->relay, config, TUNNEL_AGENT);
}

void
pair_start(struct pair *p)
{
	struct frame_challenge c = { .nonce = span_of(filler, 32),
		.relay_name = span_str("relay"),
		.max_claims = 4096,
		.binding = 1 };
	struct err err;

	if (tunnel_start(p->relay.tunnel, &c, &err) != 0)
		fail_msg("%s", err.msg);
}

void
pair_hello(struct pair *p)
{
	struct frame_hello h = { .key = span_of(filler, 32),
		.signature = span_of(filler, 64),
		.software = span_str("a/1"),
		.boot_id = span_of(filler, 16) };
	struct err err;

	if (tunnel_hello(p->agent.tunnel, &h, p->now_ms, &err) != 0)
		fail_msg("%s", err.msg);
}

void
pair_welcome(struct pair *p)
{
	struct frame_welcome w = { .tenant = span_str("acme"),
		.ping_ms = 22000,
		.session_number = 1 };
	struct err err;

	if (tunnel_welcome(p->relay.tunnel, &w, p->now_ms, &err) != 0)
		fail_msg("%s", err.msg);
}

void
pair_ready(struct pair *p, const struct tunnel_config *config)
{
	pair_open(p, config);
	pair_start(p);
	pair_run(p);
	assert_int_equal(tunnel_phase(p->relay.tunnel), TUNNEL_READY);
	assert_int_equal(tunnel_phase(p->agent.tunnel), TUNNEL_READY);
	p->relay.log_len = p->agent.log_len = 0;
	p->relay.sent = p->agent.sent = 0;
}

bool
pair_deliver(struct pair_end *e)
{
	struct pair_message *m = e->head;
	uint8_t *copy;

	if (m == NULL)
		return false;
	e->head = m->next;
	if (e->head == NULL)
		e->tail = &e->head;
	copy = exact(span_of(m->bytes, m->len));
	tunnel_input(e->tunnel, span_of(copy, m->len), e->pair->now_ms);
	free(copy);
	free(m);
	return true;
}

void
pair_run(struct pair *p)
{
	bool moved;

	do {
		moved = pair_deliver(&p->relay);
		moved = pair_deliver(&p->agent) || moved;
	} while (moved);
}

void
pair_close(struct pair *p)
{
	struct pair_end *ends[] = { &p->relay, &p->agent };

	for (size_t i = 0; i < COUNT(ends); i++) {
		tunnel_free(ends[i]->tunnel);
		while (ends[i]->head != NULL) {
			struct pair_message *m = ends[i]->head;

			ends[i]->head = m->next;
			free(m);
		}
	}
}

void
pair_inject(struct pair_end *e, const struct frame *f)
{
	uint8_t bytes[FRAME_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct err err;

	if (frame_encode(&w, f, &err) != 0)
		fail_msg("%s", err.msg);
	tunnel_input(e->tunnel, writer_span(&w), e->pair->now_ms);
}

struct frame
pair_data(uint32_t id, size_t len, bool end)
{
	static const uint8_t zeros[FRAME_MAX];

	return (struct frame){ .type = FRAME_DATA,
		.stream = id,
		.end = end,
		.data = span_of(zeros, len) };
}

void
pair_log(struct pair_end *e, const char *want)
{
	e->log[e->log_len] = '\0';
	e->log_len = 0;
	assert_string_equal(e->log, want);
}

uint32_t
pair_request(struct pair *p, size_t len, size_t *left)
{
	struct frame_request r = { .method = span_str("POST"),
		.path = span_str("/vm/x/launch"),
		.body_length = (uint32_t)len,
		.deadline_ms = 30000,
		.body = span_of(filler, len) };
	uint32_t id;
	size_t taken;
	struct err err;

	assert_true(len <= sizeof(filler));
	if (tunnel_open(p->relay.tunnel, &id, p, &r, &taken, &err) != 0)
		fail_msg("%s", err.msg);
	if (left != NULL)
		*left = len - taken;
	else
		assert_int_equal(taken, len);
	return id;
}

void
pair_respond(struct pair *p, uint32_t id, size_t len, size_t *left)
{
	struct frame_response r = { .status = 200,
		.body_length = (uint32_t)len,
		.body = span_of(filler, len) };
	size_t taken;
	struct err err;

	if (tunnel_respond(p->agent.tunnel, id, &r, &taken, &err) != 0)
		fail_msg("%s", err.msg);
	if (left != NULL)
		*left = len - taken;
	else
		assert_int_equal(taken, len);
}
