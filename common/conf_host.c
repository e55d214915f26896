#include "common/conf_host.h"

#include "common/address.h"
#include "common/hex.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"

const char *const conf_host_auth[] = { "mtls", "bearer", "networks", NULL };

int
conf_check_base(const char *text, struct err *err)
{
	size_t len = strlen(text);

	if (text[0] != '/')
		return err_set(err, ERR_USAGE, "starts with \"/\"");
	if (len > 1 && text[len - 1] == '/')
		return err_set(err, ERR_USAGE, "does not end with \"/\"");
	if (text[strspn(text, WORD "~/")] != '\0')
		return err_set(
		    err, ERR_USAGE, "letters, digits and -._~/ only");
	if (strstr(text, "//") != NULL)
		return err_set(err, ERR_USAGE, "has \"//\"");
	return 0;
}

int
conf_check_word(const char *text, struct err *err)
{
	if (text[strspn(text, WORD)] != '\0')
		return err_set(err, ERR_USAGE, "letters, digits and -._ only");
	return 0;
}

int
conf_check_listen(const char *text, struct err *err)
{
	char host[ADDRESS_HOST_LEN];
	uint16_t port;

	return address_split(host, sizeof(host), &port, text, err);
}

int
conf_check_network(const char *text, struct err *err)
{
	struct source_net net;

	return source_net_parse(&net, text, err);
}

static int
check_sha256(const char *text, struct err *err)
{
	uint8_t digest[ADMIT_DIGEST_LEN];

	return hex_decode(digest, sizeof(digest), span_str(text), err);
}

#define TOKEN(field) offsetof(struct conf_host_token, field)
static const struct conf_key token_keys[] = {
	{ "name", CONF_STRING, TOKEN(name), NULL, 1, 64,
	    "The host's name, as agents and logs see it (host-identity "
	    "token:NAME).",
	    .example = "cn-17", .check = conf_check_word },
	{ "sha256", CONF_STRING, TOKEN(sha256), NULL, 64, 64,
	    "SHA-256 of the token's text, in hex: "
	    "printf %s \"$TOKEN\" | sha256sum.",
	    .example = "9f86d081884c7d659a2feaa0c55ad015"
		       "a3bf4f1b2b0b822cd15d6c15b0f00a08",
	    .check = check_sha256 },
};
const struct conf_table conf_host_tokens =
    CONF_TABLE(token_keys, struct conf_host_token);

static bool
is_repeat(const struct conf_host_token *list, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (list[i].name != NULL && list[at].name != NULL &&
		    strcmp(list[i].name, list[at].name) == 0)
			return true;
	return false;
}

static void
add_token(struct admit_hosts *out, struct admit_token *tokens,
    const struct conf_host_token *in)
{
	struct admit_token *one = &tokens[out->token_count];

	if (in->name == NULL || in->sha256 == NULL ||
	    hex_decode(one->sha256, sizeof(one->sha256), span_str(in->sha256),
		NULL) != 0)
		return;
	one->name = in->name;
	out->token_count++;
}

int
conf_hosts_fill(struct admit_hosts *out, struct conf_hosts *own,
    const struct conf_host_keys *keys, char where[CONF_HOSTS_WHERE],
    struct err *err)
{
	const struct conf_host_token *tokens = keys->tokens->items;
	char *const *networks = keys->networks->items;

	snprintf(where, CONF_HOSTS_WHERE, "auth");
	own->tokens = calloc(keys->tokens->count + 1, sizeof(*own->tokens));
	own->networks =
	    calloc(keys->networks->count + 1, sizeof(*own->networks));
	if (own->tokens == NULL || own->networks == NULL)
		return err_set(err, ERR_MEMORY, "no memory for hosts");
	*out = (struct admit_hosts){ .mtls = (keys->auth & CONF_HOST_MTLS) != 0,
		.bearer = (keys->auth & CONF_HOST_BEARER) != 0,
		.tokens = own->tokens };
	for (size_t i = 0; i < keys->tokens->count; i++) {
		snprintf(where, CONF_HOSTS_WHERE, "tokens[%zu].name", i);
		if (is_repeat(tokens, i))
			return err_set(err, ERR_CONFLICT,
			    "token %s is listed twice", tokens[i].name);
		add_token(out, own->tokens, &tokens[i]);
	}
	if ((keys->auth & CONF_HOST_NETWORKS) == 0)
		return 0;
	out->networks = own->networks;
	for (size_t i = 0; i < keys->networks->count; i++)
		if (source_net_parse(&own->networks[out->network_count],
			networks[i], NULL) == 0)
			out->network_count++;
	return 0;
}

void
conf_hosts_free(struct conf_hosts *own)
{
	free(own->tokens);
	free(own->networks);
	*own = (struct conf_hosts){ 0 };
}
