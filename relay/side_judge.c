#include "relay/side_impl.h"

#include "common/clock.h"
#include "common/tls.h"
#include "common/tls_memory.h"
#include "common/tls_peer.h"
#include "relay/claim.h"

#include <stdlib.h>
#include <string.h>

/* What another setup, or a change of the registry, means for the tunnels that
 * stand. */

/* A tenant that left the configuration leaves keys and tokens behind. */
static struct account *
standing(const struct side *s, struct account *account)
{
	struct tenant_rules rules;

	return account != NULL &&
		claim_tenant(s->worker->setup->tenants,
		    s->worker->relay->registry, account, &rules)
	    ? account
	    : NULL;
}

struct account *
side_known_as(struct side *s, const char **why)
{
	const struct relay_setup *setup = s->worker->setup;
	struct registry *registry = s->worker->relay->registry;
	struct account *owner, *shown = NULL;
	struct registry_token token;
	unsigned auth = setup->config.agent_auth;
	bool revoked;

	owner = claim_key_owner(setup->tenants, registry, s->key, &revoked);
	*why = "the key was revoked";
	if (revoked)
		return NULL;
	*why = "the key is no tenant's (tenants[].keys, enrolment)";
	if (s->token == NULL && s->certificate == NULL)
		return (auth & RELAY_AGENT_KEY) != 0 ? standing(s, owner)
						     : NULL;
	*why = "the token is no tenant's, or over";
	if (s->token != NULL && (auth & RELAY_AGENT_TOKEN) != 0 &&
	    registry_find_token(registry, REGISTRY_TOKEN_AGENT, s->token,
		clock_wall_ms(), &token)) {
		shown = token.account;
		s->until_ms = token.expires_ms;
	}
	if (s->certificate != NULL && (auth & RELAY_AGENT_MTLS) != 0) {
		*why = "the certificate is no tenant's "
		       "(tenants[].certificates)";
		shown = tenants_of_certificate(setup->tenants, s->certificate);
	}
	if (shown == NULL || owner == NULL || owner == shown)
		return standing(s, shown);
	*why = "the key is another tenant's";
	return NULL;
}

static void
send_away(struct side *s, const char *why)
{
	log_info(&s->subject, "sent away: %s", why);
	tunnel_close(
	    s->tunnel, TUNNEL_CLOSE_UNTRUSTED, "unknown key or bad signature");
}

void
side_check_end(struct side *s)
{
	if (s->until_ms == 0 || clock_wall_ms() < s->until_ms)
		return;
	s->until_ms = 0;
	if (s->joined)
		send_away(s, "its token has ended");
}

static bool
greeting_differs(const struct relay_config *a, const struct relay_config *b)
{
	return strcmp(a->name, b->name) != 0 ||
	    a->channel_binding != b->channel_binding;
}

/* Released, or given to somebody else: nothing more comes by this tunnel. */
static void
judge_claims(struct side *s)
{
	struct relay *r = s->worker->relay;

	for (uint32_t i = s->claim_count; i-- > 0;) {
		if (claim_keep(s->worker->setup->tenants, r->registry,
			s->account, s->key, &s->claims[i].uuid,
			s->claims[i].certified))
			continue;
		side_forget(s, &s->claims[i].uuid);
		s->claims[i] = s->claims[--s->claim_count];
	}
}

/* What another setup changes for those that are here already. */
struct change {
	bool greeting;
	bool authorities; /* of agents' certificates */
};

static bool
is_disowned(const struct side *s, const struct change *change)
{
	const struct tls_identity *id = s->worker->setup->public;

	if (!change->authorities || s->certificate == NULL || s->conn == NULL)
		return false;
	return s->shown != NULL ? !tls_peer_still_stands(s->shown, id)
				: !tls_peer_stands(conn_ssl(s->conn), id);
}

static void
judge(struct side *s, const struct change *change)
{
	const char *why = "the certificate's authority is none any more";
	unsigned missed = tls_memory_missed();
	bool disowned = is_disowned(s, change);
	bool unknown = disowned && tls_memory_missed() != missed;

	/* It signs what the challenge said, and a wrong signature is final for
	 * an agent; so is a certificate that does not stand. */
	if (unknown || (!s->joined && (change->greeting || disowned)))
		tunnel_close(s->tunnel, TUNNEL_CLOSE_DRAINING,
		    "the configuration changed");
	if (unknown || !s->joined)
		return;
	if (!disowned && side_known_as(s, &why) == s->account) {
		judge_claims(s);
		return;
	}
	send_away(s, why);
}

void
side_judge_all(struct worker *w, const struct relay_setup *old)
{
	const struct relay_setup *new = w->setup;
	const struct change change = {
		.greeting =
		    old != NULL && greeting_differs(&new->config, &old->config),
		.authorities =
		    old != NULL && !tls_same_clients(new->public, old->public),
	};
	struct side *s, *next;

	for (s = TAILQ_FIRST(&w->all_sides); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		judge(s, &change);
	}
}

void
side_list_all(struct worker *w, struct message_tunnels *m)
{
	const struct side *s;

	m->rows = calloc(w->tunnels.used + 1, sizeof(*m->rows));
	if (m->rows == NULL)
		return;
	TAILQ_FOREACH(s, &w->all_sides, link)
	{
		struct tunnel_row *row = &m->rows[m->count];

		if (!s->joined || m->count == w->tunnels.used)
			continue;
		*row = (struct tunnel_row){ .account = s->account,
			.source = s->peer.source,
			.session = s->session,
			.since_ms = s->since_ms,
			.claims = s->claim_count,
			.streams = (uint32_t)tunnel_streams(s->tunnel),
			.leaving = s->leaving };
		memcpy(row->key, s->key, sizeof(row->key));
		m->count++;
	}
}

void
side_quota(struct worker *w, struct handle tunnel)
{
	struct side *s = slab_get(&w->tunnels, tunnel);

	if (s == NULL)
		return;
	log_warn(&s->subject, "over a quota of its tenant");
	tunnel_notice(s->tunnel, FRAME_NOTICE_QUOTA,
	    "requests for your VMs are refused: the tenant is over its quota");
}
