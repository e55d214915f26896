#include "tests/unit/common/tunnel_pair.h"

#include <stdio.h>

/* What a peer that keeps to no limit comes to: of streams, of claims, and of
 * the bytes that may be on their way (docs/protocol.md 12.4). */

static const struct tunnel_config plain = { .ping_ms = 20000 };
static const uint8_t zeros[FRAME_MAX];

static struct frame
request(uint32_t id, uint32_t length, size_t body, bool end)
{
	return (struct frame){ .type = FRAME_REQUEST,
		.stream = id,
		.end = end,
		.request = { .method = span_str("POST"),
		    .path = span_str("/"),
		    .body_length = length,
		    .deadline_ms = 30000,
		    .body = span_of(zeros, body) } };
}

/* Fill the window of stream ${id}, which a REQUEST of ours opens. */
static void
fill_stream(struct pair_end *to, uint32_t id)
{
	struct frame f = request(id, 2 * TUNNEL_STREAM_WINDOW, 16000, false);

	pair_inject(to, &f);
	f = pair_data(id, 16000, false);
	for (int i = 0; i < 3; i++)
		pair_inject(to, &f);
	f = pair_data(id, TUNNEL_STREAM_WINDOW - 4 * 16000, false);
	pair_inject(to, &f);
}

/* Sixteen streams fill the tunnel's window, and the next byte is too many,
 * whatever it comes in. */
static void
the_window_of_all_is_kept(void **state)
{
	const struct frame over[] = { request(33, 9, 1, false),
		request(33, 1, 1, true), pair_data(1, 1, false) };
	struct tunnel_config c = plain;

	(void)state;
	c.max_streams = 20;
	for (size_t i = 0; i < COUNT(over); i++) {
		struct pair p;

		pair_ready(&p, &c);
		p.agent.eat = false;
		for (uint32_t k = 0; k < 16; k++)
			fill_stream(&p.agent, 2 * k + 1);
		assert_int_equal(tunnel_phase(p.agent.tunnel), TUNNEL_READY);
		assert_int_equal(p.agent.sent, 0);
		p.agent.log_len = 0;
		pair_inject(&p.agent, &over[i]);
		p.agent.log[p.agent.log_len] = '\0';
		assert_says(
		    "over", p.agent.log, "closed 4403 body over its window");
		assert_null(strstr(p.agent.log, "request"));
		pair_close(&p);
	}
}

/* Bytes for a stream that is over still count, and are given back, once. */
static void
late_bytes_are_given_back(void **state)
{
	struct frame f = pair_data(1, 16384 - FRAME_HEADER_LEN, false);
	uint64_t late = 0;
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	pair_request(&p, 1, NULL);
	pair_run(&p);
	tunnel_reset(p.agent.tunnel, 1, FRAME_RESET_CANCELLED, NULL);
	pair_run(&p);
	p.agent.sent = 0;
	for (int i = 0; i < 400; i++) {
		pair_inject(&p.agent, &f);
		late += f.data.len;
	}
	assert_int_equal(tunnel_phase(p.agent.tunnel), TUNNEL_READY);
	/* Half a window at a time, and not more than has come. */
	assert_true(p.agent.sent >= late / (TUNNEL_WINDOW / 2 + 16384));
	assert_true(p.agent.sent <= late / (TUNNEL_WINDOW / 2));
	pair_run(&p);
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
	pair_close(&p);
}

/* Who consumes more than there is gives no credit for it. */
static void
credit_is_for_bytes_that_came(void **state)
{
	size_t left;
	struct pair p;
	uint32_t id;

	(void)state;
	pair_ready(&p, &plain);
	p.agent.eat = false;
	id = pair_request(&p, 4 * TUNNEL_STREAM_WINDOW, &left);
	assert_int_equal(left, 3 * TUNNEL_STREAM_WINDOW);
	for (int i = 0; i < 2; i++) {
		pair_run(&p);
		/* All of it, and then what is there no more. */
		for (int k = 0; k < 3; k++)
			tunnel_consumed(
			    p.agent.tunnel, id, TUNNEL_STREAM_WINDOW + 1);
		pair_run(&p);
		for (size_t sent, n = 0; left > 0; n += sent) {
			sent = tunnel_send(p.relay.tunnel, id,
			    span_of(zeros,
				left < sizeof(zeros) ? left : sizeof(zeros)));
			left -= sent;
			if (sent == 0) {
				assert_int_equal(n, TUNNEL_STREAM_WINDOW);
				break;
			}
		}
	}
	assert_int_equal(left, TUNNEL_STREAM_WINDOW);
	pair_close(&p);
}

/* A REQUEST whose body is not what it says is nobody's. */
static void
requests_that_lie_open_nothing(void **state)
{
	const struct {
		struct frame f;
		const char *says;
	} bad[] = {
		{ request(1, 2, 3, true), "body longer" },
		{ request(1, 4, 3, true), "END before" },
		{ request(1, 3, 3, false), "no END" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct frame next = request(3, 1, 1, true);
		struct pair p;

		pair_ready(&p, &plain);
		pair_inject(&p.agent, &bad[i].f);
		pair_log(&p.agent, "");
		assert_int_equal(p.agent.last_type, FRAME_RESET);
		assert_int_equal(tunnel_streams(p.agent.tunnel), 0);
		pair_inject(&p.agent, &next);
		pair_log(&p.agent, "request 3 1/1 end;");
		pair_close(&p);
	}
}

/* Whichever of several streams ends, the others stay what they were. */
static void
one_end_moves_no_other_stream(void **state)
{
	(void)state;
	for (uint32_t gone = 1; gone <= 7; gone += 2) {
		struct pair p;
		char log[64];

		pair_ready(&p, &plain);
		for (int i = 0; i < 4; i++)
			pair_request(&p, 1, NULL);
		pair_run(&p);
		tunnel_reset(p.relay.tunnel, gone, FRAME_RESET_CANCELLED, NULL);
		pair_run(&p);
		for (uint32_t id = 1; id <= 7; id += 2) {
			if (id == gone)
				continue;
			assert_ptr_equal(tunnel_user(p.relay.tunnel, id), &p);
			pair_respond(&p, id, 2, NULL);
			pair_run(&p);
			snprintf(
			    log, sizeof(log), "response %u 200 2/2 end;", id);
			pair_log(&p.relay, log);
		}
		pair_close(&p);
	}
}

static void
answers_are_given_once(void **state)
{
	struct frame_response r = {
		.status = 200, .body_length = 2, .body = span_of(zeros, 3)
	};
	struct frame late = { .type = FRAME_PENDING,
		.stream = 1,
		.pending = { .reason = 1, .extend_ms = 5 } };
	struct frame first = { .type = FRAME_RESPONSE,
		.stream = 1,
		.response = { .status = 200, .body_length = 1 } };
	struct err err;
	size_t taken;
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	pair_request(&p, 1, NULL);
	pair_run(&p);
	assert_int_equal(
	    tunnel_respond(p.agent.tunnel, 1, &r, &taken, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_int_equal(
	    tunnel_respond(p.relay.tunnel, 1, &r, &taken, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	r.body_length = 4;
	assert_int_equal(
	    tunnel_respond(p.agent.tunnel, 1, &r, &taken, &err), 0);
	assert_int_equal(
	    tunnel_respond(p.agent.tunnel, 1, &r, &taken, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	/* Who answers is not pending any more. */
	p.agent.sent = 0;
	tunnel_pending(p.agent.tunnel, 1, 1, 1000);
	assert_int_equal(p.agent.sent, 0);
	pair_close(&p);
	pair_ready(&p, &plain);
	pair_request(&p, 1, NULL);
	pair_inject(&p.relay, &late);
	pair_log(&p.relay, "pending 1 1 5;");
	pair_inject(&p.relay, &first);
	pair_inject(&p.relay, &late);
	pair_log(&p.relay, "response 1 200 0/1;");
	pair_close(&p);
}

/* What an agent says it takes is what the relay gives it. */
static void
an_agent_may_take_fewer_streams(void **state)
{
	struct frame hello = { .type = FRAME_HELLO,
		.hello = { .key = span_of(zeros, 32),
		    .signature = span_of(zeros, 64),
		    .software = span_str("a/1"),
		    .boot_id = span_of(zeros, 16),
		    .max_streams = 2 } };
	struct frame_request r = { .method = span_str("GET"),
		.path = span_str("/") };
	struct err err;
	uint32_t id;
	size_t taken;
	struct pair p;

	(void)state;
	pair_open(&p, &plain);
	pair_start(&p);
	pair_inject(&p.relay, &hello);
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
	for (size_t room = 2; room > 0; room--) {
		assert_int_equal(tunnel_room(p.relay.tunnel), room);
		pair_request(&p, 1, NULL);
	}
	assert_int_equal(tunnel_room(p.relay.tunnel), 0);
	assert_int_equal(
	    tunnel_open(p.relay.tunnel, &id, &p, &r, &taken, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	pair_close(&p);
}

static void
claims_that_are_answered_count_no_more(void **state)
{
	struct frame_claim claim = { .names = span_of(zeros, 17) };
	struct frame_claimed claimed = { .results = span_of(zeros, 17) };
	struct frame unasked = {
		.type = FRAME_CLAIMED, .stream = 1, .claimed = claimed
	};
	struct err err;
	uint32_t number;
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	for (uint32_t i = 1; i <= 3 * TUNNEL_CLAIMS_OPEN_MAX; i++) {
		assert_int_equal(
		    tunnel_claim(p.agent.tunnel, &number, &claim, &err), 0);
		pair_run(&p);
		assert_int_equal(
		    tunnel_claimed(p.relay.tunnel, number, &claimed, &err), 0);
		/* An answer to nothing. */
		assert_int_equal(
		    tunnel_claimed(p.relay.tunnel, number, &claimed, &err), -1);
		pair_run(&p);
	}
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
	pair_close(&p);
	pair_ready(&p, &plain);
	pair_inject(&p.agent, &unasked);
	pair_log(&p.agent, "closed 4401 CLAIMED 1, want 0;");
	pair_close(&p);
}

/* Each step of a greeting once, and in its turn. */
static void
steps_out_of_turn_are_refused(void **state)
{
	struct frame_challenge challenge = { .nonce = span_of(zeros, 32),
		.relay_name = span_str("relay"),
		.max_claims = 1 };
	struct frame_hello hello = { .key = span_of(zeros, 32),
		.signature = span_of(zeros, 64),
		.software = span_str("a/1"),
		.boot_id = span_of(zeros, 16) };
	struct frame_welcome welcome = { .tenant = span_str("acme"),
		.ping_ms = 22000,
		.session_number = 1 };
	struct frame_claim claim = { .names = span_of(zeros, 17) };
	struct frame_unclaim unclaim = { .uuids = span_of(zeros, 16) };
	uint32_t number;
	struct pair p;

	(void)state;
	for (int ready = 0; ready <= 1; ready++) {
		if (ready)
			pair_ready(&p, &plain);
		else
			pair_open(&p, &plain);
		if (ready)
			assert_int_equal(
			    tunnel_start(p.relay.tunnel, &challenge, NULL), -1);
		assert_int_equal(
		    tunnel_hello(p.agent.tunnel, &hello, p.now_ms, NULL), -1);
		assert_int_equal(
		    tunnel_welcome(p.relay.tunnel, &welcome, p.now_ms, NULL),
		    -1);
		/* Claims are an agent's, and of a tunnel that is ready. */
		assert_int_equal(
		    tunnel_claim(ready ? p.relay.tunnel : p.agent.tunnel,
			&number, &claim, NULL),
		    -1);
		assert_int_equal(
		    tunnel_unclaim(ready ? p.relay.tunnel : p.agent.tunnel,
			&unclaim, NULL),
		    -1);
		assert_int_equal(p.relay.sent + p.agent.sent, 0);
		pair_close(&p);
	}
}

/* What the vault signs for a net that it does not trust: such a text alone. */
static void
knows_the_text_of_a_hello(void **state)
{
	const struct span key = span_of(zeros, 32);
	uint8_t text[TUNNEL_HELLO_TEXT_MAX + 1] = { 0 };
	struct writer w = writer_of(text, sizeof(text) - 1);

	(void)state;
	tunnel_hello_text(&w, key, 1, key, span_str("relay"), "v1");
	for (size_t len = 0; len <= w.len + 1; len++) {
		uint8_t *copy = exact(span_of(text, len));

		assert_int_equal(
		    tunnel_is_hello_text(span_of(copy, len)), len == w.len);
		free(copy);
	}
	/* Each byte of the label, with its NUL, and the byte behind the
	 * nonce, which is 0 or 1. */
	for (size_t i = 0; i < 22; i++) {
		text[i] ^= 0x20;
		assert_false(tunnel_is_hello_text(writer_span(&w)));
		text[i] ^= 0x20;
	}
	for (unsigned binding = 0; binding < 256; binding++) {
		text[22 + FRAME_NONCE_LEN] = (uint8_t)binding;
		assert_int_equal(
		    tunnel_is_hello_text(writer_span(&w)), binding <= 1);
	}
	w = writer_of(text, sizeof(text));
	tunnel_hello_text(&w, key, 2, key, span_str("relay"), "v1");
	assert_false(writer_ok(&w));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_window_of_all_is_kept),
		cmocka_unit_test(late_bytes_are_given_back),
		cmocka_unit_test(credit_is_for_bytes_that_came),
		cmocka_unit_test(requests_that_lie_open_nothing),
		cmocka_unit_test(one_end_moves_no_other_stream),
		cmocka_unit_test(answers_are_given_once),
		cmocka_unit_test(an_agent_may_take_fewer_streams),
		cmocka_unit_test(claims_that_are_answered_count_no_more),
		cmocka_unit_test(knows_the_text_of_a_hello),
		cmocka_unit_test(steps_out_of_turn_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
