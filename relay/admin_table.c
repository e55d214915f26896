#include "relay/admin_impl.h"

#include <string.h>

static const struct admin_row rows[] = {
	{ "GET", "/healthz", admin_healthz },
	{ "GET", "/readyz", admin_readyz },
	{ "GET", "/metrics", admin_metrics },
	{ "GET", "/v1/status", admin_status },
	{ "GET", "/v1/tunnels", admin_tunnels },
	{ "GET", "/v1/tenants", admin_tenants },
	{ "POST", "/v1/tenants", admin_tenant_add },
	{ "POST", "/v1/tenants/remove", admin_tenant_remove },
	{ "GET", "/v1/tokens", admin_tokens },
	{ "POST", "/v1/tokens", admin_token_add },
	{ "POST", "/v1/tokens/revoke", admin_token_remove },
	{ "GET", "/v1/keys", admin_keys },
	{ "POST", "/v1/keys", admin_key_add },
	{ "POST", "/v1/keys/revoke", admin_key_revoke },
	{ "GET", "/v1/claims", admin_claims },
	{ "POST", "/v1/claims", admin_claim_add },
	{ "POST", "/v1/claims/release", admin_claim_release },
	{ "POST", "/v1/drain", admin_drain },
	{ "POST", "/v1/reload", admin_reload },
	{ "GET", "/v1/log-level", admin_log_level },
	{ "POST", "/v1/log-level", admin_log_level_set },
	{ "GET", "/v1/trail", admin_trail },
};

const struct admin_row *
admin_find_row(struct span method, struct span path, const char **allow)
{
	*allow = NULL;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!span_is(path, rows[i].path))
			continue;
		if (span_is(method, rows[i].method))
			return &rows[i];
		/* A path has at most these two. */
		*allow = *allow == NULL ? rows[i].method : "GET, POST";
	}
	return NULL;
}
