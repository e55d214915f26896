#include "agent/config.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/relay_url.h"
#include "common/base64.h"
#include "common/log.h"
#include "common/tunnel.h"

#define AT(field) offsetof(struct config, field)

static int
check_url(const char *text, struct err *err)
{
	struct relay_url url;

	return text[0] == '\0' ? 0 : relay_url_parse(&url, text, err);
}

static int
check_pin(const char *text, struct err *err)
{
	uint8_t pin[WS_NET_PIN_LEN];

	return text[0] == '\0' ? 0 : config_pin(pin, text, err);
}

static int
check_proxy(const char *text, struct err *err)
{
	struct relay_proxy proxy;

	return text[0] == '\0' ? 0 : relay_proxy_parse(&proxy, text, err);
}

static const struct conf_key keys[] = {
	{ "relay.url", CONF_STRING, AT(relay_url), "", 0, 1024,
	    "Where the relay is: wss://HOST[:PORT][/BASE].",
	    .example = "wss://attest.cloud.example/sev", .check = check_url },
	{ "relay.ca", CONF_PATH, AT(relay_ca), "", 0, 4096,
	    "Certificate authorities (PEM) for the relay; the system's by "
	    "default.",
	    .example = "/etc/attest-agent/ca.crt" },
	{ "relay.pin", CONF_STRING, AT(relay_pin), "", 0, 64,
	    "SHA-256 of the relay's public key, beside the certificate: "
	    "sha256/BASE64.",
	    .example = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
	    .check = check_pin },
	{ "relay.name", CONF_STRING, AT(relay_name), "", 0, 255,
	    "What the relay must call itself; any name by default.",
	    .example = "attest.cloud.example" },
	{ "relay.allow-no-binding", CONF_BOOL, AT(allow_no_binding), "no", 0, 0,
	    "Accept a relay behind a TLS-terminating balancer, whose hellos "
	    "are not bound to the TLS connection." },
	{ "proxy.url", CONF_STRING, AT(proxy), "", 0, 512,
	    "HTTP proxy for CONNECT; HTTPS_PROXY of the environment by "
	    "default.",
	    .example = "http://proxy.example:3128", .check = check_proxy },
	{ "proxy.except", CONF_STRING, AT(no_proxy), "", 0, 4096,
	    "Hosts to reach without it, by commas; NO_PROXY by default." },
	{ "log.level", CONF_ENUM, AT(log_level), "info", 0, 0,
	    "error, warn, info or debug.", .words = log_level_words },
	{ "log.format", CONF_ENUM, AT(log_format), "text", 0, 0,
	    "text, json or journal.", .words = log_format_words },
};

const struct conf_table config_table = CONF_TABLE(keys, struct config);

static bool
default_file(char *out, size_t cap)
{
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	int n = -1;

	if (xdg != NULL && xdg[0] == '/')
		n = snprintf(out, cap, "%s/attest-agent/agent.yaml", xdg);
	else if (home != NULL && home[0] == '/')
		n = snprintf(
		    out, cap, "%s/.config/attest-agent/agent.yaml", home);
	return n > 0 && (size_t)n < cap && access(out, F_OK) == 0;
}

int
config_load(struct config *out, const char *file, struct err *err)
{
	struct conf_report report = { 0 };
	char path[4096];
	int rc;

	memset(out, 0, sizeof(*out));
	if (file == NULL && default_file(path, sizeof(path)))
		file = path;
	if (file == NULL)
		return conf_defaults(out, &config_table, err);
	rc = conf_load(out, &config_table, file, &report);
	if (rc != 0) {
		(void)fputs(
		    report.text != NULL ? report.text : "no memory\n", stderr);
		(void)err_set(err, ERR_USAGE, "%s: not usable", file);
	}
	conf_report_free(&report);
	return rc;
}

void
config_free(struct config *c)
{
	conf_free(c, &config_table);
}

int
config_pin(uint8_t out[WS_NET_PIN_LEN], const char *text, struct err *err)
{
	static const char head[] = "sha256/";
	size_t len = 0;

	if (strncmp(text, head, sizeof(head) - 1) != 0 ||
	    base64_decode(out, WS_NET_PIN_LEN, &len,
		span_str(text + sizeof(head) - 1), NULL) != 0 ||
	    len != WS_NET_PIN_LEN)
		return err_set(err, ERR_USAGE,
		    "pin: want sha256/ and the base64 of 32 bytes");
	return 0;
}

static const char *
first_set(const char *own, const char *upper, const char *lower)
{
	const char *v;

	if (own[0] != '\0')
		return own;
	v = getenv(upper);
	if (v == NULL || v[0] == '\0')
		v = getenv(lower);
	return v == NULL || v[0] == '\0' ? NULL : v;
}

int
config_ws(struct ws_options *out, const struct config *c, struct err *err)
{
	struct relay_proxy proxy;
	struct relay_url url;

	memset(out, 0, sizeof(*out));
	if (c->relay_url[0] == '\0')
		return err_set(err, ERR_USAGE,
		    "no relay: give --relay wss://HOST[:PORT][/BASE], or "
		    "relay.url in agent.yaml");
	if (relay_url_parse(&url, c->relay_url, err) != 0)
		return -1;
	out->url = c->relay_url;
	out->ca_file = c->relay_ca[0] != '\0' ? c->relay_ca : NULL;
	out->subprotocol = TUNNEL_SUBPROTOCOL;
	out->has_pin = c->relay_pin[0] != '\0';
	if (out->has_pin && config_pin(out->pin, c->relay_pin, err) != 0)
		return -1;
	out->proxy = first_set(c->proxy, "HTTPS_PROXY", "https_proxy");
	if (out->proxy != NULL &&
	    relay_no_proxy(
		first_set(c->no_proxy, "NO_PROXY", "no_proxy"), url.host))
		out->proxy = NULL;
	if (out->proxy != NULL &&
	    relay_proxy_parse(&proxy, out->proxy, err) != 0)
		return -1;
	return 0;
}
