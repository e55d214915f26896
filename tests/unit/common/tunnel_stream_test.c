#include "tests/unit/common/tunnel_pair.h"

#include <stdio.h>

static const struct tunnel_config plain = { .ping_ms = 20000 };
static const uint8_t zeros[FRAME_MAX];

static void
carries_a_small_exchange_in_two_frames(void **state)
{
	struct pair p;
	uint32_t id;

	(void)state;
	pair_ready(&p, &plain);
	for (uint32_t want = 1; want < 20; want += 2) {
		char log[64];

		id = pair_request(&p, 8000, NULL);
		assert_int_equal(id, want);
		pair_run(&p);
		snprintf(log, sizeof(log), "request %u 8000/8000 end;", id);
		pair_log(&p.agent, log);
		pair_respond(&p, id, 300, NULL);
		assert_int_equal(tunnel_streams(p.agent.tunnel), 0);
		pair_run(&p);
		snprintf(log, sizeof(log), "response %u 200 300/300 end;", id);
		pair_log(&p.relay, log);
		assert_int_equal(tunnel_streams(p.relay.tunnel), 0);
	}
	assert_int_equal(p.relay.sent, 10);
	assert_int_equal(p.agent.sent, 10);
	pair_close(&p);
}

/* Bodies of every length near the edges of frames and windows. */
static void
carries_bodies_of_any_length(void **state)
{
	static const size_t lens[] = { 0, 1, 16000, 16320, 16330, 16350, 16376,
		16384, 32768, 65535, 65536 };
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	for (size_t i = 0; i < COUNT(lens); i++) {
		uint32_t id;

		p.agent.body_sum = p.relay.body_sum = 0;
		id = pair_request(&p, lens[i], NULL);
		pair_run(&p);
		assert_int_equal(p.agent.body_sum, lens[i]);
		pair_respond(&p, id, lens[i], NULL);
		pair_run(&p);
		assert_int_equal(p.relay.body_sum, lens[i]);
		assert_int_equal(tunnel_streams(p.relay.tunnel), 0);
	}
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
	assert_int_equal(tunnel_phase(p.agent.tunnel), TUNNEL_READY);
	pair_close(&p);
}

static void
stops_at_the_window_and_goes_on(void **state)
{
	size_t left, total = 200000, sent;
	struct pair p;
	uint32_t id;

	(void)state;
	pair_ready(&p, &plain);
	p.agent.eat = false;
	id = pair_request(&p, total, &left);
	assert_int_equal(total - left, TUNNEL_STREAM_WINDOW);
	pair_run(&p);
	pair_log(&p.relay, "");
	/* Not yet half a window: no credit. */
	tunnel_consumed(p.agent.tunnel, id, 32767);
	pair_run(&p);
	pair_log(&p.relay, "");
	tunnel_consumed(p.agent.tunnel, id, 1);
	pair_run(&p);
	pair_log(&p.relay, "writable 1;");
	sent = tunnel_send(p.relay.tunnel, id, span_of(zeros, 16000));
	assert_int_equal(sent, 16000);
	left -= sent;
	p.agent.eat = true;
	tunnel_consumed(p.agent.tunnel, id, 1 << 20);
	for (int i = 0; left > 0 && i < 100; i++) {
		size_t n = left < 16000 ? left : 16000;

		left -= tunnel_send(p.relay.tunnel, id, span_of(zeros, n));
		pair_run(&p);
	}
	assert_int_equal(left, 0);
	assert_int_equal(p.agent.body_sum, total);
	pair_close(&p);
}

/* The connection's window never runs dry over a long life. */
static void
gives_the_connection_its_credit_back(void **state)
{
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	p.agent.eat = p.relay.eat = false;
	for (int i = 0; i < 200; i++) {
		uint32_t id = pair_request(&p, 60000, NULL);

		pair_run(&p);
		if (i % 3 == 0)
			tunnel_reset(
			    p.relay.tunnel, id, FRAME_RESET_CANCELLED, NULL);
		else
			pair_respond(&p, id, 60000, NULL);
		pair_run(&p);
		p.agent.log_len = p.relay.log_len = 0;
	}
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
	assert_int_equal(tunnel_phase(p.agent.tunnel), TUNNEL_READY);
	pair_close(&p);
}

static void
blocks_on_the_connection_and_wakes_all(void **state)
{
	struct tunnel_config c = plain;
	size_t left;
	struct pair p;

	(void)state;
	c.max_streams = 20;
	pair_ready(&p, &c);
	p.agent.eat = false;
	for (int i = 0; i < 16; i++)
		pair_request(&p, 65536, NULL);
	pair_request(&p, 10, &left);
	assert_int_equal(left, 10);
	pair_request(&p, 0, NULL);
	pair_run(&p);
	p.agent.log_len = 0;
	for (uint32_t id = 1; id <= 31; id += 2)
		tunnel_consumed(p.agent.tunnel, id, 65536);
	pair_run(&p);
	pair_log(&p.relay, "writable 33;");
	assert_int_equal(
	    tunnel_send(p.relay.tunnel, 33, span_of(zeros, 10)), 10);
	pair_run(&p);
	pair_log(&p.agent, "data 33 10 end;");
	pair_close(&p);
}

static void
keeps_to_the_smaller_number_of_streams(void **state)
{
	struct tunnel_config c = plain;
	struct frame_request r = { .method = span_str("GET"),
		.path = span_str("/") };
	uint32_t id;
	size_t taken;
	struct pair p;
	struct err err;

	(void)state;
	c.max_streams = 2;
	pair_ready(&p, &c);
	assert_int_equal(tunnel_room(p.relay.tunnel), 2);
	pair_request(&p, 1, NULL);
	pair_request(&p, 1, NULL);
	assert_int_equal(tunnel_room(p.relay.tunnel), 0);
	assert_int_equal(
	    tunnel_open(p.relay.tunnel, &id, NULL, &r, &taken, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	pair_run(&p);
	p.agent.log_len = 0;
	/* A relay that does not keep to it is refused, stream by stream. */
	pair_inject(&p.agent,
	    &(struct frame){ .type = FRAME_REQUEST,
		.stream = 5,
		.end = true,
		.request = r });
	pair_log(&p.agent, "");
	assert_int_equal(p.agent.last_type, FRAME_RESET);
	assert_int_equal(tunnel_streams(p.agent.tunnel), 2);
	pair_close(&p);
}

static void
ends_streams_from_either_side(void **state)
{
	struct pair p;
	uint32_t id;

	(void)state;
	pair_ready(&p, &plain);
	id = pair_request(&p, 1, NULL);
	pair_run(&p);
	tunnel_pending(p.agent.tunnel, id, FRAME_REASON_APPROVAL, 30000);
	tunnel_reset(p.agent.tunnel, id, FRAME_RESET_NOT_MINE, "other");
	tunnel_reset(p.agent.tunnel, id, FRAME_RESET_NOT_MINE, "other");
	pair_run(&p);
	pair_log(&p.relay, "pending 1 1 30000;reset 1 3 other;");
	id = pair_request(&p, 1, NULL);
	pair_run(&p);
	tunnel_reset(p.relay.tunnel, id, FRAME_RESET_DEADLINE, NULL);
	/* An answer on its way is dropped. */
	pair_respond(&p, id, 5, NULL);
	pair_run(&p);
	pair_log(&p.relay, "");
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
	pair_close(&p);
}

/* An answer may come, and end the stream, before the request is all sent. */
static void
lets_the_agent_answer_early(void **state)
{
	size_t left;
	struct pair p;
	uint32_t id;

	(void)state;
	pair_ready(&p, &plain);
	p.agent.eat = false;
	id = pair_request(&p, 100000, &left);
	pair_run(&p);
	pair_respond(&p, id, 3, NULL);
	pair_run(&p);
	pair_log(&p.relay, "response 1 200 3/3 end;");
	assert_int_equal(tunnel_send(p.relay.tunnel, id, span_of(zeros, 9)), 0);
	assert_int_equal(tunnel_streams(p.agent.tunnel), 0);
	pair_close(&p);
}

/*
 * Breaches.
 */

static struct frame
response(uint32_t id, uint32_t length, size_t body, bool end)
{
	return (struct frame){ .type = FRAME_RESPONSE,
		.stream = id,
		.end = end,
		.response = { .status = 200,
		    .body_length = length,
		    .body = span_of(zeros, body) } };
}

static void
ends_one_stream_for_its_breach(void **state)
{
	struct frame none = { .type = 0 };
	const struct {
		const char *name;
		struct frame first, second;
		const char *says;
	} cases[] = {
		{ "too long at once", response(1, 2, 3, true), none,
		    "body longer" },
		{ "too long later", response(1, 4, 3, false),
		    pair_data(1, 2, true), "body longer" },
		{ "END early", response(1, 4, 3, true), none, "END before" },
		{ "END early in DATA", response(1, 4, 1, false),
		    pair_data(1, 1, true), "END before" },
		{ "no END", response(1, 3, 3, false), none, "no END" },
		{ "no END of nothing", response(1, 0, 0, false), none,
		    "no END" },
		{ "no END in DATA", response(1, 3, 0, false),
		    pair_data(1, 3, false), "no END" },
		{ "DATA first", pair_data(1, 3, true), none,
		    "before RESPONSE" },
		{ "two answers", response(1, 3, 1, false),
		    response(1, 3, 1, false), "second RESPONSE" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct pair p;

		pair_ready(&p, &plain);
		pair_request(&p, 1, NULL);
		pair_inject(&p.relay, &cases[i].first);
		if (cases[i].second.type != 0)
			pair_inject(&p.relay, &cases[i].second);
		p.relay.log[p.relay.log_len] = '\0';
		assert_says(cases[i].name, p.relay.log, "reset 1 7 ");
		assert_says(cases[i].name, p.relay.log, cases[i].says);
		assert_int_equal(p.relay.last_type, FRAME_RESET);
		assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
		assert_int_equal(tunnel_streams(p.relay.tunnel), 0);
		pair_close(&p);
	}
}

static void
closes_after_three_breaches_in_a_minute(void **state)
{
	struct pair p;

	(void)state;
	for (int late = 0; late <= 1; late++) {
		pair_ready(&p, &plain);
		for (int i = 0; i < 3; i++) {
			uint32_t id = pair_request(&p, 1, NULL);
			struct frame f = response(id, 0, 0, false);

			p.now_ms += late && i == 2 ? 60001 : 0;
			pair_inject(&p.relay, &f);
		}
		assert_int_equal(tunnel_phase(p.relay.tunnel),
		    late ? TUNNEL_READY : TUNNEL_OVER);
		pair_close(&p);
	}
}

/* A value out of its range: that stream, and not the tunnel. */
static void
ends_one_stream_for_a_bad_value(void **state)
{
	static const uint8_t status[] = { 0x11, 1, 0, 0, 0, 0, 0, 1, 0, 0x42, 0,
		0, 0, 0x43, 0, 4, 0, 0, 0, 0, 0, 0x50, 0, 2, 0, 101 };
	static const uint8_t method[] = { 0x10, 1, 0, 0, 0, 0, 0, 1, 0, 0x40, 0,
		1, 'g', 0, 0x41, 0, 1, '/', 0, 0x42, 0, 0, 0, 0x43, 0, 4, 0, 0,
		0, 0, 0, 0x44, 0, 4, 0, 0, 0, 1 };
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	tunnel_input(p.agent.tunnel, span_of(method, sizeof(method)), 0);
	pair_log(&p.agent, "");
	assert_int_equal(p.agent.last_type, FRAME_RESET);
	assert_int_equal(tunnel_phase(p.agent.tunnel), TUNNEL_READY);
	pair_close(&p);
	pair_ready(&p, &plain);
	pair_request(&p, 1, NULL);
	tunnel_input(p.relay.tunnel, span_of(status, sizeof(status)), 0);
	pair_log(&p.relay,
	    "reset 1 7 RESPONSE: STATUS 101, want 200 to 599 "
	    "(12.2);");
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
	pair_close(&p);
}

static void
closes_for_what_harms_the_tunnel(void **state)
{
	const struct {
		const char *name;
		bool to_agent;
		struct frame f;
		const char *says;
	} cases[] = {
		{ "stream never opened", false, response(3, 0, 0, true),
		    "closed 4401 RESPONSE on stream 3, which was never" },
		{ "even stream", false, pair_data(2, 1, true),
		    "closed 4401 DATA on stream 2" },
		{ "reset of nothing", true,
		    { .type = FRAME_RESET, .stream = 9, .reset.code = 1 },
		    "closed 4401 RESET on" },
		{ "REQUEST skips", true,
		    { .type = FRAME_REQUEST,
			.stream = 5,
			.end = true,
			.request = { .method = span_str("GET"),
			    .path = span_str("/") } },
		    "closed 4401 REQUEST on stream 5, want 3" },
		{ "REQUEST again", true,
		    { .type = FRAME_REQUEST,
			.stream = 1,
			.end = true,
			.request = { .method = span_str("GET"),
			    .path = span_str("/") } },
		    "closed 4401 REQUEST on stream 1, want 3" },
		{ "window too wide", false,
		    { .type = FRAME_WINDOW, .credit = 0x7fffffff },
		    "closed 4403 window over" },
		{ "stream window too wide", false,
		    { .type = FRAME_WINDOW, .stream = 1, .credit = 0x7fffffff },
		    "closed 4403 window over" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct pair_end *to;
		struct pair p;

		pair_ready(&p, &plain);
		pair_request(&p, 1, NULL);
		pair_run(&p);
		to = cases[i].to_agent ? &p.agent : &p.relay;
		pair_inject(to, &cases[i].f);
		to->log[to->log_len] = '\0';
		assert_says(cases[i].name, to->log, cases[i].says);
		/* The stream that was open is told of it. */
		assert_says(cases[i].name, to->log, "reset 1 256 ");
		pair_close(&p);
	}
}

static void
closes_when_a_window_is_overrun(void **state)
{
	struct frame f = response(1, 70000, 16000, false);
	struct frame more = pair_data(1, 16000, false);
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	p.relay.eat = false;
	pair_request(&p, 1, NULL);
	pair_inject(&p.relay, &f);
	for (int i = 0; i < 3; i++)
		pair_inject(&p.relay, &more);
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
	p.relay.log_len = 0;
	pair_inject(&p.relay, &more);
	pair_log(&p.relay,
	    "reset 1 256 body over its window "
	    "(docs/protocol.md 12.4);closed 4403 body over its window "
	    "(docs/protocol.md 12.4);");
	pair_close(&p);
}

static void
lets_the_caller_name_a_breach(void **state)
{
	struct pair p;
	uint32_t id;

	(void)state;
	pair_ready(&p, &plain);
	id = pair_request(&p, 1, NULL);
	pair_run(&p);
	tunnel_breach(p.relay.tunnel, id, p.now_ms, "header not allowed");
	pair_log(&p.relay, "reset 1 7 header not allowed;");
	p.agent.log_len = 0;
	pair_run(&p);
	pair_log(&p.agent, "reset 1 7 header not allowed;");
	pair_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_a_small_exchange_in_two_frames),
		cmocka_unit_test(carries_bodies_of_any_length),
		cmocka_unit_test(stops_at_the_window_and_goes_on),
		cmocka_unit_test(gives_the_connection_its_credit_back),
		cmocka_unit_test(blocks_on_the_connection_and_wakes_all),
		cmocka_unit_test(keeps_to_the_smaller_number_of_streams),
		cmocka_unit_test(ends_streams_from_either_side),
		cmocka_unit_test(lets_the_agent_answer_early),
		cmocka_unit_test(ends_one_stream_for_its_breach),
		cmocka_unit_test(closes_after_three_breaches_in_a_minute),
		cmocka_unit_test(ends_one_stream_for_a_bad_value),
		cmocka_unit_test(closes_for_what_harms_the_tunnel),
		cmocka_unit_test(closes_when_a_window_is_overrun),
		cmocka_unit_test(lets_the_caller_name_a_breach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
