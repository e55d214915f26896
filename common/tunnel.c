#include "common/tunnel.h"

#include "common/tunnel_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What may come when.
 */

static tunnel_act on_ping, on_pong, on_goaway, on_notice;

#define TYPES (FRAME_NOTICE + 1)

/* The next state is entered before the act, which may go on from there. */
static const struct step {
	enum tunnel_state next;
	tunnel_act *act;
} steps[TUNNEL_STATES][TYPES] = {
	[TUNNEL_ST_GREETING][FRAME_CHALLENGE] = { TUNNEL_ST_SIGNING,
	    tunnel_on_challenge },
	[TUNNEL_ST_CHALLENGED][FRAME_HELLO] = { TUNNEL_ST_PROVING, tunnel_on_hello },
	[TUNNEL_ST_SIGNED][FRAME_WELCOME] = { TUNNEL_ST_AGENT, tunnel_on_welcome },

	[TUNNEL_ST_RELAY] = {
		[FRAME_CLAIM]	 = { TUNNEL_ST_RELAY, tunnel_on_claim },
		[FRAME_UNCLAIM]	 = { TUNNEL_ST_RELAY, tunnel_on_unclaim },
		[FRAME_RESPONSE] = { TUNNEL_ST_RELAY, tunnel_on_response },
		[FRAME_DATA]	 = { TUNNEL_ST_RELAY, tunnel_on_data },
		[FRAME_RESET]	 = { TUNNEL_ST_RELAY, tunnel_on_reset },
		[FRAME_WINDOW]	 = { TUNNEL_ST_RELAY, tunnel_on_window },
		[FRAME_PENDING]	 = { TUNNEL_ST_RELAY, tunnel_on_pending },
		[FRAME_PING]	 = { TUNNEL_ST_RELAY, on_ping },
		[FRAME_PONG]	 = { TUNNEL_ST_RELAY, on_pong },
		[FRAME_GOAWAY]	 = { TUNNEL_ST_RELAY, on_goaway },
	},
	[TUNNEL_ST_AGENT] = {
		[FRAME_CLAIMED]	= { TUNNEL_ST_AGENT, tunnel_on_claimed },
		[FRAME_REQUEST] = { TUNNEL_ST_AGENT, tunnel_on_request },
		[FRAME_DATA]	= { TUNNEL_ST_AGENT, tunnel_on_data },
		[FRAME_RESET]	= { TUNNEL_ST_AGENT, tunnel_on_reset },
		[FRAME_WINDOW]	= { TUNNEL_ST_AGENT, tunnel_on_window },
		[FRAME_PING]	= { TUNNEL_ST_AGENT, on_ping },
		[FRAME_PONG]	= { TUNNEL_ST_AGENT, on_pong },
		[FRAME_GOAWAY]	= { TUNNEL_ST_AGENT, on_goaway },
		[FRAME_NOTICE]	= { TUNNEL_ST_AGENT, on_notice },
	},
};

static const char *const state_names[TUNNEL_STATES] = {
	[TUNNEL_ST_OVER] = "the end",
	[TUNNEL_ST_NEW] = "CHALLENGE",
	[TUNNEL_ST_CHALLENGED] = "HELLO",
	[TUNNEL_ST_PROVING] = "the answer to HELLO",
	[TUNNEL_ST_GREETING] = "CHALLENGE",
	[TUNNEL_ST_SIGNING] = "our HELLO",
	[TUNNEL_ST_SIGNED] = "WELCOME",
	[TUNNEL_ST_RELAY] = "frames of an agent",
	[TUNNEL_ST_AGENT] = "frames of a relay",
};

struct tunnel *
tunnel_new(const struct tunnel_config *config, const struct tunnel_ops *ops,
    void *arg, uint64_t now_ms)
{
	struct tunnel *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->ops = ops;
	t->arg = arg;
	t->role = config->role;
	t->state =
	    config->role == TUNNEL_RELAY ? TUNNEL_ST_NEW : TUNNEL_ST_GREETING;
	t->max_streams = config->max_streams == 0      ? TUNNEL_STREAMS_DEFAULT
	    : config->max_streams < TUNNEL_STREAMS_MAX ? config->max_streams
						       : TUNNEL_STREAMS_MAX;
	t->ping_ms = config->ping_ms < TUNNEL_PING_MIN_MS ? TUNNEL_PING_MIN_MS
							  : config->ping_ms;
	t->next_stream = config->first_stream == 0 ? 1 : config->first_stream;
	t->grease = config->grease;
	t->max_message = FRAME_MAX;
	t->send_window = t->recv_window = TUNNEL_WINDOW;
	t->heard_ms = now_ms;
	t->step_by_ms = now_ms + TUNNEL_STEP_MS;
	return t;
}

void
tunnel_free(struct tunnel *t)
{
	if (t == NULL)
		return;
	free(t->streams);
	free(t);
}

bool
tunnel_is_ready(const struct tunnel *t)
{
	return t->state == TUNNEL_ST_RELAY || t->state == TUNNEL_ST_AGENT;
}

enum tunnel_phase
tunnel_phase(const struct tunnel *t)
{
	if (t->state == TUNNEL_ST_OVER)
		return TUNNEL_OVER;
	if (!tunnel_is_ready(t))
		return TUNNEL_GREETING;
	return t->goaway_sent || t->goaway_got ? TUNNEL_DRAINING : TUNNEL_READY;
}

void
tunnel_settle(struct tunnel *t)
{
	if (tunnel_phase(t) != TUNNEL_DRAINING || t->stream_count > 0 ||
	    t->drained_told)
		return;
	t->drained_told = true;
	t->ops->drained(t->arg);
}

void
tunnel_close(struct tunnel *t, unsigned code, const char *why)
{
	struct tunnel_stream *streams = t->streams;
	size_t count = t->stream_count;

	if (t->state == TUNNEL_ST_OVER)
		return;
	t->state = TUNNEL_ST_OVER;
	t->streams = NULL;
	t->stream_count = t->stream_cap = 0;
	for (size_t i = 0; i < count; i++)
		t->ops->reset(t->arg, streams[i].id, streams[i].user,
		    TUNNEL_RESET_LOST, span_str(why));
	free(streams);
	t->ops->closed(t->arg, code, why);
}

void
tunnel_input(struct tunnel *t, struct span message, uint64_t now_ms)
{
	const struct step *step;
	struct err err = { .code = ERR_NONE };
	struct frame f;
	int rc;

	if (t->state == TUNNEL_ST_OVER)
		return;
	t->heard_ms = now_ms;
	t->ping_out = false;
	rc = frame_decode(&f, message, &err);
	if (rc != 0 && err.code != ERR_LIMIT) {
		tunnel_close(t, TUNNEL_CLOSE_FRAME, err.msg);
		return;
	}
	if (f.type >= 0x80)
		return;
	step = &steps[t->state][f.type];
	if (step->act == NULL) {
		err_set(&err, ERR_MALFORMED,
		    "%s while waiting for %s "
		    "(docs/protocol.md 12.2)",
		    frame_name(f.type), state_names[t->state]);
		tunnel_close(t, TUNNEL_CLOSE_FRAME, err.msg);
		return;
	}
	t->state = step->next;
	if (rc != 0)
		tunnel_on_bad_head(t, &f, now_ms, err.msg);
	else
		step->act(t, &f, now_ms);
}

/*
 * Time.
 */

void
tunnel_tick(struct tunnel *t, uint64_t now_ms)
{
	struct frame ping = { .type = FRAME_PING };
	uint8_t bytes[FRAME_PING_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));
	char why[96];

	if (t->state == TUNNEL_ST_OVER || now_ms < tunnel_deadline(t))
		return;
	if (!tunnel_is_ready(t)) {
		snprintf(why, sizeof(why), "waited %u ms for %s",
		    TUNNEL_STEP_MS, state_names[t->state]);
		tunnel_close(t, TUNNEL_CLOSE_TIMEOUT, why);
		return;
	}
	if (t->ping_out) {
		snprintf(why, sizeof(why), "no answer to a PING for %u ms",
		    t->ping_ms);
		tunnel_close(t, TUNNEL_CLOSE_TIMEOUT, why);
		return;
	}
	/* The wait for the answer starts here and not at heard_ms: a loop that
	 * was itself held up must not take its peers for dead. */
	t->ping_out = true;
	t->ping_at_ms = now_ms;
	writer_be64(&w, ++t->pings);
	ping.data = writer_span(&w);
	tunnel_put(t, &ping, NULL);
}

uint64_t
tunnel_deadline(const struct tunnel *t)
{
	if (t->state == TUNNEL_ST_OVER)
		return TUNNEL_NEVER;
	if (!tunnel_is_ready(t))
		return t->step_by_ms;
	return (t->ping_out ? t->ping_at_ms : t->heard_ms) + t->ping_ms;
}

static void
on_ping(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	struct frame pong = { .type = FRAME_PONG, .data = f->data };

	(void)now_ms;
	tunnel_put(t, &pong, NULL);
}

/* That it came is what counts; tunnel_input() has noted it. */
static void
on_pong(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	(void)t;
	(void)f;
	(void)now_ms;
}

/*
 * The end.
 */

void
tunnel_goaway(struct tunnel *t, enum frame_goaway_code code, uint32_t min_ms,
    uint32_t max_ms, struct span url)
{
	struct frame f = { .type = FRAME_GOAWAY };

	if (t->state == TUNNEL_ST_OVER || t->goaway_sent)
		return;
	if (!tunnel_is_ready(t)) {
		/* GOAWAY is a frame of a tunnel that has been welcomed. */
		tunnel_close(t, TUNNEL_CLOSE_DRAINING, "draining");
		return;
	}
	f.goaway.code = code;
	f.goaway.last_stream = t->next_stream < 3 ? 0 : t->next_stream - 2;
	f.goaway.reconnect_min_ms = min_ms;
	f.goaway.reconnect_max_ms = max_ms < min_ms ? min_ms : max_ms;
	f.goaway.url = url.len == 0 ? span_of(NULL, 0) : url;
	t->goaway_sent = true;
	t->drained_told = false; /* streams came after an invitation to move */
	tunnel_put(t, &f, NULL);
	tunnel_settle(t);
}

void
tunnel_ask_to_move(struct tunnel *t, uint32_t min_ms, uint32_t max_ms)
{
	struct frame f = { .type = FRAME_GOAWAY };

	if (t->state != TUNNEL_ST_RELAY || t->goaway_sent)
		return;
	f.goaway.code = FRAME_GOAWAY_RESTART;
	f.goaway.last_stream = FRAME_STREAM_MAX;
	f.goaway.reconnect_min_ms = min_ms;
	f.goaway.reconnect_max_ms = max_ms < min_ms ? min_ms : max_ms;
	tunnel_put(t, &f, NULL);
}

static void
on_goaway(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	uint32_t last = f->goaway.last_stream;
	struct tunnel_stream *s;

	(void)now_ms;
	t->goaway_got = true;
	t->ops->goaway(t->arg, &f->goaway);
	/* An agent that leaves has not seen what is above its last stream. */
	while (t->state == TUNNEL_ST_RELAY &&
	    (s = tunnel_stream_after(t, last)) != NULL) {
		uint32_t id = s->id;
		void *user = s->user;

		tunnel_stream_end(t, s);
		t->ops->reset(
		    t->arg, id, user, FRAME_RESET_REFUSED, span_str("GOAWAY"));
	}
	tunnel_settle(t);
}

void
tunnel_notice(struct tunnel *t, enum frame_notice_code code, const char *text)
{
	struct frame f = { .type = FRAME_NOTICE };

	f.notice.code = code;
	f.notice.text = span_str(text);
	if (f.notice.text.len > FRAME_TEXT_MAX)
		f.notice.text.len = FRAME_TEXT_MAX;
	if (t->state == TUNNEL_ST_RELAY)
		tunnel_put(t, &f, NULL);
}

static void
on_notice(struct tunnel *t, const struct frame *f, uint64_t now_ms)
{
	(void)now_ms;
	t->ops->notice(t->arg, &f->notice);
}
