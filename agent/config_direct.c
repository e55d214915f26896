#include <string.h>

#include "agent/config.h"
#include "agent/file.h"

/* direct.* of agent.yaml, as the listener wants it. */

/* What two keys say of each other. */
static int
check(const struct config_direct *c, struct err *err)
{
	if (c->certificate[0] == '\0' || c->key[0] == '\0')
		return err_set(
		    err, ERR_USAGE, "to listen wants --certificate and --key");
	if (file_check_private(c->key, err) != 0)
		return err_wrap(err, "direct.key");
	if ((c->auth & CONF_HOST_MTLS) != 0 && c->client_ca[0] == '\0')
		return err_set(
		    err, ERR_USAGE, "direct.auth: mtls needs --client-ca");
	if ((c->auth & CONF_HOST_BEARER) != 0 && c->tokens.count == 0)
		return err_set(
		    err, ERR_USAGE, "direct.auth: bearer needs direct.tokens");
	if ((c->auth & CONF_HOST_NETWORKS) != 0 && c->networks.count == 0)
		return err_set(err, ERR_USAGE,
		    "direct.auth: networks needs direct.networks");
	return 0;
}

int
config_direct(struct direct_options *out, struct conf_hosts *hosts,
    const struct config *config, struct err *err)
{
	const struct config_direct *c = &config->direct;
	const struct conf_host_keys keys = { c->auth, &c->tokens,
		&c->networks };
	char where[CONF_HOSTS_WHERE];

	*out = (struct direct_options){
		.listen = c->listen,
		.base = strcmp(c->base, "/") == 0 ? "" : c->base,
		.certificate = c->certificate,
		.key = c->key,
		.client_ca = c->client_ca,
	};
	if (check(c, err) != 0)
		return -1;
	if (conf_hosts_fill(&out->hosts, hosts, &keys, where, err) != 0)
		return err_wrap(err, "direct.%s", where);
	return 0;
}
