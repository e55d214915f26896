#ifndef COMMON_TUNNEL_IMPL_H
#define COMMON_TUNNEL_IMPL_H

#include "common/tunnel.h"

/* The inside of tunnel.c, tunnel_greet.c, tunnel_stream.c, tunnel_send.c. */

#define TUNNEL_PING_MIN_MS 100u /* as relay.yaml's timeouts.ping */

/* OVER is zero on purpose, and so is the row of a pair that no table names:
 * what is not written down ends the tunnel. */
enum tunnel_state {
	TUNNEL_ST_OVER,
	TUNNEL_ST_NEW,        /* relay: CHALLENGE not sent yet */
	TUNNEL_ST_CHALLENGED, /* relay: HELLO must come */
	TUNNEL_ST_PROVING,    /* relay: the caller judges the HELLO */
	TUNNEL_ST_GREETING,   /* agent: CHALLENGE must come */
	TUNNEL_ST_SIGNING,    /* agent: the caller makes the HELLO */
	TUNNEL_ST_SIGNED,     /* agent: WELCOME must come */
	TUNNEL_ST_RELAY,      /* relay: ready, or draining after a GOAWAY */
	TUNNEL_ST_AGENT,      /* agent: the same */
	TUNNEL_STATES
};

struct tunnel_stream {
	uint32_t id;
	uint32_t to_send;     /* bytes of our body not sent yet */
	uint32_t send_window; /* bytes that the peer lets us send */
	uint32_t to_come;     /* bytes of the peer's body not here yet */
	uint32_t recv_window; /* bytes that we let the peer send */
	uint32_t held;        /* bytes handed out, not consumed yet */
	uint32_t owed;        /* bytes consumed, no credit sent yet */
	bool head_sent;
	bool head_got;
	bool blocked; /* tunnel_send() took less than all */
	void *user;
};

struct tunnel {
	const struct tunnel_ops *ops;
	void *arg;
	enum tunnel_role role;
	enum tunnel_state state;
	bool goaway_sent;
	bool goaway_got;
	bool drained_told;
	bool ping_out;
	uint64_t heard_ms; /* last message of the peer */
	uint64_t ping_at_ms;
	uint64_t step_by_ms; /* greeting: the next step must have come */
	uint64_t pings;
	uint32_t ping_ms;
	uint32_t max_streams; /* ours; on the relay the smaller of both */
	uint32_t max_message; /* the peer's */
	uint32_t next_stream; /* id of the stream opened next */
	uint32_t claim_last;  /* number of the last CLAIM */
	uint32_t claims_open; /* CLAIMs without an answer */
	uint32_t send_window; /* of the connection, as in a stream */
	uint32_t recv_window;
	uint32_t owed;
	uint32_t grease;               /* state of the generator; 0: none */
	struct tunnel_stream *streams; /* owned; ids rise */
	size_t stream_count;
	size_t stream_cap;
	size_t breach_count;
	uint64_t breach_ms[TUNNEL_BREACHES_MAX]; /* of the last ones */
};

/* What one received frame does. */
typedef void tunnel_act(
    struct tunnel *t, const struct frame *f, uint64_t now_ms);

/* tunnel_greet.c */
tunnel_act tunnel_on_challenge;
tunnel_act tunnel_on_hello;
tunnel_act tunnel_on_welcome;
tunnel_act tunnel_on_claim;
tunnel_act tunnel_on_claimed;
tunnel_act tunnel_on_unclaim;

/* tunnel_stream.c: what the peer does to streams. */
tunnel_act tunnel_on_request;
tunnel_act tunnel_on_response;
tunnel_act tunnel_on_data;
tunnel_act tunnel_on_reset;
tunnel_act tunnel_on_window;
tunnel_act tunnel_on_pending;
/** tunnel_on_bad_head(t, f, now_ms, why): a REQUEST or RESPONSE with a value
 * outside its range. */
void tunnel_on_bad_head(
    struct tunnel *t, const struct frame *f, uint64_t now_ms, const char *why);

struct tunnel_stream *tunnel_stream_find(const struct tunnel *t, uint32_t id);
/** tunnel_stream_after(t, id): the first one with a larger id; for walks during
 * which streams come and go. */
struct tunnel_stream *tunnel_stream_after(const struct tunnel *t, uint32_t id);
/** tunnel_stream_add(t, id): the newest stream; NULL: no memory. */
struct tunnel_stream *tunnel_stream_add(struct tunnel *t, uint32_t id);
/** tunnel_stream_end(t, s): remove; credit for what it held goes back.  Call
 * tunnel_settle() when done with ${t}. */
void tunnel_stream_end(struct tunnel *t, struct tunnel_stream *s);

/* tunnel_send.c: what goes out. */
/** tunnel_put(t, f, err): encode and send; ERR_INTERNAL: ${f} breaks the
 * rules. */
int tunnel_put(struct tunnel *t, const struct frame *f, struct err *err);
void tunnel_put_reset(
    struct tunnel *t, uint32_t id, uint32_t code, const char *text);
void tunnel_put_window(struct tunnel *t, uint32_t id, uint32_t credit);
/** tunnel_owe(t, len): give ${len} bytes of the connection's window back. */
void tunnel_owe(struct tunnel *t, uint32_t len);

/* tunnel.c */
bool tunnel_is_ready(const struct tunnel *t);
/** tunnel_settle(t): tell of a drained tunnel, once. */
void tunnel_settle(struct tunnel *t);

#endif
