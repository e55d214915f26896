#ifndef COMMON_TUNNEL_H
#define COMMON_TUNNEL_H

#include "common/err.h"
#include "common/frame.h"
#include "common/span.h"

/*
 * The life of one tunnel, either end, as a table of states and events
 * (docs/protocol.md 12); no I/O, no clock, no cryptography.  Messages go in by
 * tunnel_input(), time by tunnel_tick(); what follows comes out by the calls of
 * struct tunnel_ops.
 *
 *	relay						agent
 *	tunnel_start(challenge)	  -- CHALLENGE ->	ops.challenge: sign,
 *	ops.hello: verify,	  <- HELLO --		tunnel_hello()
 *	tunnel_welcome()	  -- WELCOME ->		ops.welcome
 *	ops.claim		  <- CLAIM --		tunnel_claim()
 *	tunnel_claimed()	  -- CLAIMED ->		ops.claimed
 *	tunnel_open()		  -- REQUEST ->		ops.request
 *	ops.response		  <- RESPONSE --	tunnel_respond()
 *
 * A stream ends for both ends with the END of its RESPONSE, or a RESET; bytes
 * that were on their way are dropped.  Calls may be made from inside every
 * callback, but tunnel_free().  After ops.closed, the last callback, all calls
 * do nothing.
 */

#define TUNNEL_SUBPROTOCOL "attest-relay.v1"
#define TUNNEL_MINOR 0
#define TUNNEL_EXPORTER_LABEL "EXPORTER-attest-relay"
#define TUNNEL_EXPORTER_LEN 32

#define TUNNEL_STREAMS_DEFAULT 32
#define TUNNEL_STREAMS_MAX 1024
#define TUNNEL_STREAM_WINDOW 65536u
#define TUNNEL_WINDOW (1024u * 1024)
#define TUNNEL_STEP_MS 10000u
#define TUNNEL_BREACHES_MAX 3 /* in TUNNEL_BREACHES_MS: close */
#define TUNNEL_BREACHES_MS 60000u
#define TUNNEL_CLAIMS_OPEN_MAX 64 /* CLAIMs without an answer */
#define TUNNEL_NEVER UINT64_MAX

/* WebSocket close codes of docs/protocol.md 12.5. */
enum tunnel_close {
	TUNNEL_CLOSE_OK = 1000,
	TUNNEL_CLOSE_DRAINING = 1001,
	TUNNEL_CLOSE_LOST = 1006, /* never sent: the transport went away */
	TUNNEL_CLOSE_GARBAGE = 4400,
	TUNNEL_CLOSE_FRAME = 4401,
	TUNNEL_CLOSE_UNTRUSTED = 4402,
	TUNNEL_CLOSE_FLOW = 4403,
	TUNNEL_CLOSE_LIMITS = 4404,
	TUNNEL_CLOSE_TIMEOUT = 4408,
	TUNNEL_CLOSE_SUPERSEDED = 4409,
	TUNNEL_CLOSE_UPGRADE = 4426
};

/* ops.reset when the tunnel ended under the stream; no code of the wire. */
#define TUNNEL_RESET_LOST 0x100u

enum tunnel_role { TUNNEL_RELAY, TUNNEL_AGENT };

enum tunnel_phase {
	TUNNEL_GREETING,
	TUNNEL_READY,
	TUNNEL_DRAINING,
	TUNNEL_OVER
};

struct tunnel_config {
	enum tunnel_role role;
	uint32_t max_streams;  /* ours; 0: TUNNEL_STREAMS_DEFAULT */
	uint32_t ping_ms;      /* random 20000..25000, drawn by the caller */
	uint32_t first_stream; /* odd; 0: 1.  Both ends alike, for tests of the
				* end of the numbers */
	uint32_t grease; /* not 0: seed of ignorable frames (12.7); tests */
};

struct tunnel;

/*
 * Every op must be set but those of the other role.  ${arg} is tunnel_new()'s.
 * ${user} is the pointer given for the stream.
 */
struct tunnel_ops {
	/* Both.  One message: ${head} and ${body} behind each other; ${body}
	 * may be empty.  Never fails: a transport that cannot take it calls
	 * tunnel_close() later, from its own turn. */
	void (*send)(void *arg, struct span head, struct span body);
	/* Both.  More of the stream's body arrived.  Give the bytes back with
	 * tunnel_consumed() when they have left the house.  ${end}: the body
	 * is complete; on the relay the stream is over. */
	void (*data)(void *arg, uint32_t stream, void *user, struct span bytes,
	    bool end);
	/* Both.  The stream is over: the peer's RESET, its breach (${code} is
	 * FRAME_RESET_PROTOCOL and the peer was told), FRAME_RESET_REFUSED
	 * after a GOAWAY below it, or TUNNEL_RESET_LOST. */
	void (*reset)(void *arg, uint32_t stream, void *user, uint32_t code,
	    struct span text);
	/* Both.  tunnel_send() that took less than all can go on. */
	void (*writable)(void *arg, uint32_t stream, void *user);
	/* Both.  The peer sends GOAWAY; no stream can be opened any more. */
	void (*goaway)(void *arg, const struct frame_goaway *goaway);
	/* Both.  After a GOAWAY of either end: no stream is open any more. */
	void (*drained)(void *arg);
	/* Both.  The tunnel is over, once, whoever ended it.  Send a WebSocket
	 * close with ${code} unless it is TUNNEL_CLOSE_LOST, log ${why}. */
	void (*closed)(void *arg, unsigned code, const char *why);

	/* Relay. */
	void (*hello)(void *arg, const struct frame_hello *hello);
	void (*claim)(
	    void *arg, uint32_t number, const struct frame_claim *claim);
	void (*unclaim)(void *arg, const struct frame_unclaim *unclaim);
	/* response->body holds the first bytes; ${end}: they are all, and the
	 * stream is over. */
	void (*response)(void *arg, uint32_t stream, void *user,
	    const struct frame_response *response, bool end);
	void (*pending)(void *arg, uint32_t stream, void *user,
	    const struct frame_pending *pending);

	/* Agent. */
	void (*challenge)(void *arg, const struct frame_challenge *challenge);
	void (*welcome)(void *arg, const struct frame_welcome *welcome);
	void (*claimed)(
	    void *arg, uint32_t number, const struct frame_claimed *claimed);
	/* Name the stream's user with tunnel_set_user().  request->body holds
	 * the first bytes; ${end}: they are all. */
	void (*request)(void *arg, uint32_t stream,
	    const struct frame_request *request, bool end);
	void (*notice)(void *arg, const struct frame_notice *notice);
};

/**
 * tunnel_new(config, ops, arg, now_ms):
 * A tunnel over a WebSocket just opened.  ${ops} must outlive it.  ${now_ms},
 * here and below, is any clock that only goes forward.
 *   errors  NULL: no memory
 */
struct tunnel *tunnel_new(const struct tunnel_config *config,
    const struct tunnel_ops *ops, void *arg, uint64_t now_ms);

/** tunnel_free(t): no callback comes from it.  NULL is fine. */
void tunnel_free(struct tunnel *t);

enum tunnel_phase tunnel_phase(const struct tunnel *t);

/** tunnel_input(t, message, now_ms): one binary message of the peer. */
void tunnel_input(struct tunnel *t, struct span message, uint64_t now_ms);

/** tunnel_tick(t, now_ms): do what is due: time-outs, pings. */
void tunnel_tick(struct tunnel *t, uint64_t now_ms);

/** tunnel_deadline(t): when tunnel_tick() next has work; or TUNNEL_NEVER. */
uint64_t tunnel_deadline(const struct tunnel *t);

/**
 * tunnel_close(t, code, why):
 * End the tunnel now: open streams get ops.reset(TUNNEL_RESET_LOST), then
 * ops.closed.  For a transport that is gone: TUNNEL_CLOSE_LOST.  Twice is
 * harmless.
 */
void tunnel_close(struct tunnel *t, unsigned code, const char *why);

/*
 * Greeting.
 */

/**
 * tunnel_start(t, challenge, err):
 * Relay: send CHALLENGE.  max_message and max_streams are filled in here, and
 * minor.  errors ERR_INTERNAL: a value breaks the rules of the frame
 */
int tunnel_start(
    struct tunnel *t, const struct frame_challenge *challenge, struct err *err);

/**
 * tunnel_hello_text(w, nonce, binding, exporter, relay_name, subprotocol):
 * The bytes that HELLO signs (12.3), for signer and verifier.  ${exporter} is
 * TUNNEL_EXPORTER_LEN bytes, ignored (zeros are signed) if ${binding} is 0.
 */
void tunnel_hello_text(struct writer *w, struct span nonce, uint8_t binding,
    struct span exporter, struct span relay_name, const char *subprotocol);

#define TUNNEL_HELLO_TEXT_MAX 512

/** tunnel_is_hello_text(text): tunnel_hello_text() may have written it. */
bool tunnel_is_hello_text(struct span text);

/** tunnel_hello(t, hello, now_ms, err): agent: answer the CHALLENGE, now or
 * later; max_streams is filled in here. */
int tunnel_hello(struct tunnel *t, const struct frame_hello *hello,
    uint64_t now_ms, struct err *err);

/** tunnel_welcome(t, welcome, now_ms, err): relay: the HELLO is good, now or
 * later; minor is filled in here.  A bad one: tunnel_close(). */
int tunnel_welcome(struct tunnel *t, const struct frame_welcome *welcome,
    uint64_t now_ms, struct err *err);

/*
 * Claims.
 */

/** tunnel_claim(t, number, claim, err): agent: send CLAIM; its number, which
 * ops.claimed will name, goes to ${number}.  Answers come in order.
 *   errors  ERR_LIMIT: TUNNEL_CLAIMS_OPEN_MAX are open; ERR_CLOSED */
int tunnel_claim(struct tunnel *t, uint32_t *number,
    const struct frame_claim *claim, struct err *err);
/** tunnel_claimed(t, number, claimed, err): relay: answer a CLAIM, in order. */
int tunnel_claimed(struct tunnel *t, uint32_t number,
    const struct frame_claimed *claimed, struct err *err);
int tunnel_unclaim(
    struct tunnel *t, const struct frame_unclaim *unclaim, struct err *err);

/*
 * Streams.  A body's length is fixed by its head (body_length); END is set by
 * us when that many bytes have been sent.
 */

/**
 * tunnel_open(t, stream, user, request, taken, err):
 * Relay: send REQUEST with as much of request->body, the bytes at hand (at
 * most body_length), as frames and windows allow; further DATA frames follow
 * at once if they fit.  *${taken} bytes were taken; the rest goes by
 * tunnel_send() after ops.writable.
 *   errors  ERR_LIMIT: as many streams are open as both ends allow, queue it;
 *           ERR_CLOSED: not ready, draining, or out of ids; ERR_INTERNAL,
 *           ERR_MEMORY.  Nothing was sent then
 */
int tunnel_open(struct tunnel *t, uint32_t *stream, void *user,
    const struct frame_request *request, size_t *taken, struct err *err);

/** tunnel_respond(t, stream, response, taken, err): agent: as tunnel_open().
 *   errors  ERR_NOT_FOUND: the stream is over; ERR_CONFLICT: answered already */
int tunnel_respond(struct tunnel *t, uint32_t stream,
    const struct frame_response *response, size_t *taken, struct err *err);

/** tunnel_send(t, stream, bytes): more of the body; bytes taken, which is less
 * than all if a window is shut (ops.writable follows) and 0 if the stream is
 * over.  More than body_length is our own bug and aborts. */
size_t tunnel_send(struct tunnel *t, uint32_t stream, struct span bytes);

/** tunnel_consumed(t, stream, len): ${len} bytes of the peer's body have left;
 * gives credit back.  What is open when a stream ends is given back by itself;
 * late calls do nothing. */
void tunnel_consumed(struct tunnel *t, uint32_t stream, size_t len);

/** tunnel_reset(t, stream, code, text): end the stream; no callback follows
 * for it.  ${text} may be NULL.  Harmless if it is over. */
void tunnel_reset(
    struct tunnel *t, uint32_t stream, enum frame_reset code, const char *text);

/** tunnel_breach(t, stream, now_ms, why): the caller found the peer's answer
 * against 12.6 (or an agent: the request): RESET 7, ops.reset, counted; the
 * third in a minute closes. */
void tunnel_breach(
    struct tunnel *t, uint32_t stream, uint64_t now_ms, const char *why);

/** tunnel_pending(t, stream, reason, extend_ms): agent: the answer will take
 * ${extend_ms} more. */
void tunnel_pending(struct tunnel *t, uint32_t stream, enum frame_reason reason,
    uint32_t extend_ms);

/** tunnel_set_user(t, stream, user); tunnel_user(t, stream): NULL if over. */
void tunnel_set_user(struct tunnel *t, uint32_t stream, void *user);
void *tunnel_user(const struct tunnel *t, uint32_t stream);

/** tunnel_streams(t): open streams.  tunnel_room(t): streams that tunnel_open()
 * would still take now. */
size_t tunnel_streams(const struct tunnel *t);
size_t tunnel_room(const struct tunnel *t);

/*
 * The end.
 */

/** tunnel_goaway(t, code, min_ms, max_ms, url): send GOAWAY with the last stream
 * handled; ops.drained follows, perhaps from inside this call, when no stream
 * is open.  ${url} may be empty.  Only the first call does something. */
void tunnel_goaway(struct tunnel *t, enum frame_goaway_code code,
    uint32_t min_ms, uint32_t max_ms, struct span url);

/** tunnel_ask_to_move(t, min_ms, max_ms): relay: GOAWAY `restarting` that lets
 * the agent make its next tunnel first; streams are opened as before until it
 * sends a GOAWAY of its own.  source docs/protocol.md 12.5 */
void tunnel_ask_to_move(struct tunnel *t, uint32_t min_ms, uint32_t max_ms);

/** tunnel_notice(t, code, text): relay: words for the owner. */
void tunnel_notice(
    struct tunnel *t, enum frame_notice_code code, const char *text);

#endif
