#include "relay/side_impl.h"

#include "common/base64.h"
#include "common/clock.h"
#include "common/tls.h"
#include "common/tls_peer.h"
#include "relay/claim.h"

#include <stdlib.h>
#include <string.h>

#define CLAIMS_FIRST 1
#define CLAIMS_TOLD 128 /* lines of the log, for one tunnel */
#define RESULT_LEN 17   /* bytes of one entry of RESULTS */

/* Is this HELLO made by the holder of its key, for us, on this connection? */
static int
verify(struct side *s, const struct frame_hello *hello, struct err *err)
{
	const struct relay_config *c = &s->worker->setup->config;
	uint8_t exporter[TUNNEL_EXPORTER_LEN] = { 0 };
	uint8_t text[TUNNEL_HELLO_TEXT_MAX];
	struct writer w = writer_of(text, sizeof(text));
	const char *why;

	if (c->channel_binding &&
	    tls_exporter(conn_ssl(s->conn), exporter, sizeof(exporter),
		TUNNEL_EXPORTER_LABEL, err) != 0)
		return -1;
	tunnel_hello_text(&w, span_of(s->nonce, sizeof(s->nonce)),
	    c->channel_binding ? 1 : 0, span_of(exporter, sizeof(exporter)),
	    span_str(c->name), TUNNEL_SUBPROTOCOL);
	if (!writer_ok(&w))
		return err_set(err, ERR_INTERNAL, "hello text too long");
	if (admit_signature(
		hello->key, hello->signature, writer_span(&w), err) != 0)
		return -1;
	memcpy(s->key, hello->key.ptr, sizeof(s->key));
	s->account = side_known_as(s, &why);
	if (s->account == NULL)
		return err_set(err, ERR_UNTRUSTED, "%s", why);
	return 0;
}

/* The newest tunnel of a key wins (docs/protocol.md 12.5). */
static int
join(struct side *s, bool *flaps, struct err *err)
{
	struct relay *r = s->worker->relay;
	struct keyring_join j = { .tunnel = s->handle,
		.session = s->session,
		.account = s->account,
		.now_ms = clock_ms() };
	struct message_tunnel *m;
	struct handle old;

	if (keyring_join(r->keyring, s->key, &j, &old, flaps, err) != 0)
		return -1;
	s->joined = true;
	counter_add(&s->worker->counters.tunnels, 1);
	if (old.generation == 0)
		return 0;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return 0; /* its routes still move with each claim */
	m->m.kind = MESSAGE_SUPERSEDE;
	m->tunnel = old;
	relay_send(s->worker, old.worker, &m->m);
	return 0;
}

void
side_hello(void *arg, const struct frame_hello *hello)
{
	struct side *s = arg;
	struct relay *r = s->worker->relay;
	char key[64], peer[LOG_SUBJECT_MAX + 1];
	struct frame_welcome welcome = { 0 };
	struct err err;
	bool flaps;

	if (verify(s, hello, &err) != 0) {
		log_warn(&s->subject, "hello of ed25519:%s: %s",
		    base64_encode(key, sizeof(key), hello->key), err.msg);
		/* One code and one text for every reason, but a fault of ours:
		 * agents take the code for final. */
		if (err.code == ERR_INTERNAL || err.code == ERR_MEMORY)
			tunnel_close(s->tunnel, WS_CLOSE_INTERNAL,
			    "the hello could not be checked");
		else
			tunnel_close(s->tunnel, TUNNEL_CLOSE_UNTRUSTED,
			    "unknown key or bad signature");
		return;
	}
	memcpy(s->boot, hello->boot_id.ptr, sizeof(s->boot));
	s->slot = hello->slot;
	s->since_ms = clock_wall_ms();
	s->session = relay_next_session(r);
	if (join(s, &flaps, &err) != 0) {
		tunnel_close(s->tunnel, TUNNEL_CLOSE_LIMITS, err.msg);
		return;
	}
	/* The exporter has been used, and the certificate judged. */
	s->shown = tls_peer_take(conn_ssl(s->conn));
	memcpy(peer, s->subject.text, sizeof(peer));
	log_subject_set(&s->subject, "tunnel %s/%u-%llu", s->account->name,
	    s->handle.worker, (unsigned long long)s->handle.generation);
	log_info(&s->subject, "up: %s, key ed25519:%s, %.*s", peer,
	    base64_encode(key, sizeof(key), hello->key),
	    (int)hello->software.len, (const char *)hello->software.ptr);
	welcome.tenant = span_str(s->account->name);
	welcome.ping_ms = (uint32_t)s->worker->setup->config.timeouts.ping;
	welcome.session_number = s->session;
	if (tunnel_welcome(s->tunnel, &welcome, clock_ms(), &err) != 0) {
		tunnel_close(s->tunnel, WS_CLOSE_INTERNAL, err.msg);
		return;
	}
	if (s->worker->moving)
		tunnel_ask_to_move(s->tunnel, 0, 0);
	if (flaps) {
		log_warn(&s->subject,
		    "its key makes many tunnels: two agents "
		    "with one key?");
		tunnel_notice(s->tunnel, FRAME_NOTICE_DUPLICATE,
		    "more than 3 tunnels of this key in a minute: do two "
		    "agents share it?");
	}
}

static bool
remember(struct side *s, const struct frame_claim_name *name)
{
	uint32_t cap = s->claim_cap == 0 ? CLAIMS_FIRST : s->claim_cap * 2;
	struct side_claim *more;

	if (s->claim_count == s->claim_cap) {
		more = reallocarray(s->claims, cap, sizeof(*more));
		if (more == NULL)
			return false;
		s->claims = more;
		s->claim_cap = cap;
	}
	s->claims[s->claim_count++] = (struct side_claim){ .uuid = name->uuid,
		.certified = name->label.len > 0 };
	return true;
}

/* A route counts where it is, also after a move: who removes it, gives. */
bool
side_forget(struct side *s, const struct uuid *uuid)
{
	if (!route_remove(s->worker->relay->routes, uuid, s->handle))
		return false;
	side_withdraw(s, uuid);
	account_give(s->account, ACCOUNT_CLAIMS);
	return true;
}

static enum frame_result
claim_one(struct side *s, const struct frame_claim *claim,
    const struct frame_claim_name *name)
{
	struct relay *r = s->worker->relay;
	struct route route = { .tunnel = s->handle,
		.session = s->session,
		.account = s->account,
		.capabilities = claim->capabilities,
		.mode = claim->mode,
		.rank = claim->rank };
	enum route_change change;
	enum frame_result result;

	if (s->leaving ||
	    claim_judge(s->worker->setup->tenants, r->registry, s->account,
		s->key, name) != CLAIM_YES)
		return FRAME_CLAIM_DENIED;
	memcpy(route.key, s->key, sizeof(route.key));
	result = route_add(r->routes, &name->uuid, &route, &change);
	if (change == ROUTE_NONE)
		return result;
	/* Whether it counts is known only now. */
	if (change == ROUTE_NEW && !account_take(s->account, ACCOUNT_CLAIMS)) {
		route_remove(r->routes, &name->uuid, s->handle);
		return FRAME_CLAIM_DENIED;
	}
	if (s->claim_count < (uint32_t)s->worker->setup->config.limits.claims &&
	    remember(s, name))
		return result;
	side_forget(s, &name->uuid);
	return FRAME_CLAIM_DENIED;
}

void
side_claim(void *arg, uint32_t number, const struct frame_claim *claim)
{
	static const struct side_grant all = { .yes = UINT64_MAX };
	struct side *s = arg;

	/* Other relays first: what is bound to a key on the disk is granted
	 * without asking them.  For one that leaves it is no all the same. */
	if (s->worker->relay->directory != NULL && !s->leaving)
		side_ask(s, number, claim);
	else
		side_claim_granted(s, number, claim, &all);
}

void
side_claim_granted(struct side *s, uint32_t number,
    const struct frame_claim *claim, const struct side_grant *grant)
{
	if (!side_first(s, number, claim, grant))
		side_claim_bound(s, number, claim, grant);
}

void
side_claim_bound(struct side *s, uint32_t number,
    const struct frame_claim *claim, const struct side_grant *grant)
{
	uint8_t results[FRAME_NAMES_MAX * RESULT_LEN];
	struct writer w = writer_of(results, sizeof(results));
	struct frame_claimed claimed;
	struct frame_claim_name name;
	struct span rest = claim->names;
	unsigned ok = 0, denied = 0;
	struct err err;

	while (frame_next_name(&rest, &name)) {
		enum frame_result result = FRAME_CLAIM_DENIED;

		if ((grant->yes >> (ok + denied) & 1) != 0) {
			result = claim_one(s, claim, &name);
			if (result == FRAME_CLAIM_DENIED)
				side_withdraw(s, &name.uuid);
		}
		frame_put_result(&w, &name.uuid, result);
		if (result == FRAME_CLAIM_DENIED)
			denied++;
		else
			ok++;
	}
	claimed.results = writer_span(&w);
	/* As many lines as a good agent needs for all that it may claim. */
	if (s->claims_told < CLAIMS_TOLD) {
		s->claims_told++;
		log_info(&s->subject, "claims %u, denied %u", ok, denied);
	}
	if (tunnel_claimed(s->tunnel, number, &claimed, &err) != 0)
		tunnel_close(s->tunnel, WS_CLOSE_INTERNAL, err.msg);
	if (ok > 0)
		relay_routes_changed(s->worker);
}

void
side_unclaim(void *arg, const struct frame_unclaim *unclaim)
{
	struct side *s = arg;
	struct span rest = unclaim->uuids;
	struct uuid uuid;

	while (frame_next_uuid(&rest, &uuid)) {
		/* The walk is for those that are ours: made-up ones are cheap
		 * to send. */
		if (!side_forget(s, &uuid))
			continue;
		for (uint32_t i = s->claim_count; i-- > 0;) {
			if (!uuid_equal(&s->claims[i].uuid, &uuid))
				continue;
			s->claims[i] = s->claims[--s->claim_count];
			break;
		}
	}
}

void
side_leave(struct side *s)
{
	if (s->leaving)
		return;
	s->leaving = true;
	for (uint32_t i = 0; i < s->claim_count; i++)
		side_forget(s, &s->claims[i].uuid);
	free(s->claims);
	s->claims = NULL;
	s->claim_count = s->claim_cap = 0;
	side_first_leave(s);
	side_asked_free(s);
	if (s->joined)
		keyring_leave(
		    s->worker->relay->keyring, s->key, s->handle, clock_ms());
}
