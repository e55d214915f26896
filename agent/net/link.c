#include "agent/net/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/net/link_impl.h"
#include "agent/plain.h"

#define SOFTWARE "attest-agent/" ATTEST_VERSION
#define STREAMS 256 /* as many as a busy cloud can make use of */
#define PING_LEAST_MS 20000u
#define PING_SPREAD_MS 5000u
#define LEAVE_MS 2000       /* for the relay to close what we left */
#define NOTICES 16          /* of a tunnel, that are logged */
#define SKEW_WARN_MS 300000 /* docs/threat-model.md T26 */

uint64_t
link_now_ms(const struct link *l)
{
	return (uint64_t)times_boot_ms(&l->config->clock);
}

static void
copy_text(char *out, size_t cap, struct span in)
{
	size_t len = in.len < cap ? in.len : cap - 1;

	if (len > 0)
		memcpy(out, in.ptr, len);
	out[len] = '\0';
	(void)plain(out);
}

/* A name that is no relay of ours, or a hello that anybody could replay. */
static int
judge_challenge(
    struct link *l, const struct frame_challenge *challenge, struct err *err)
{
	const struct link_config *c = l->config;

	if (c->relay_name != NULL &&
	    !span_is(challenge->relay_name, c->relay_name))
		return err_set(err, ERR_UNTRUSTED,
		    "the relay calls itself \"%s\", want \"%s\"",
		    l->facts.relay_name, c->relay_name);
	if (challenge->binding == 0 && !c->allow_no_binding)
		return err_set(err, ERR_UNTRUSTED,
		    "the relay has channel-binding off; to accept that of it, "
		    "let its URL end in #no-binding (or #PIN,no-binding)");
	return 0;
}

static int
sign_hello(uint8_t signature[KEY_SIG_LEN], const struct link *l,
    const struct frame_challenge *challenge, struct err *err)
{
	uint8_t exporter[TUNNEL_EXPORTER_LEN] = { 0 };
	uint8_t text[TUNNEL_HELLO_TEXT_MAX];
	struct writer w = writer_of(text, sizeof(text));

	if (challenge->binding != 0 &&
	    ws_exporter(exporter, l->ws, TUNNEL_EXPORTER_LABEL) != 0)
		return err_set(
		    err, ERR_INTERNAL, "TLS gives no exporter (RFC 8446 7.5)");
	tunnel_hello_text(&w, challenge->nonce, challenge->binding,
	    span_of(exporter, sizeof(exporter)), challenge->relay_name,
	    TUNNEL_SUBPROTOCOL);
	if (!writer_ok(&w))
		return err_set(err, ERR_LIMIT, "hello too long");
	return key_sign(signature, l->config->key, writer_span(&w), err);
}

static void
on_challenge(void *arg, const struct frame_challenge *challenge)
{
	uint8_t signature[KEY_SIG_LEN];
	struct link *l = arg;
	struct frame_hello hello = {
		.key = span_of(key_public(l->config->key), UUID_KEY_LEN),
		.signature = span_of(signature, sizeof(signature)),
		.software = span_str(SOFTWARE),
		.boot_id = span_of(l->config->boot_id, FRAME_BOOT_ID_LEN),
		.slot = l->config->slot,
	};
	struct err err = { 0 };

	copy_text(l->facts.relay_name, sizeof(l->facts.relay_name),
	    challenge->relay_name);
	l->facts.binding = challenge->binding != 0;
	l->facts.skew_ms =
	    (int64_t)challenge->time_ms - times_wall_ms(&l->config->clock);
	l->max_claims = challenge->max_claims;
	if (l->facts.skew_ms > SKEW_WARN_MS || l->facts.skew_ms < -SKEW_WARN_MS)
		log_warn(&l->subject,
		    "the relay's clock and ours are %lld s apart",
		    (long long)(l->facts.skew_ms / 1000));
	if (judge_challenge(l, challenge, &err) != 0 ||
	    sign_hello(signature, l, challenge, &err) != 0 ||
	    tunnel_hello(l->tunnel, &hello, link_now_ms(l), &err) != 0)
		tunnel_close(l->tunnel, TUNNEL_CLOSE_OK, err.msg);
}

static void
on_welcome(void *arg, const struct frame_welcome *welcome)
{
	struct link *l = arg;

	copy_text(l->facts.tenant, sizeof(l->facts.tenant), welcome->tenant);
	l->facts.session_number = welcome->session_number;
	l->welcome = true;
	link_claim(l);
}

static void
on_send(void *arg, struct span head, struct span body)
{
	struct link *l = arg;

	if (l->ws != NULL)
		ws_send(l->ws, head, body);
}

static void
on_goaway(void *arg, const struct frame_goaway *goaway)
{
	struct link *l = arg;

	/* Saying it again changes nothing, and would fill the log. */
	if (l->leaving)
		return;
	l->leaving = true;
	l->config->goaway(l->config->arg, l, goaway);
}

static void
on_drained(void *arg)
{
	struct link *l = arg;

	/* The relay closes, once it has read our GOAWAY: if we did, a REQUEST
	 * on its way here would reset the connection under that. */
	if (l->retired)
		l->close_at_ms = link_now_ms(l) + LEAVE_MS;
}

/* The tunnel is over; the transport follows, and then we tell. */
static void
on_tunnel_closed(void *arg, unsigned code, const char *why)
{
	struct link *l = arg;

	if (l->code == 0) {
		l->code = code;
		(void)snprintf(l->why, sizeof(l->why), "%s", why);
	}
	if (l->ws != NULL)
		ws_close(l->ws, code, why);
}

static void
on_notice(void *arg, const struct frame_notice *notice)
{
	struct link *l = arg;

	if (++l->notices > NOTICES)
		return;
	log_warn(&l->subject, "the relay says: %.*s", (int)notice->text.len,
	    (const char *)notice->text.ptr);
}

static const struct tunnel_ops tunnel_ops = {
	.send = on_send,
	.data = link_on_data,
	.reset = link_on_reset,
	.writable = link_on_writable,
	.goaway = on_goaway,
	.drained = on_drained,
	.closed = on_tunnel_closed,
	.challenge = on_challenge,
	.welcome = on_welcome,
	.claimed = link_on_claimed,
	.request = link_on_request,
	.notice = on_notice,
};

static void
on_ws_opened(void *user)
{
	struct link *l = user;
	uint32_t random = 0;
	struct tunnel_config config = {
		.role = TUNNEL_AGENT,
		.max_streams = STREAMS,
	};

	(void)secret_random(&random, sizeof(random), NULL);
	config.ping_ms = PING_LEAST_MS + random % PING_SPREAD_MS;
	l->tunnel = tunnel_new(&config, &tunnel_ops, l, link_now_ms(l));
	if (l->tunnel == NULL)
		ws_close(l->ws, TUNNEL_CLOSE_LOST, "no memory");
}

static void
on_ws_message(void *user, struct span message)
{
	struct link *l = user;

	if (l->tunnel != NULL)
		tunnel_input(l->tunnel, message, link_now_ms(l));
}

static void
on_ws_closed(void *user, unsigned code, const char *why)
{
	struct link *l = user;

	l->ws = NULL;
	/* What the peer's close frame says weighs more than our guess. */
	if (l->code == 0 || code >= 4000) {
		l->code = code;
		(void)snprintf(l->why, sizeof(l->why), "%s", why);
	}
	if (l->tunnel != NULL)
		tunnel_close(l->tunnel, TUNNEL_CLOSE_LOST, why);
	l->config->over(l->config->arg, l, l->code, l->why);
}

struct ws_ops
link_ws_ops(void)
{
	return (struct ws_ops){
		.opened = on_ws_opened,
		.message = on_ws_message,
		.closed = on_ws_closed,
	};
}

struct link *
link_dial(struct ws_target *target, const char *address,
    const struct link_config *config, uint64_t id, struct err *err)
{
	struct link *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		(void)err_set(err, ERR_MEMORY, "no memory for a tunnel");
		return NULL;
	}
	l->config = config;
	l->id = id;
	log_subject_set(&l->subject, "tunnel %llu", (unsigned long long)id);
	l->ws = ws_dial(target, address, l, err);
	if (l->ws == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

void
link_free(struct link *l)
{
	if (l == NULL)
		return;
	tunnel_free(l->tunnel);
	free(l->names);
	free(l);
}

uint64_t
link_id(const struct link *l)
{
	return l->id;
}

bool
link_is_ready(const struct link *l)
{
	return l->ready;
}

const struct link_facts *
link_facts(const struct link *l)
{
	return &l->facts;
}

int64_t
link_tick(struct link *l)
{
	uint64_t next;

	if (l->tunnel == NULL)
		return INT64_MAX;
	tunnel_tick(l->tunnel, link_now_ms(l));
	if (l->close_at_ms != 0 && link_now_ms(l) >= l->close_at_ms)
		tunnel_close(l->tunnel, TUNNEL_CLOSE_OK, "done");
	if (l->ask_at_ms != 0 && link_now_ms(l) >= l->ask_at_ms)
		link_claim_denied(l);
	next = tunnel_deadline(l->tunnel);
	if (l->ask_at_ms != 0 && l->ask_at_ms < next)
		next = l->ask_at_ms;
	if (l->close_at_ms != 0 && l->close_at_ms < next)
		next = l->close_at_ms;
	return next > INT64_MAX ? INT64_MAX : (int64_t)next;
}

void
link_close(struct link *l, unsigned code, const char *why)
{
	if (l->tunnel != NULL)
		tunnel_close(l->tunnel, code, why);
	else if (l->ws != NULL)
		ws_close(l->ws, code, why);
}

void
link_retire(struct link *l)
{
	l->retired = true;
	if (l->tunnel == NULL || tunnel_phase(l->tunnel) < TUNNEL_READY)
		link_close(l, TUNNEL_CLOSE_OK, "not needed");
	else
		/* Also if no stream is open: one may be on its way, and the
		 * GOAWAY tells the relay that it is not ours any more. */
		tunnel_goaway(
		    l->tunnel, FRAME_GOAWAY_SHUTDOWN, 0, 0, (struct span){ 0 });
}
