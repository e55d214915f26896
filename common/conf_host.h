#ifndef COMMON_CONF_HOST_H
#define COMMON_CONF_HOST_H

#include "common/admit.h"
#include "common/conf.h"

/*
 * What relay.yaml and agent.yaml both say of compute hosts, how those show who
 * they are (docs/protocol.md 8), and values that both have.
 */

/* Bits of a CONF_FLAGS whose words are conf_host_auth. */
#define CONF_HOST_MTLS 0x1u
#define CONF_HOST_BEARER 0x2u
#define CONF_HOST_NETWORKS 0x4u
extern const char *const conf_host_auth[];

/* One of a CONF_MAPS whose table is conf_host_tokens. */
struct conf_host_token {
	char *name;
	char *sha256; /* hex, of its text */
};
extern const struct conf_table conf_host_tokens;

/* Checks of a struct conf_key: a path before all others; a name of letters,
 * digits and -._; IP:PORT; a network. */
int conf_check_base(const char *text, struct err *err);
int conf_check_word(const char *text, struct err *err);
int conf_check_listen(const char *text, struct err *err);
int conf_check_network(const char *text, struct err *err);

/* What a struct admit_hosts points into. */
struct conf_hosts {
	struct admit_token *tokens;  /* owned */
	struct source_net *networks; /* owned */
};

/* The keys of one section. */
struct conf_host_keys {
	unsigned auth;
	const struct conf_list *tokens;   /* of struct conf_host_token */
	const struct conf_list *networks; /* of char * */
};

#define CONF_HOSTS_WHERE 48

/**
 * conf_hosts_fill(out, own, keys, where, err):
 * Whom to let in, by ${keys}.  Entries that are missing or were found wrong by
 * their checks are left out.
 *   lifetime  ${out} borrows of ${own} and of the lists of ${keys}
 *   errors    ERR_CONFLICT: a name is listed twice, at the key ${where} of the
 *             section; ERR_MEMORY
 */
int conf_hosts_fill(struct admit_hosts *out, struct conf_hosts *own,
    const struct conf_host_keys *keys, char where[CONF_HOSTS_WHERE],
    struct err *err);

/** conf_hosts_free(own): release and zero. */
void conf_hosts_free(struct conf_hosts *own);

#endif
