#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "agent/cli/doctor.h"
#include "agent/cli/probe.h"

#define PROBE_MS 10000
#define SKEW_WARN_S 30
#define SKEW_FAIL_S 300 /* certificates and windows of time go wrong */
#define URL_MAX 1024
#define TAIL "/agent/v1" /* behind the base, agent/relay_url.h */

/* A stage's line: what it is called, and what to do if a try ends there. */
static const struct {
	const char *check;
	const char *fix;
} stages[PROBE_STAGES] = {
	[PROBE_DNS] = { "dns",
	    "look at the name in relay.url, and at this machine's resolver" },
	[PROBE_PROXY] = { "proxy",
	    "look at proxy.url (or HTTPS_PROXY), and whether it lets CONNECT "
	    "to that port through; proxy.except names what needs none" },
	[PROBE_TCP] = { "tcp",
	    "look at the port in relay.url, and at firewalls on the way" },
	[PROBE_TLS] = { "tls",
	    "give the relay's authority as relay.ca; if name or date are "
	    "wrong, it is the operator's to mend" },
	[PROBE_PIN] = { "pin",
	    "ask the operator, by another way, whether the key has changed; "
	    "if not, somebody is between" },
	[PROBE_HTTP] = { "relay",
	    "look at host and path in relay.url: it ends in the operator's "
	    "base" },
};

/* The stages that were passed, and the one where it ended. */
static void
tell_stages(
    struct doctor *d, const struct dialer_relay *relay, const struct probe *p)
{
	const struct ws_options *ws = &relay->ws;
	enum probe_stage s;

	for (s = PROBE_DNS; s < PROBE_DONE && s < p->stage; s++) {
		if ((s == PROBE_DNS &&
			(ws->url.is_address || ws->proxy != NULL)) ||
		    (s == PROBE_PROXY && ws->proxy == NULL) ||
		    (s == PROBE_PIN && !ws->url.has_pin) || s == PROBE_HTTP)
			continue;
		doctor_say(d, DOCTOR_OK, stages[s].check, "", "%.150s %s",
		    ws->url.host, s == PROBE_TCP ? p->address : "");
	}
	if (p->stage < PROBE_DONE)
		doctor_say(d, DOCTOR_FAIL, stages[p->stage].check,
		    stages[p->stage].fix, "%.60s: %.150s", ws->url.host,
		    p->why);
}

static void
tell_clock(struct doctor *d, const struct probe *p)
{
	int64_t skew = (int64_t)time(NULL) - p->date_s;
	int64_t size = skew < 0 ? -skew : skew;

	if (p->date_s == 0)
		return;
	doctor_say(d,
	    size > SKEW_FAIL_S       ? DOCTOR_FAIL
		: size > SKEW_WARN_S ? DOCTOR_WARN
				     : DOCTOR_OK,
	    "clock", "set this machine's clock (timedatectl set-ntp true)",
	    "%lld s %s the relay's", (long long)size,
	    skew < 0 ? "behind" : "before");
}

static void
check_relay(struct doctor *d, const struct dialer_relay *relay)
{
	const struct ws_options *ws = &relay->ws;
	size_t base = strlen(ws->url.path) - (sizeof(TAIL) - 1);
	bool v6 = strchr(ws->url.host, ':') != NULL;
	char url[URL_MAX];
	struct probe_options options = { .url = url,
		.ca = ws->ca_file,
		.pin = ws->url.has_pin ? ws->url.pin : NULL,
		.pin_only = ws->pin_only,
		.proxy = ws->proxy,
		.wait_ms = PROBE_MS };
	struct probe *p = calloc(1, sizeof(*p));
	struct err err = { 0 };

	(void)snprintf(url, sizeof(url),
	    "https://%s%s%s:%u%.*s/.well-known/attest-relay", v6 ? "[" : "",
	    ws->url.host, v6 ? "]" : "", ws->url.port, (int)base, ws->url.path);
	if (p == NULL || probe_https(p, &options, &err) != 0) {
		doctor_say(d, DOCTOR_FAIL, "relay", "try again", "%s",
		    p == NULL ? "no memory" : err.msg);
		free(p);
		return;
	}
	tell_stages(d, relay, p);
	if (p->stage == PROBE_DONE) {
		bool is_one = p->status == 200 &&
		    strstr(p->body, "\"versions\":[1") != NULL;

		doctor_say(d, is_one ? DOCTOR_OK : DOCTOR_FAIL, "relay",
		    stages[PROBE_HTTP].fix, "%.150s: %s (HTTP %ld)",
		    relay->text,
		    is_one ? "answers" : "no attest-relay is there", p->status);
		tell_clock(d, p);
	}
	free(p);
}

void
doctor_relays(struct doctor *d, const struct config *config)
{
	struct dialer_relay *relays =
	    calloc(DIALER_ENDPOINTS_MAX, sizeof(*relays));
	size_t count = 0;
	size_t i;

	if (relays != NULL && config_relays(relays, &count, config, NULL) == 0)
		for (i = 0; i < count; i++)
			check_relay(d, &relays[i]);
	free(relays);
}

void
doctor_key_server(struct doctor *d, const struct config *config)
{
	static const char fix[] = "look at key-server.*; without it hosts "
				  "whose CEK is unsigned get 503, unless vm "
				  "add --cek gave it";
	const struct probe_options options = { .url = config->key_url,
		.ca = config->key_ca[0] != '\0' ? config->key_ca : NULL,
		.proxy = config_key_proxy(config),
		.wait_ms = PROBE_MS };
	struct probe *p;

	if (config->key_offline) {
		doctor_say(
		    d, DOCTOR_OK, "key-server", "", "offline: never asked");
		return;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL || probe_https(p, &options, NULL) != 0)
		doctor_say(d, DOCTOR_WARN, "key-server", fix, "no memory");
	else if (p->stage != PROBE_DONE)
		doctor_say(d, DOCTOR_WARN, "key-server", fix, "%.100s: %.120s",
		    config->key_url, p->why);
	else if (p->status == 429 || p->status >= 500)
		doctor_say(d, DOCTOR_WARN, "key-server",
		    "wait: it throttles its clients", "%.150s: HTTP %ld",
		    config->key_url, p->status);
	else
		doctor_say(d, DOCTOR_OK, "key-server", "", "%.150s answers",
		    config->key_url);
	free(p);
}
