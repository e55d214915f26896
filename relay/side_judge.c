#include "relay/side_impl.h"

#include "common/clock.h"
#include "relay/claim.h"

#include <stdlib.h>
#include <string.h>

/* What another setup, or a change of the registry, means for the tunnels that
 * stand. */

struct account *
side_known_as(const struct side *s, const char **why)
{
	const struct relay_setup *setup = s->worker->setup;
	struct registry *registry = s->worker->relay->registry;
	struct account *owner, *shown = NULL;
	struct registry_token token;
	bool revoked;

	owner = claim_key_owner(setup->tenants, registry, s->key, &revoked);
	*why = "the key was revoked";
	if (revoked)
		return NULL;
	*why = "the key is no tenant's (tenants[].keys, enrolment)";
	if (s->token == NULL && s->certificate == NULL)
		return (setup->config.agent_auth & RELAY_AGENT_KEY) != 0 ? owner
									 : NULL;
	*why = "the token is no tenant's, or over";
	if (s->token != NULL &&
	    registry_find_token(registry, REGISTRY_TOKEN_AGENT, s->token,
		clock_wall_ms(), &token))
		shown = token.account;
	if (s->certificate != NULL) {
		*why = "the certificate is no tenant's "
		       "(tenants[].certificates)";
		shown = tenants_of_certificate(setup->tenants, s->certificate);
	}
	if (shown == NULL || owner == NULL || owner == shown)
		return shown;
	*why = "the key is another tenant's";
	return NULL;
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
			s->account, s->key, &s->claims[i]))
			continue;
		side_forget(s, &s->claims[i]);
		s->claims[i] = s->claims[--s->claim_count];
	}
}

static void
judge(struct side *s, bool differs)
{
	const char *why;

	/* It signs what the challenge said, and a wrong signature is final for
	 * an agent. */
	if (!s->joined && differs)
		tunnel_close(s->tunnel, TUNNEL_CLOSE_DRAINING,
		    "the configuration changed");
	if (!s->joined)
		return;
	if (side_known_as(s, &why) == s->account) {
		judge_claims(s);
		return;
	}
	log_info(&s->subject, "sent away: %s", why);
	tunnel_close(
	    s->tunnel, TUNNEL_CLOSE_UNTRUSTED, "unknown key or bad signature");
}

void
side_judge_all(struct worker *w, const struct relay_setup *old)
{
	bool differs =
	    old != NULL && greeting_differs(&w->setup->config, &old->config);
	struct side *s, *next;

	for (s = TAILQ_FIRST(&w->all_sides); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		judge(s, differs);
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
