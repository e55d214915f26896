#include "tests/unit/common/tunnel_pair.h"

#include <stdio.h>

static const struct tunnel_config plain = { .ping_ms = 20000 };
static const uint8_t zeros[FRAME_MAX];

/*
 * Greeting.
 */

static void
greets_in_three_steps(void **state)
{
	struct tunnel_config c = plain;
	struct pair p;

	(void)state;
	c.max_streams = 7;
	pair_open(&p, &c);
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_GREETING);
	pair_start(&p);
	pair_run(&p);
	pair_log(&p.agent, "challenge 7;welcome 22000;");
	pair_log(&p.relay, "hello 7;");
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
	assert_int_equal(tunnel_phase(p.agent.tunnel), TUNNEL_READY);
	pair_close(&p);
}

/* Everything that comes before its time ends the tunnel with 4401. */
static void
refuses_frames_out_of_order(void **state)
{
	static const uint8_t ping[] = { 0x20, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4,
		5, 6, 7, 8 };
	static const struct {
		const char *name;
		bool to_agent;
		int steps; /* 0: nothing, 1: CHALLENGE, 2: HELLO, 3: all */
		struct frame f;
		const char *says;
	} cases[] = {
		{ "PING first", true, 0,
		    { .type = FRAME_PING, .data = { ping + 8, 8 } },
		    "PING while waiting for "
		    "CHALLENGE" },
		{ "GOAWAY for HELLO", false, 1, { .type = FRAME_GOAWAY },
		    "GOAWAY while waiting for HELLO" },
		{ "CLAIM while judged", false, 2,
		    { .type = FRAME_CLAIM,
			.stream = 1,
			.claim.names = { zeros, 17 } },
		    "CLAIM while waiting for the answer to HELLO" },
		{ "NOTICE for WELCOME", true, 2,
		    { .type = FRAME_NOTICE, .notice.text = { zeros, 0 } },
		    "NOTICE while waiting for "
		    "WELCOME" },
		{ "REQUEST to the relay", false, 3,
		    { .type = FRAME_REQUEST,
			.stream = 1,
			.end = true,
			.request = { .method = { (const uint8_t *)"GET", 3 },
			    .path = { (const uint8_t *)"/", 1 } } },
		    "REQUEST while waiting for frames of an agent" },
		{ "second HELLO", false, 3,
		    { .type = FRAME_HELLO,
			.hello = { 1, { zeros, 32 }, { zeros, 64 },
			    { (const uint8_t *)"a", 1 }, { zeros, 16 }, 0 } },
		    "HELLO while waiting" },
		{ "RESPONSE to the agent", true, 3,
		    { .type = FRAME_RESPONSE,
			.stream = 1,
			.end = true,
			.response.status = 200 },
		    "RESPONSE while waiting for frames of a relay" },
		{ "PENDING to the agent", true, 3,
		    { .type = FRAME_PENDING, .stream = 1, .pending = { 1, 1 } },
		    "PENDING while" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct pair_end *to;
		struct pair p;

		pair_open(&p, &plain);
		p.relay.hold = cases[i].steps < 3;
		if (cases[i].steps >= 1)
			pair_start(&p);
		if (cases[i].steps >= 2)
			pair_run(&p);
		to = cases[i].to_agent ? &p.agent : &p.relay;
		to->log_len = 0;
		pair_inject(to, &cases[i].f);
		to->log[to->log_len] = '\0';
		assert_says(cases[i].name, to->log, "closed 4401");
		assert_says(cases[i].name, to->log, cases[i].says);
		assert_int_equal(tunnel_phase(to->tunnel), TUNNEL_OVER);
		pair_close(&p);
	}
}

static void
waits_ten_seconds_for_each_step(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, &plain);
	p.relay.hold = true;
	p.agent.hold = true;
	assert_int_equal(tunnel_deadline(p.agent.tunnel), p.now_ms + 10000);
	p.now_ms += 9999;
	tunnel_tick(p.agent.tunnel, p.now_ms);
	pair_log(&p.agent, "");
	pair_start(&p);
	pair_run(&p);
	assert_int_equal(tunnel_deadline(p.agent.tunnel), p.now_ms + 10000);
	tunnel_tick(p.relay.tunnel, p.now_ms + 1);
	pair_log(&p.relay, "closed 4408 waited 10000 ms for HELLO;");
	assert_int_equal(tunnel_deadline(p.relay.tunnel), TUNNEL_NEVER);
	tunnel_tick(p.agent.tunnel, p.now_ms + 10000);
	pair_log(&p.agent,
	    "challenge 32;closed 4408 waited 10000 ms for our "
	    "HELLO;");
	pair_close(&p);
}

static void
signs_text_that_only_one_hello_has(void **state)
{
	uint8_t nonce[32], exporter[32], a[TUNNEL_HELLO_TEXT_MAX],
	    b[TUNNEL_HELLO_TEXT_MAX];
	struct writer w = writer_of(a, sizeof(a)), w2;

	(void)state;
	memset(nonce, 1, 32);
	memset(exporter, 2, 32);
	tunnel_hello_text(&w, span_of(nonce, 32), 1, span_of(exporter, 32),
	    span_str("ab"), "cd");
	assert_int_equal(w.len, 22 + 32 + 1 + 32 + 2 + 2 + 2 + 2);
	assert_memory_equal(a, "attest-relay.v1 hello\0\1\1", 24);
	assert_memory_equal(a + 22 + 32, "\1\2\2", 3);
	assert_memory_equal(a + 22 + 65, "\0\2ab\0\2cd", 8);
	w2 = writer_of(b, sizeof(b));
	tunnel_hello_text(&w2, span_of(nonce, 32), 0, span_of(exporter, 32),
	    span_str("ab"), "cd");
	assert_memory_equal(b + 22 + 32, "\0\0\0\0", 4);
	assert_int_equal(w.len, w2.len);
	w2 = writer_of(b, sizeof(b));
	tunnel_hello_text(&w2, span_of(nonce, 31), 1, span_of(exporter, 32),
	    span_str("ab"), "cd");
	assert_false(writer_ok(&w2));
	w2 = writer_of(b, sizeof(b));
	tunnel_hello_text(&w2, span_of(nonce, 32), 1, span_of(exporter, 0),
	    span_str("ab"), "cd");
	assert_false(writer_ok(&w2));
}

/*
 * Claims.
 */

static void
numbers_claims_and_wants_answers_in_order(void **state)
{
	struct frame_claim claim = { .names = span_of(zeros, 17) };
	struct frame_claimed claimed = { .results = span_of(zeros, 17) };
	struct frame_unclaim unclaim = { .uuids = span_of(zeros, 16) };
	struct frame wrong = {
		.type = FRAME_CLAIMED, .stream = 2, .claimed = claimed
	};
	uint32_t number;
	struct pair p;
	struct err err;

	(void)state;
	pair_ready(&p, &plain);
	assert_int_equal(
	    tunnel_claim(p.agent.tunnel, &number, &claim, &err), 0);
	assert_int_equal(number, 1);
	assert_int_equal(
	    tunnel_claim(p.agent.tunnel, &number, &claim, &err), 0);
	assert_int_equal(number, 2);
	tunnel_unclaim(p.agent.tunnel, &unclaim, &err);
	pair_run(&p);
	pair_log(&p.relay, "claim 1 17;claim 2 17;unclaim 16;");
	tunnel_claimed(p.relay.tunnel, 1, &claimed, &err);
	pair_run(&p);
	pair_log(&p.agent, "claimed 1 17;");
	wrong.stream = 1;
	pair_inject(&p.agent, &wrong);
	pair_log(&p.agent, "closed 4401 CLAIMED 1, want 2;");
	wrong =
	    (struct frame){ .type = FRAME_CLAIM, .stream = 2, .claim = claim };
	pair_inject(&p.relay, &wrong);
	pair_log(&p.relay, "closed 4401 CLAIM 2 behind CLAIM 2;");
	pair_close(&p);
}

static void
bounds_claims_without_an_answer(void **state)
{
	struct frame f = { .type = FRAME_CLAIM,
		.claim.names = span_of(zeros, 17) };
	uint32_t number;
	struct pair p;
	struct err err;

	(void)state;
	pair_ready(&p, &plain);
	for (int i = 0; i < TUNNEL_CLAIMS_OPEN_MAX; i++)
		assert_int_equal(
		    tunnel_claim(p.agent.tunnel, &number, &f.claim, &err), 0);
	assert_int_equal(
	    tunnel_claim(p.agent.tunnel, &number, &f.claim, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	pair_run(&p);
	p.relay.log_len = 0;
	f.stream = TUNNEL_CLAIMS_OPEN_MAX + 1;
	pair_inject(&p.relay, &f);
	pair_log(&p.relay, "closed 4404 too many CLAIMs without an answer;");
	pair_close(&p);
}

/*
 * Time.
 */

static void
pings_the_silent_and_drops_the_dead(void **state)
{
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	assert_int_equal(tunnel_deadline(p.relay.tunnel), p.now_ms + 20000);
	p.now_ms += 19999;
	tunnel_tick(p.relay.tunnel, p.now_ms);
	assert_int_equal(p.relay.sent, 0);
	p.now_ms++;
	tunnel_tick(p.relay.tunnel, p.now_ms);
	assert_int_equal(p.relay.last_type, FRAME_PING);
	tunnel_tick(p.relay.tunnel, p.now_ms);
	assert_int_equal(p.relay.sent, 1); /* one outstanding */
	pair_run(&p);
	assert_int_equal(p.agent.last_type, FRAME_PONG);
	assert_int_equal(tunnel_deadline(p.relay.tunnel), p.now_ms + 20000);
	p.now_ms += 20000;
	tunnel_tick(p.relay.tunnel, p.now_ms);
	assert_int_equal(p.relay.sent, 2);
	p.now_ms += 20000;
	tunnel_tick(p.relay.tunnel, p.now_ms);
	pair_log(&p.relay, "closed 4408 no answer to a PING for 20000 ms;");
	pair_close(&p);
}

/* What relay.yaml allows as timeouts.ping is what counts. */
static void
pings_as_often_as_it_is_told(void **state)
{
	static const struct tunnel_config often = { .ping_ms = 100 };
	struct pair p;

	(void)state;
	pair_ready(&p, &often);
	assert_int_equal(tunnel_deadline(p.relay.tunnel), p.now_ms + 100);
	pair_close(&p);
}

/* A loop held up for a minute must ping before it gives a peer up. */
static void
asks_before_it_gives_up(void **state)
{
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	p.now_ms += 60000;
	tunnel_tick(p.relay.tunnel, p.now_ms);
	pair_log(&p.relay, "");
	pair_run(&p);
	tunnel_tick(p.relay.tunnel, p.now_ms + 1);
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
	pair_close(&p);
}

/*
 * The end.
 */

static void
drains_before_it_leaves(void **state)
{
	struct frame_request r = { .method = span_str("GET"),
		.path = span_str("/") };
	uint32_t id, none;
	size_t taken;
	struct pair p;
	struct err err;

	(void)state;
	pair_ready(&p, &plain);
	id = pair_request(&p, 1, NULL);
	tunnel_goaway(
	    p.relay.tunnel, FRAME_GOAWAY_RESTART, 0, 5000, span_of(NULL, 0));
	tunnel_goaway(
	    p.relay.tunnel, FRAME_GOAWAY_RESTART, 0, 5000, span_of(NULL, 0));
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_DRAINING);
	assert_int_equal(tunnel_room(p.relay.tunnel), 0);
	assert_int_equal(
	    tunnel_open(p.relay.tunnel, &none, NULL, &r, &taken, &err), -1);
	assert_int_equal(err.code, ERR_CLOSED);
	pair_run(&p);
	pair_log(&p.agent, "request 1 1/1 end;goaway 1 1;");
	pair_respond(&p, id, 1, NULL);
	pair_log(&p.agent, "drained;");
	pair_run(&p);
	pair_log(&p.relay, "response 1 200 1/1 end;drained;");
	tunnel_close(p.relay.tunnel, TUNNEL_CLOSE_DRAINING, "drained");
	tunnel_close(p.relay.tunnel, TUNNEL_CLOSE_DRAINING, "drained");
	pair_log(&p.relay, "closed 1001 drained;");
	pair_close(&p);
}

/* Until the agent leaves, the tunnel serves. */
static void
asks_to_move_and_serves_on(void **state)
{
	uint32_t id;
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	tunnel_ask_to_move(p.relay.tunnel, 0, 500);
	assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
	id = pair_request(&p, 1, NULL);
	pair_run(&p);
	pair_log(&p.agent, "goaway 1 2147483647;drained;request 1 1/1 end;");
	/* One is answered, and one is on its way as the agent leaves. */
	tunnel_goaway(
	    p.agent.tunnel, FRAME_GOAWAY_SHUTDOWN, 0, 0, span_of(NULL, 0));
	pair_request(&p, 1, NULL);
	pair_run(&p);
	pair_log(&p.agent, "");
	pair_log(&p.relay, "goaway 0 1;reset 3 2 GOAWAY;");
	pair_respond(&p, id, 1, NULL);
	pair_run(&p);
	pair_log(&p.agent, "drained;");
	pair_log(&p.relay, "response 1 200 1/1 end;drained;");
	pair_close(&p);
}

/* What an agent that leaves has not seen may be sent elsewhere. */
static void
gives_unseen_streams_back(void **state)
{
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	pair_request(&p, 1, NULL);
	pair_deliver(&p.agent);
	tunnel_goaway(
	    p.agent.tunnel, FRAME_GOAWAY_SHUTDOWN, 0, 0, span_str("wss://b"));
	pair_request(&p, 20000, NULL);
	pair_run(&p);
	pair_log(&p.agent, "request 1 1/1 end;");
	pair_log(&p.relay, "goaway 0 1;reset 3 2 GOAWAY;");
	assert_int_equal(tunnel_streams(p.relay.tunnel), 1);
	pair_close(&p);
}

static void
closes_instead_of_goaway_while_greeting(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, &plain);
	pair_start(&p);
	tunnel_goaway(
	    p.relay.tunnel, FRAME_GOAWAY_RESTART, 0, 0, span_of(NULL, 0));
	pair_log(&p.relay, "closed 1001 draining;");
	pair_close(&p);
}

static void
leaves_when_its_ids_are_used_up(void **state)
{
	struct tunnel_config c = plain;
	struct frame_request r = { .method = span_str("GET"),
		.path = span_str("/") };
	size_t taken;
	uint32_t id;
	struct pair p;
	struct err err;

	(void)state;
	c.first_stream = FRAME_STREAM_MAX;
	pair_ready(&p, &c);
	assert_int_equal(pair_request(&p, 1, NULL), FRAME_STREAM_MAX);
	assert_int_equal(tunnel_room(p.relay.tunnel), 0);
	assert_int_equal(
	    tunnel_open(p.relay.tunnel, &id, NULL, &r, &taken, &err), -1);
	assert_int_equal(err.code, ERR_CLOSED);
	pair_run(&p);
	pair_log(&p.agent,
	    "request 2147483647 1/1 end;"
	    "goaway 3 2147483647;");
	pair_respond(&p, FRAME_STREAM_MAX, 1, NULL);
	pair_run(&p);
	pair_log(&p.relay, "response 2147483647 200 1/1 end;drained;");
	pair_close(&p);
}

static void
tells_open_streams_of_a_lost_tunnel(void **state)
{
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	pair_request(&p, 1, NULL);
	pair_request(&p, 1, NULL);
	tunnel_close(p.relay.tunnel, TUNNEL_CLOSE_LOST, "read: EOF");
	pair_log(&p.relay,
	    "reset 1 256 read: EOF;reset 3 256 read: EOF;"
	    "closed 1006 read: EOF;");
	/* Nothing is done any more, and nothing breaks. */
	tunnel_input(p.relay.tunnel, span_of(zeros, 8), p.now_ms);
	tunnel_tick(p.relay.tunnel, p.now_ms + 100000);
	tunnel_reset(p.relay.tunnel, 1, FRAME_RESET_CANCELLED, NULL);
	tunnel_consumed(p.relay.tunnel, 1, 1);
	tunnel_breach(p.relay.tunnel, 1, p.now_ms, "x");
	assert_int_equal(tunnel_send(p.relay.tunnel, 1, span_of(zeros, 1)), 0);
	tunnel_goaway(
	    p.relay.tunnel, FRAME_GOAWAY_RESTART, 0, 0, span_of(NULL, 0));
	tunnel_notice(p.relay.tunnel, FRAME_NOTICE_QUOTA, "x");
	pair_log(&p.relay, "");
	pair_close(&p);
}

static void
carries_notices(void **state)
{
	struct pair p;

	(void)state;
	pair_ready(&p, &plain);
	tunnel_notice(p.relay.tunnel, FRAME_NOTICE_CLOCK_SKEW, "5 min ahead");
	pair_run(&p);
	pair_log(&p.agent, "notice 2 5 min ahead;");
	pair_close(&p);
}

/* docs/protocol.md 12.7: whatever a newer peer adds changes nothing. */
static void
works_with_grease(void **state)
{
	struct tunnel_config c = plain;

	(void)state;
	for (uint32_t seed = 1; seed <= 50; seed++) {
		struct pair p;

		c.grease = seed * 2654435761u;
		pair_ready(&p, &c);
		for (int i = 0; i < 20; i++) {
			uint32_t id = pair_request(&p, 20000, NULL);

			pair_run(&p);
			pair_respond(&p, id, 16350, NULL);
			pair_run(&p);
			p.relay.log_len = p.agent.log_len = 0;
		}
		assert_int_equal(p.agent.body_sum, 20 * 20000);
		assert_int_equal(p.relay.body_sum, 20 * 16350);
		assert_int_equal(tunnel_phase(p.relay.tunnel), TUNNEL_READY);
		pair_close(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greets_in_three_steps),
		cmocka_unit_test(refuses_frames_out_of_order),
		cmocka_unit_test(waits_ten_seconds_for_each_step),
		cmocka_unit_test(signs_text_that_only_one_hello_has),
		cmocka_unit_test(numbers_claims_and_wants_answers_in_order),
		cmocka_unit_test(bounds_claims_without_an_answer),
		cmocka_unit_test(pings_the_silent_and_drops_the_dead),
		cmocka_unit_test(pings_as_often_as_it_is_told),
		cmocka_unit_test(asks_before_it_gives_up),
		cmocka_unit_test(drains_before_it_leaves),
		cmocka_unit_test(gives_unseen_streams_back),
		cmocka_unit_test(asks_to_move_and_serves_on),
		cmocka_unit_test(closes_instead_of_goaway_while_greeting),
		cmocka_unit_test(leaves_when_its_ids_are_used_up),
		cmocka_unit_test(tells_open_streams_of_a_lost_tunnel),
		cmocka_unit_test(carries_notices),
		cmocka_unit_test(works_with_grease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
