#ifndef AGENT_RELAY_URL_H
#define AGENT_RELAY_URL_H

#include "common/err.h"
#include "common/span.h"

#define RELAY_PIN_LEN 32

/*
 * wss://host[:port][/base][#fragment], where an agent finds its relay.  The
 * fragment is the agent's alone: sha256/base64 of its public key, no-binding,
 * or both with a comma between.
 */
struct relay_url {
	char host[256];
	uint16_t port;
	char path[512];  /* with "/agent/v1" behind the base */
	bool is_address; /* the host is an IP address */
	bool has_pin;
	uint8_t pin[RELAY_PIN_LEN]; /* SHA-256 of the relay's SPKI */
	bool
	    no_binding; /* it may have channel-binding off (protocol.md 12.3) */
};

/** relay_pin_parse(out, text, err): "sha256/<base64 of 32 bytes>".
 *   errors  ERR_USAGE */
int relay_pin_parse(
    uint8_t out[RELAY_PIN_LEN], const char *text, struct err *err);

/** relay_url_parse(out, text, err): errors ERR_USAGE, with words */
int relay_url_parse(struct relay_url *out, const char *text, struct err *err);

/* [http://][user:pass@]host[:port], an HTTP proxy for CONNECT. */
struct relay_proxy {
	char authority[512]; /* "user:pass@host" or "host" */
	uint16_t port;
};

/** relay_proxy_parse(out, text, err): errors ERR_USAGE */
int relay_proxy_parse(
    struct relay_proxy *out, const char *text, struct err *err);

/**
 * relay_no_proxy(list, host): does the value of NO_PROXY name ${host}?
 * Entries are separated by commas; one matches the host itself and every name
 * below it; "*" matches all.
 */
bool relay_no_proxy(const char *list, const char *host);

#endif
