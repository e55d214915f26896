#ifndef RELAY_CONFIG_H
#define RELAY_CONFIG_H

#include "common/conf.h"

/*
 * relay.yaml.  The table in config.c is the one place for keys, defaults,
 * bounds and words; what it cannot say is checked after it, by setup.c, with
 * the place in the file too.
 */

struct relay_listener {
	struct conf_list listen; /* of char *: "host:port" */
	char *certificate;
	char *key;
	char *client_ca; /* "": none */
};

struct relay_tenant {
	char *name;
	struct conf_list keys;         /* of char *: "ed25519:BASE64" */
	struct conf_list vms;          /* of char *: UUIDs */
	struct conf_list certificates; /* of char *: names in them */
	bool self_certifying;
	bool first_claim;
	/* Limits; 0: those of limits.tenant-... */
	int64_t tunnels;
	int64_t claims;
	int64_t streams;
	int64_t requests;
	uint64_t memory;
};

struct relay_cluster {
	char *directory; /* "": we stand alone */
	char *password_file;
	char *node;
	char *advertise; /* "": the address of the first listener */
	struct relay_listener at;
	uint64_t lease;
	uint64_t fence;
};

struct relay_limits {
	int64_t connections;
	int64_t connections_per_address;
	int64_t handshakes;
	int64_t handshakes_per_block;
	int64_t handshake_steps;
	int64_t streams;
	int64_t queue;
	int64_t queue_per_source;
	int64_t held;
	int64_t held_per_source;
	int64_t claims;
	int64_t tenant_claims;
	int64_t tenant_tunnels;
	int64_t enrolments;
	int64_t tenant_streams;
	int64_t tenant_requests;
	uint64_t tenant_memory;
	uint64_t memory;
};

struct relay_timeouts {
	uint64_t handshake;
	uint64_t head;
	uint64_t body;
	uint64_t idle;
	uint64_t stall;
	uint64_t request;
	uint64_t pending;
	uint64_t agent_answer;
	uint64_t agent_wait;
	uint64_t ping;
	uint64_t drain;
};

struct relay_config {
	char *name;
	char *base; /* "" or "/sev" */
	char *user;
	char *state; /* folder; "": memory only */
	int64_t workers;
	struct relay_listener public;
	struct relay_listener internal;
	struct relay_cluster cluster;
	char *admin_socket; /* "": none */
	struct relay_listener admin;
	unsigned agent_auth;       /* RELAY_AGENT_... */
	unsigned host_auth;        /* CONF_HOST_... */
	struct conf_list networks; /* of char *: "10.0.0.0/8" */
	struct conf_list tokens;   /* of struct conf_host_token */
	int tls_min;               /* 0: 1.2, 1: 1.3 */
	bool tls_tickets;
	bool channel_binding;
	struct conf_list tenants; /* of struct relay_tenant */
	struct relay_limits limits;
	struct relay_timeouts timeouts;
	char *takeover; /* "": none */
	bool seccomp;
	bool landlock;
	int log_level;
	int log_format; /* 0: text, 1: json, 2: journal */
	bool log_access;
};

#define RELAY_AGENT_KEY 0x1u
#define RELAY_AGENT_MTLS 0x2u
#define RELAY_AGENT_TOKEN 0x4u

extern const struct conf_table relay_config_table;
/* The first lines of relay.yaml.example. */
extern const char relay_config_head[];

#endif
