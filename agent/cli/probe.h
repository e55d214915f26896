#ifndef AGENT_CLI_PROBE_H
#define AGENT_CLI_PROBE_H

#include "agent/relay_url.h"
#include "common/err.h"

/*
 * One HTTPS request to find out how far it gets, for `doctor`.  TLS is
 * verified as the agent verifies it; no redirect is followed.
 */

/* In the order in which they are reached; each is where a try may end. */
enum probe_stage {
	PROBE_DNS,
	PROBE_PROXY,
	PROBE_TCP,
	PROBE_TLS,
	PROBE_PIN,
	PROBE_HTTP,
	PROBE_DONE,
	PROBE_STAGES
};

struct probe_options {
	const char *url;    /* https://... */
	const char *ca;     /* PEM; NULL: the system's authorities */
	const uint8_t *pin; /* RELAY_PIN_LEN bytes; NULL: none */
	bool pin_only; /* whoever certified it (agent.yaml relay.pin-only) */
	const char *proxy; /* NULL: none */
	uint32_t wait_ms;  /* in all */
};

struct probe {
	enum probe_stage stage; /* PROBE_DONE, or where it ended ... */
	char why[160];          /* ... and why */
	char address[64];       /* that was connected to; "" */
	long status;            /* of HTTP */
	int64_t date_s;         /* of the answer's Date; 0: none */
	char body[2048];        /* its head, with a NUL */
};

/** probe_https(out, options, err): errors ERR_MEMORY, ERR_INTERNAL; a try
 * that ends early is none */
int probe_https(
    struct probe *out, const struct probe_options *options, struct err *err);

#endif
