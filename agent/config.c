#include "agent/config.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/api/api_serve.h"
#include "agent/net/keyserver.h"
#include "agent/relay_url.h"
#include "common/base64.h"
#include "common/conf_host.h"
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
	uint8_t pin[RELAY_PIN_LEN];

	return text[0] == '\0' ? 0 : relay_pin_parse(pin, text, err);
}

static int
check_proxy(const char *text, struct err *err)
{
	struct relay_proxy proxy;

	return text[0] == '\0' ? 0 : relay_proxy_parse(&proxy, text, err);
}

static const char *const require_words[] = { "try", "require", NULL };

static const struct conf_key keys[] = {
	{ "relay.url", CONF_STRING, AT(relay_url), "", 0, 1024,
	    "Where the relay is: wss://HOST[:PORT][/BASE][#PIN].  A tunnel is "
	    "held to every address of its name.  #no-binding, or "
	    "#PIN,no-binding: it may be behind a TLS-terminating balancer, "
	    "so that hellos are not bound to the TLS connection.",
	    .example = "wss://attest.cloud.example/sev", .check = check_url },
	{ "relay.urls", CONF_STRINGS, AT(relay_urls), "", 0,
	    DIALER_ENDPOINTS_MAX - 1,
	    "More relays, each with a tunnel of its own: any of them can then "
	    "serve any host.",
	    .example = "wss://attest-2.cloud.example/sev", .check = check_url },
	{ "relay.ca", CONF_PATH, AT(relay_ca), "", 0, 4096,
	    "Certificate authorities (PEM) for the relay; the system's by "
	    "default.",
	    .example = "/etc/attest-agent/ca.crt" },
	{ "relay.pin", CONF_STRING, AT(relay_pin), "", 0, 64,
	    "SHA-256 of the relay's public key, beside the certificate: "
	    "sha256/BASE64.  A URL may end in a #PIN of its own instead.",
	    .example = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
	    .check = check_pin },
	{ "relay.pin-only", CONF_BOOL, AT(pin_only), "no", 0, 0,
	    "The pin alone says who the relay is: authorities and the name in "
	    "its certificate do not count.  What attest-agent enrol without "
	    "--ca sets." },
	{ "relay.name", CONF_STRING, AT(relay_name), "", 0, 255,
	    "What the relay must call itself; any name by default.",
	    .example = "attest.cloud.example" },
	{ "relay.certificate", CONF_PATH, AT(relay_certificate), "", 0, 4096,
	    "A client certificate (PEM) to show the relay, where that knows "
	    "its agents by agents.auth mtls.",
	    .example = "/etc/attest-agent/client.crt" },
	{ "relay.key", CONF_PATH, AT(relay_key), "", 0, 4096,
	    "Its private key (PEM, unencrypted).",
	    .example = "/etc/attest-agent/client.key" },
	{ "relay.token-file", CONF_PATH, AT(relay_token_file), "", 0, 4096,
	    "A file with the long-lived token to show the relay (agents.auth "
	    "token).  Every relay named here gets to see it.",
	    .example = "/etc/attest-agent/relay.token" },
	{ "relay.allow-no-binding", CONF_BOOL, AT(allow_no_binding), "no", 0, 0,
	    "The same for every relay; better say #no-binding of those that "
	    "need it." },
	{ "proxy.url", CONF_STRING, AT(proxy), "", 0, 512,
	    "HTTP proxy for CONNECT; HTTPS_PROXY of the environment by "
	    "default.",
	    .example = "http://proxy.example:3128", .check = check_proxy },
	{ "proxy.except", CONF_STRING, AT(no_proxy), "", 0, 4096,
	    "Hosts to reach without it, by commas; NO_PROXY by default." },
	{ "key-server.url", CONF_STRING, AT(key_url), KEYSERVER_URL, 1, 200,
	    "Where signed CEKs are fetched by chip id; what counts is AMD's "
	    "signature.",
	    .check = keyserver_check_url },
	{ "key-server.ca", CONF_PATH, AT(key_ca), "", 0, 4096,
	    "Certificate authorities (PEM) for it; the system's by default.",
	    .example = "/etc/attest-agent/mirror-ca.crt" },
	{ "key-server.offline", CONF_BOOL, AT(key_offline), "no", 0, 0,
	    "Never ask it: hosts with an unsigned CEK wait for vm add --cek." },
	{ "key-server.gap", CONF_MS, AT(key_gap_ms), "10s", 0, 3600000,
	    "Time between two requests; it throttles its clients." },
	{ "api.socket", CONF_BOOL, AT(api_socket), "no", 0, 0,
	    "The owner's API over HTTP on api.sock of the state folder." },
	{ "api.listen", CONF_STRING, AT(api_listen), "", 0, 64,
	    "The owner's API over HTTPS, with a token (attest-agent api "
	    "token); loopback addresses only.",
	    .example = "127.0.0.1:7445", .check = api_check_listen },
	{ "api.certificate", CONF_PATH, AT(api_certificate), "", 0, 4096,
	    "Its certificate (PEM).", .example = "/etc/attest-agent/api.crt" },
	{ "api.key", CONF_PATH, AT(api_key), "", 0, 4096, "Its key (PEM).",
	    .example = "/etc/attest-agent/api.key" },
	{ "platform.cek-blocklist", CONF_PATH, AT(blocklist), "", 0, 255,
	    "A file of CEK fingerprints that no VM accepts, one a line; read "
	    "again as it changes.",
	    .example = "/etc/attest-agent/cek-blocklist" },
	{ "direct.listen", CONF_STRING, AT(direct.listen), "", 0, 80,
	    "ADDRESS:PORT on which hosts are answered without a relay; nowhere "
	    "by default.",
	    .example = "192.0.2.7:9443", .check = conf_check_listen },
	{ "direct.base", CONF_STRING, AT(direct.base), "/", 1, 128,
	    "Path in front of all others there.", .example = "/sev",
	    .check = conf_check_base },
	{ "direct.certificate", CONF_PATH, AT(direct.certificate), "", 0, 4096,
	    "PEM: the listener's certificate, then its chain.",
	    .example = "/etc/attest-agent/direct.crt" },
	{ "direct.key", CONF_PATH, AT(direct.key), "", 0, 4096,
	    "PEM: its private key.",
	    .example = "/etc/attest-agent/direct.key" },
	{ "direct.client-ca", CONF_PATH, AT(direct.client_ca), "", 0, 4096,
	    "PEM: who signs the certificates of hosts, for auth mtls.",
	    .example = "/etc/attest-agent/hosts-ca.crt" },
	{ "direct.auth", CONF_FLAGS, AT(direct.auth), "", 0, 0,
	    "How hosts show there who they are, any of the list.  Empty: no "
	    "host is let in.",
	    .words = conf_host_auth, .example = "mtls, bearer" },
	{ "direct.networks", CONF_STRINGS, AT(direct.networks), "", 0, 1000,
	    "Networks whose hosts need to show nothing, for auth networks.",
	    .example = "10.0.0.0/8", .check = conf_check_network },
	{ "direct.tokens", CONF_MAPS, AT(direct.tokens), "", 0, 10000,
	    "Bearer tokens of hosts there.", .sub = &conf_host_tokens },
	{ "approval.wait", CONF_MS, AT(approval_ms), "100s", 100, 3600000,
	    "How long a host is kept waiting for the owner's word; relays "
	    "allow 120 s by default." },
	{ "receipts.keep-tik", CONF_BOOL, AT(keep_tik), "no", 0, 0,
	    "Keep the TIK of a session in its receipt, for others to check the "
	    "measurement with." },
	{ "vault.lock-memory", CONF_ENUM, AT(lock_memory), "try", 0, 0,
	    "Secrets in memory that never goes to swap: try (and warn), or "
	    "require.",
	    .words = require_words },
	{ "sandbox.landlock", CONF_ENUM, AT(landlock), "try", 0, 0,
	    "Keep the process that speaks to the network out of the state "
	    "folder: try (and warn where the kernel has no Landlock), or "
	    "require.",
	    .words = require_words },
	{ "log.level", CONF_ENUM, AT(log_level), "info", 0, 0,
	    "error, warn, info or debug.", .words = log_level_words },
	{ "log.format", CONF_ENUM, AT(log_format), "text", 0, 0,
	    "text, json or journal.", .words = log_format_words },
};

const struct conf_table config_table = CONF_TABLE(keys, struct config);

bool
config_default_file(char *out, size_t cap)
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
	char path[CONFIG_PATH_MAX];
	int rc;

	memset(out, 0, sizeof(*out));
	if (file == NULL && config_default_file(path, sizeof(path)))
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
config_add_relay(struct config *c, const char *url, bool first, struct err *err)
{
	struct conf_list *l = &c->relay_urls;
	char **more;

	if (first) {
		if (conf_set(c, &config_table, "relay.urls", "", err) != 0)
			return -1;
		return conf_set(c, &config_table, "relay.url", url, err);
	}
	if (check_url(url, err) != 0)
		return -1;
	if (l->count >= DIALER_ENDPOINTS_MAX - 1)
		return err_set(err, ERR_USAGE, "--relay: at most %d",
		    DIALER_ENDPOINTS_MAX);
	more = reallocarray(l->items, l->count + 1, sizeof(*more));
	if (more == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a relay");
	l->items = more;
	more[l->count] = strdup(url);
	if (more[l->count] == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a relay");
	l->count++;
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

static const char *
path_of(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

static int
fill_relay(struct dialer_relay *out, const char *text, const struct config *c,
    struct err *err)
{
	struct relay_proxy proxy;
	struct ws_options *ws = &out->ws;

	*out = (struct dialer_relay){ .text = text };
	if (relay_url_parse(&ws->url, text, err) != 0)
		return -1;
	ws->ca_file = path_of(c->relay_ca);
	ws->subprotocol = TUNNEL_SUBPROTOCOL;
	if (!ws->url.has_pin && c->relay_pin[0] != '\0') {
		if (relay_pin_parse(ws->url.pin, c->relay_pin, err) != 0)
			return -1;
		ws->url.has_pin = true;
	}
	ws->pin_only = c->pin_only;
	ws->certificate = path_of(c->relay_certificate);
	ws->key = path_of(c->relay_key);
	ws->token_file = path_of(c->relay_token_file);
	if (ws->pin_only && !ws->url.has_pin)
		return err_set(err, ERR_USAGE,
		    "relay.pin-only, and no pin for %.200s", text);
	ws->proxy = first_set(c->proxy, "HTTPS_PROXY", "https_proxy");
	if (ws->proxy != NULL &&
	    relay_no_proxy(
		first_set(c->no_proxy, "NO_PROXY", "no_proxy"), ws->url.host))
		ws->proxy = NULL;
	if (ws->proxy != NULL && relay_proxy_parse(&proxy, ws->proxy, err) != 0)
		return -1;
	return 0;
}

int
config_relays(struct dialer_relay out[DIALER_ENDPOINTS_MAX], size_t *count,
    const struct config *c, struct err *err)
{
	char *const *more = c->relay_urls.items;
	size_t i, n = 0;

	if ((c->relay_certificate[0] == '\0') != (c->relay_key[0] == '\0'))
		return err_set(err, ERR_USAGE,
		    "relay.certificate and relay.key go together");
	if (c->relay_url[0] != '\0' &&
	    fill_relay(&out[n++], c->relay_url, c, err) != 0)
		return -1;
	for (i = 0; i < c->relay_urls.count && n < DIALER_ENDPOINTS_MAX; i++)
		if (more[i][0] != '\0' &&
		    fill_relay(&out[n++], more[i], c, err) != 0)
			return -1;
	*count = n;
	if (n == 0 && c->direct.listen[0] == '\0')
		return err_set(err, ERR_USAGE,
		    "no relay: give --relay wss://HOST[:PORT][/BASE], or "
		    "relay.url in agent.yaml; or --listen ADDR:PORT");
	return 0;
}

const char *
config_key_proxy(const struct config *c)
{
	const char *proxy = first_set(c->proxy, "HTTPS_PROXY", "https_proxy");
	const char *host = strstr(c->key_url, "://");
	char name[256];
	size_t len;

	if (proxy == NULL || host == NULL)
		return NULL;
	host += 3;
	len = strcspn(host, ":/");
	if (len >= sizeof(name))
		return proxy;
	memcpy(name, host, len);
	name[len] = '\0';
	return relay_no_proxy(
		   first_set(c->no_proxy, "NO_PROXY", "no_proxy"), name)
	    ? NULL
	    : proxy;
}
