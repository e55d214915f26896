#include "relay/setup.h"

#include "common/address.h"
#include "common/log.h"
#include "relay/privileges.h"
#include "relay/setup_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CERT_WARN_DAYS 14

/* Who posts, by tokens, networks and certificates. */
static void
load_hosts(struct relay_setup *s, struct conf_report *report)
{
	const struct conf_host_keys keys = { s->config.host_auth,
		&s->config.tokens, &s->config.networks };
	char at[CONF_HOSTS_WHERE], where[sizeof(at) + sizeof("hosts.")];
	struct err err;

	if (conf_hosts_fill(&s->hosts, &s->own_hosts, &keys, at, &err) != 0) {
		snprintf(where, sizeof(where), "hosts.%s", at);
		conf_complain(report, where, "%s", err.msg);
	}
	s->sha256 = admit_sha256();
	s->hosts.sha256 = s->sha256;
}

static void
load_tenant(struct relay_setup *s, size_t at, struct conf_report *report)
{
	const struct relay_tenant *t =
	    (const struct relay_tenant *)s->config.tenants.items + at;
	char *const *keys = t->keys.items, *const *vms = t->vms.items;
	char *const *names = t->certificates.items;
	const struct tenant_rules rules = {
		.self_certifying = t->self_certifying,
		.first_claim = t->first_claim,
		.limits = { .max = { [ACCOUNT_TUNNELS] = (uint32_t)t->tunnels,
				[ACCOUNT_CLAIMS] = (uint32_t)t->claims,
				[ACCOUNT_STREAMS] = (uint32_t)t->streams },
		    .requests = (uint32_t)t->requests,
		    .memory = t->memory },
	};
	struct err err;
	char where[64];
	size_t index;

	if (t->name == NULL)
		return; /* told already */
	if (tenants_add(s->tenants, t->name, &rules, &index, &err) != 0) {
		snprintf(where, sizeof(where), "tenants[%zu].name", at);
		conf_complain(report, where, "%s", err.msg);
		return;
	}
	for (size_t i = 0; i < t->keys.count; i++) {
		snprintf(where, sizeof(where), "tenants[%zu].keys[%zu]", at, i);
		if (tenants_add_key(s->tenants, index, keys[i], &err) != 0)
			conf_complain(report, where, "%s", err.msg);
	}
	for (size_t i = 0; i < t->vms.count; i++) {
		snprintf(where, sizeof(where), "tenants[%zu].vms[%zu]", at, i);
		if (tenants_add_vm(s->tenants, index, vms[i], &err) != 0)
			conf_complain(report, where, "%s", err.msg);
	}
	for (size_t i = 0; i < t->certificates.count; i++) {
		snprintf(where, sizeof(where), "tenants[%zu].certificates[%zu]",
		    at, i);
		if (tenants_add_certificate(
			s->tenants, index, names[i], &err) != 0)
			conf_complain(report, where, "%s", err.msg);
	}
}

static void
load_identity(struct tls_identity **out, const struct relay_listener *l,
    const char *section, struct conf_report *report)
{
	static const char *const parts[] = { "certificate", "key",
		"client-ca" };
	struct tls_source source = { l->certificate, l->key, l->client_ca };
	enum tls_part part;
	struct err err;
	char where[64];

	if (l->certificate == NULL || l->key == NULL)
		return; /* told already */
	if (tls_identity_load(out, &source, &part, &err) == 0)
		return;
	snprintf(where, sizeof(where), "%s.%s", section, parts[part]);
	conf_complain(report, where, "%s", err.msg);
}

static void
check_fields(const struct relay_config *c, struct conf_report *report)
{
	struct err err;

	if ((c->host_auth & CONF_HOST_MTLS) != 0 &&
	    c->internal.client_ca[0] == '\0')
		conf_complain(
		    report, "hosts.auth", "mtls needs internal.client-ca");
	if ((c->host_auth & CONF_HOST_BEARER) != 0 && c->tokens.count == 0)
		conf_complain(report, "hosts.auth",
		    "bearer needs at least one of hosts.tokens");
	if ((c->host_auth & CONF_HOST_NETWORKS) != 0 && c->networks.count == 0)
		conf_complain(report, "hosts.auth",
		    "networks needs at least one of hosts.networks");
	if ((c->agent_auth & RELAY_AGENT_MTLS) != 0 &&
	    c->public.client_ca[0] == '\0')
		conf_complain(
		    report, "agents.auth", "mtls needs public.client-ca");
	/* T29: there is no administration over TCP without certificates. */
	if (c->admin.listen.count > 0 &&
	    (c->admin.certificate[0] == '\0' || c->admin.key[0] == '\0' ||
		c->admin.client_ca[0] == '\0'))
		conf_complain(report, "admin.listen",
		    "needs admin.certificate, admin.key and admin.client-ca");
	if (privileges_check(c->user, &err) != 0)
		conf_complain(report, "user", "%s", err.msg);
	if (c->timeouts.pending < c->timeouts.request)
		conf_complain(report, "timeouts.pending",
		    "is less than timeouts.request");
	if (c->timeouts.agent_wait > c->timeouts.request)
		conf_complain(report, "timeouts.agent-wait",
		    "is more than timeouts.request");
}

/* One port of one address, or of all of them: the second bind() would fail. */
static bool
is_clash(const char *a, const char *b)
{
	char host_a[64], host_b[64];
	uint16_t port_a, port_b;

	if (address_split(host_a, sizeof(host_a), &port_a, a, NULL) != 0 ||
	    address_split(host_b, sizeof(host_b), &port_b, b, NULL) != 0)
		return false;
	if (port_a == 0 || port_a != port_b)
		return false;
	/* IPv6 sockets take IPv6 only. */
	if ((strchr(host_a, ':') == NULL) != (strchr(host_b, ':') == NULL))
		return false;
	return strcmp(host_a, host_b) == 0 || strcmp(host_a, "0.0.0.0") == 0 ||
	    strcmp(host_b, "0.0.0.0") == 0 || strcmp(host_a, "::") == 0 ||
	    strcmp(host_b, "::") == 0;
}

static void
check_ports(const struct relay_config *c, struct conf_report *report)
{
	const struct conf_list *lists[] = { &c->public.listen,
		&c->internal.listen };
	static const char *const names[] = { "public", "internal" };
	size_t first = lists[0]->count, all = first + lists[1]->count;
	char where[64];

	for (size_t i = 0; i < all; i++) {
		size_t side = i >= first, at = side ? i - first : i;
		char *const *mine = lists[side]->items;

		for (size_t k = 0; k < i; k++) {
			char *const *items = lists[k >= first]->items;
			const char *other = items[k >= first ? k - first : k];

			if (!is_clash(mine[at], other))
				continue;
			snprintf(where, sizeof(where), "%s.listen[%zu]",
			    names[side], at);
			conf_complain(report, where, "%s is taken by %s above",
			    mine[at], other);
			break;
		}
	}
}

static void
setup_free(struct relay_setup *s)
{
	tls_identity_free(s->public);
	tls_identity_free(s->internal);
	setup_cluster_free(s);
	tls_identity_free(s->admin);
	tenants_free(s->tenants);
	conf_hosts_free(&s->own_hosts);
	admit_sha256_free(s->sha256);
	conf_free(&s->config, &relay_config_table);
	free(s);
}

/* All that is wrong, in one go. */
static void
load_all(struct relay_setup *s, const char *file, struct conf_report *report)
{
	struct relay_config *c = &s->config;
	struct err err;

	/* What two keys say of each other would be guesswork if one of them
	 * is missing. */
	if (conf_load(c, &relay_config_table, file, report) == 0) {
		check_fields(c, report);
		check_ports(c, report);
	}
	if (c->base != NULL && strcmp(c->base, "/") == 0)
		c->base[0] = '\0';
	if (tenants_new(&s->tenants, &err) != 0) {
		conf_complain(report, "tenants", "%s", err.msg);
		return;
	}
	load_hosts(s, report);
	for (size_t i = 0; i < c->tenants.count; i++)
		load_tenant(s, i, report);
	load_identity(&s->public, &c->public, "public", report);
	load_identity(&s->internal, &c->internal, "internal", report);
	setup_cluster(s, report);
	if (c->admin.listen.count > 0 && c->admin.client_ca[0] != '\0')
		load_identity(&s->admin, &c->admin, "admin", report);
}

static void
warn_of_end(const char *key, const struct tls_identity *id)
{
	int days = tls_identity_days(id);

	if (days < 0)
		log_warn(NULL, "%s has expired: nobody can connect", key);
	else if (days < CERT_WARN_DAYS)
		log_warn(NULL, "%s ends in %d days", key, days);
}

void
setup_warn(const struct relay_setup *s)
{
	warn_of_end("public.certificate", s->public);
	warn_of_end("internal.certificate", s->internal);
	if (s->config.host_auth == 0)
		log_warn(NULL, "hosts.auth is empty: no host is let in");
	if (tenants_count(s->tenants) == 0)
		log_warn(NULL, "there are no tenants: no agent is let in");
}

int
setup_load(
    struct relay_setup **out, const char *file, struct conf_report *report)
{
	struct relay_setup *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (s == NULL)
		return conf_complain(report, "name", "no memory");
	atomic_init(&s->holds, 1);
	load_all(s, file, report);
	if (report->errors != 0) {
		setup_free(s);
		return -1;
	}
	*out = s;
	return 0;
}

struct relay_setup *
setup_hold(struct relay_setup *s)
{
	atomic_fetch_add_explicit(&s->holds, 1, memory_order_relaxed);
	return s;
}

void
setup_drop(struct relay_setup *s)
{
	/* What others did with it comes before the end of it. */
	if (s != NULL &&
	    atomic_fetch_sub_explicit(&s->holds, 1, memory_order_acq_rel) == 1)
		setup_free(s);
}
