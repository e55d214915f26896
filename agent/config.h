#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include "agent/tunnel_ws.h"
#include "common/conf.h"
#include "common/err.h"

/* agent.yaml; every key is a flag of `attest-agent run`, too. */
struct config {
	char *relay_url;
	char *relay_ca;   /* "": the system's authorities */
	char *relay_pin;  /* "": none */
	char *relay_name; /* "": any */
	bool allow_no_binding;
	char *proxy;    /* "": HTTPS_PROXY */
	char *no_proxy; /* "": NO_PROXY */
	int log_level;  /* enum log_level */
	int log_format; /* enum log_format */
};

extern const struct conf_table config_table;

/**
 * config_load(out, file, err):
 * ${file}, else $XDG_CONFIG_HOME/attest-agent/agent.yaml (~/.config/...) if it
 * is there, else defaults.  What is wrong is printed to stderr.
 *   lifetime  config_free(), after failures too
 *   errors    ERR_USAGE
 */
int config_load(struct config *out, const char *file, struct err *err);
void config_free(struct config *c);

/** config_pin(out, text, err): "sha256/<base64 of 32 bytes>". */
int config_pin(uint8_t out[WS_NET_PIN_LEN], const char *text, struct err *err);

/**
 * config_ws(out, c, err):
 * What tunnel_ws wants to know, the environment's proxy included.
 *   lifetime  borrows ${c}
 *   errors    ERR_USAGE
 */
int config_ws(struct ws_options *out, const struct config *c, struct err *err);

#endif
