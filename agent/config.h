#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include "agent/net/dialer.h"
#include "agent/net/direct.h"
#include "common/conf_host.h"
#include "common/err.h"

/* agent.yaml; every key is a flag of `attest-agent run`, too. */
struct config {
	char *relay_url;
	struct conf_list relay_urls; /* of char *: more of them */
	char *relay_ca;              /* "": the system's authorities */
	char *relay_pin;             /* "": none */
	char *relay_name;            /* "": any */
	char *relay_certificate;     /* ours; "": none */
	char *relay_key;             /* its private key */
	char *relay_token_file;      /* "": none */
	bool pin_only;
	bool allow_no_binding;
	char *proxy;         /* "": HTTPS_PROXY */
	char *no_proxy;      /* "": NO_PROXY */
	char *key_url;       /* of AMD's key server */
	char *key_ca;        /* "": the system's authorities */
	bool key_offline;    /* never ask it */
	uint64_t key_gap_ms; /* between two requests */
	bool api_socket;     /* the owner's API on api.sock */
	char *api_listen;    /* and on HTTPS; "": no */
	char *api_certificate;
	char *api_key;
	char *blocklist; /* "": none */
	struct config_direct {
		char *listen;      /* "": no listener */
		char *base;        /* "/" or "/sev" */
		char *certificate; /* "": none */
		char *key;
		char *client_ca;           /* "": none */
		unsigned auth;             /* CONF_HOST_... */
		struct conf_list networks; /* of char *: "10.0.0.0/8" */
		struct conf_list tokens;   /* of struct conf_host_token */
	} direct;
	uint64_t approval_ms;
	bool keep_tik;
	int lock_memory; /* 1: require */
	int landlock;    /* 1: require */
	int log_level;   /* enum log_level */
	int log_format;  /* enum log_format */
};

extern const struct conf_table config_table;

#define CONFIG_PATH_MAX 4096

/** config_default_file(out, cap): where agent.yaml is looked for; false: it is
 * not there. */
bool config_default_file(char *out, size_t cap);

/**
 * config_load(out, file, err):
 * ${file}, else $XDG_CONFIG_HOME/attest-agent/agent.yaml (~/.config/...) if it
 * is there, else defaults.  What is wrong is printed to stderr.
 *   lifetime  config_free(), after failures too
 *   errors    ERR_USAGE
 */
int config_load(struct config *out, const char *file, struct err *err);
void config_free(struct config *c);

/** config_add_relay(c, url, first, err): the next --relay; the ${first} one
 * takes the place of what the file says.  errors ERR_USAGE */
int config_add_relay(
    struct config *c, const char *url, bool first, struct err *err);

/**
 * config_relays(out, count, c, err):
 * What the dialer wants to know of each relay, the environment's proxy
 * included.
 *   lifetime  borrows ${c}
 *   errors    ERR_USAGE; none at all is one but for an agent that listens
 */
int config_relays(struct dialer_relay out[DIALER_ENDPOINTS_MAX], size_t *count,
    const struct config *c, struct err *err);

/**
 * config_direct(out, hosts, c, err):
 * What the listener wants to know; not to be called without c->direct.listen.
 *   lifetime  borrows ${c} and ${hosts}; conf_hosts_free() that, after
 *             failures too
 *   errors    ERR_USAGE: what must be there with it is not; ERR_MEMORY
 */
int config_direct(struct direct_options *out, struct conf_hosts *hosts,
    const struct config *c, struct err *err);

/** config_key_proxy(c): for the key server; NULL: none. */
const char *config_key_proxy(const struct config *c);

#endif
