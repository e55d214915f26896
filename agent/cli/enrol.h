#ifndef AGENT_CLI_ENROL_H
#define AGENT_CLI_ENROL_H

#include "agent/key.h"
#include "agent/relay_url.h"

/*
 * An agent becomes known to a relay by the one line that its operator gave out
 * (docs/protocol.md 12.3); the door to libcurl for it.
 */

#define ENROL_TOKEN_MAX 128

struct enrol_link {
	char base[512];                  /* https://HOST[:PORT][/BASE] */
	char token[ENROL_TOKEN_MAX + 1]; /* wipe it */
	char pin[64];                    /* "sha256/BASE64" */
	char relay[640];                 /* wss://HOST[:PORT][/BASE]#PIN */
};

/**
 * enrol_link_parse(out, text, err):
 * "https://HOST[:PORT][/BASE]/e/TOKEN#sha256/PIN"; the pin must be there.
 *   errors  ERR_USAGE
 */
int enrol_link_parse(struct enrol_link *out, const char *text, struct err *err);

struct enrol_options {
	const char *ca; /* PEM; NULL: the pin alone says who the relay is */
	bool allow_no_binding;
};

#define ENROL_NAME_MAX 256

/**
 * enrol_send(tenant, link, key, options, err):
 * Send the public half of ${key} with a proof; the relay's key must be the
 * pinned one.  ${tenant}: whose agent this is now.
 *   errors  ERR_IO: not reached, or another key; ERR_UNTRUSTED: refused;
 *           ERR_MALFORMED; ERR_LIMIT: later; ERR_MEMORY; ERR_INTERNAL
 */
int enrol_send(char tenant[ENROL_NAME_MAX], const struct enrol_link *link,
    const struct key *key, const struct enrol_options *options,
    struct err *err);

#endif
