#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/file.h"
#include "common/hex.h"
#include "common/tally.h"

/* direct.* of agent.yaml, as the listener wants it. */

static int
load_tokens(
    struct config_hosts *out, const struct config_direct *c, struct err *err)
{
	const struct config_token *in = c->tokens.items;
	size_t i;

	for (i = 0; i < c->tokens.count; i++) {
		out->tokens[i].name = in[i].name;
		if (hex_decode(out->tokens[i].sha256, ADMIT_DIGEST_LEN,
			span_str(in[i].sha256), err) != 0)
			return err_wrap(err, "direct.tokens[%zu].sha256", i);
	}
	return 0;
}

static int
load_networks(
    struct config_hosts *out, const struct config_direct *c, struct err *err)
{
	char *const *in = c->networks.items;
	size_t i;

	for (i = 0; i < c->networks.count; i++)
		if (source_net_parse(&out->networks[i], in[i], err) != 0)
			return err_wrap(err, "direct.networks[%zu]", i);
	return 0;
}

/* What two keys say of each other. */
static int
check(const struct config_direct *c, struct err *err)
{
	if (c->certificate[0] == '\0' || c->key[0] == '\0')
		return err_set(
		    err, ERR_USAGE, "to listen wants --certificate and --key");
	if (file_check_private(c->key, err) != 0)
		return err_wrap(err, "direct.key");
	if ((c->auth & CONFIG_AUTH_MTLS) != 0 && c->client_ca[0] == '\0')
		return err_set(
		    err, ERR_USAGE, "direct.auth: mtls needs --client-ca");
	if ((c->auth & CONFIG_AUTH_BEARER) != 0 && c->tokens.count == 0)
		return err_set(
		    err, ERR_USAGE, "direct.auth: bearer needs direct.tokens");
	if ((c->auth & CONFIG_AUTH_NETWORKS) != 0 && c->networks.count == 0)
		return err_set(err, ERR_USAGE,
		    "direct.auth: networks needs direct.networks");
	return 0;
}

int
config_direct(struct direct_options *out, struct config_hosts *hosts,
    const struct config *config, struct err *err)
{
	const struct config_direct *c = &config->direct;

	*hosts = (struct config_hosts){
		calloc(c->tokens.count + 1, sizeof(*hosts->tokens)),
		calloc(c->networks.count + 1, sizeof(*hosts->networks)),
	};
	if (hosts->tokens == NULL || hosts->networks == NULL)
		return err_set(err, ERR_MEMORY, "no memory for direct.auth");
	if (check(c, err) != 0 || load_tokens(hosts, c, err) != 0 ||
	    load_networks(hosts, c, err) != 0)
		return -1;
	*out = (struct direct_options){
		.listen = c->listen,
		.base = strcmp(c->base, "/") == 0 ? "" : c->base,
		.certificate = c->certificate,
		.key = c->key,
		.client_ca = c->client_ca,
		.hosts = { .mtls = (c->auth & CONFIG_AUTH_MTLS) != 0,
		    .bearer = (c->auth & CONFIG_AUTH_BEARER) != 0,
		    .tokens = hosts->tokens,
		    .token_count = c->tokens.count },
	};
	if ((c->auth & CONFIG_AUTH_NETWORKS) != 0) {
		out->hosts.networks = hosts->networks;
		out->hosts.network_count = c->networks.count;
	}
	return 0;
}

void
config_hosts_free(struct config_hosts *hosts)
{
	free(hosts->tokens);
	free(hosts->networks);
	*hosts = (struct config_hosts){ 0 };
}
