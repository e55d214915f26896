#ifndef RELAY_ADMIN_IMPL_H
#define RELAY_ADMIN_IMPL_H

#include "relay/admin.h"
#include "relay/worker.h"

#include <jansson.h>

/*
 * What the files of the admin listener share: admin.c accepts, admin_call.c
 * reads requests and writes answers, admin_table.c knows which function is
 * for which path, the others answer.
 */

#define ADMIN_TOKEN_LEN 32  /* bytes of a token */
#define ADMIN_TOKEN_TEXT 44 /* base64url without padding, and a NUL */

struct admin_row;

/* One operator's connection, and the request on it. */
struct admin_call {
	TAILQ_ENTRY(admin_call) link;
	struct admin *admin;
	struct http_server *http;
	char who[REGISTRY_WHO_MAX]; /* "": not told yet, as of a TLS peer */
	const struct admin_row *row;
	struct handle handle; /* generation 0: no request is under way */
	json_t *list;         /* owned; of an answer that is being collected */
	size_t waiting;       /* parts still to come */
	uint64_t number;      /* of the setup that let the peer in */
	char token[ADMIN_TOKEN_TEXT]; /* wiped at the end of the request */
	struct loop_grave grave;
};

TAILQ_HEAD(admin_calls, admin_call);

struct admin_socket {
	struct admin *admin;
	int fd; /* owned; -1: none */
	bool tls;
	struct loop_fd watch;
};

#define ADMIN_SOCKETS_MAX 5

struct admin {
	struct relay *relay;
	const struct admin_ops *ops;
	void *arg;
	struct loop *loop;      /* NULL: not started */
	struct ssl_ctx_st *tls; /* owned; NULL: not made yet */
	uint64_t number;        /* of the setup that it is of */
	struct slab calls;      /* -> struct admin_call */
	struct admin_calls all;
	struct admin_socket sockets[ADMIN_SOCKETS_MAX];
	size_t socket_count;
	uid_t owner;      /* who bound the socket */
	const char *path; /* of it; borrowed of the setup of the start */
};

/* ${in}: the body, an object; NULL if there is none. */
typedef void admin_fn(struct admin_call *c, json_t *in);

struct admin_row {
	const char *method;
	const char *path;
	admin_fn *fn;
};

/** admin_find_row(method, path, allow): NULL: no such path, or, with *${allow}
 * not NULL, another method. */
const struct admin_row *admin_find_row(
    struct span method, struct span path, const char **allow);

/** admin_accept(s, fd, who): admin_call.c; takes ${fd}. */
void admin_accept(struct admin_socket *s, int fd, const char *who);

/*
 * Answers; one a request, now or later.
 */

/** admin_json(c, out): 200; takes ${out}, NULL of which is no memory. */
void admin_json(struct admin_call *c, json_t *out);
/** admin_text(c, type, text): 200. */
void admin_text(struct admin_call *c, const char *type, struct span text);
/** admin_error(c, err): {"error": words}, with the status of its code. */
void admin_error(struct admin_call *c, const struct err *err);
/** admin_faults(c, text): 400, of any number of lines. */
void admin_faults(struct admin_call *c, const char *text);

/*
 * Changes go through the registry, so that each is in its trail before it is
 * answered.
 */

/**
 * admin_op(c, verb, done, fmt, ...):
 * A wish of the caller; ${fmt} tells the trail what, without secrets.
 * registry_send() it.  NULL: no memory, and that was answered.
 */
struct registry_op *admin_op(struct admin_call *c, enum registry_verb verb,
    void (*done)(struct registry_op *op, void *where), const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** admin_about(c, op, account): it is about that tenant. */
void admin_about(
    struct admin_call *c, struct registry_op *op, struct account *account);

/**
 * admin_home(a, op, call):
 * First thing in each done: log it; the caller, if still there, goes to
 * ${call}, else NULL.  False: it failed, which the caller was told.
 */
bool admin_home(
    struct admin *a, struct registry_op *op, struct admin_call **call);

/** admin_judge(a): the registry has changed: relay_judge(), here and at the
 * relay whose place we took. */
void admin_judge(struct admin *a);

/*
 * Reading a body.  Each complains to the caller and returns false or NULL.
 */
bool admin_has_members(
    struct admin_call *c, json_t *in, const char *const *known);
const char *admin_string(struct admin_call *c, json_t *in, const char *name);
/** ... a tenant of the configuration or of the registry. */
struct account *admin_tenant(struct admin_call *c, json_t *in);
/** ... absent: ${out} stays. */
bool admin_number(struct admin_call *c, json_t *in, const char *name,
    uint64_t max, uint64_t *out);
bool admin_bool(struct admin_call *c, json_t *in, const char *name, bool *out);
bool admin_bad(struct admin_call *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** admin_unbind(a, uuid, key): the relays that share a directory bind a first
 * claim there, too; no more, if it is bound to ${key}.  NULL: to whomever. */
void admin_unbind(struct admin *a, const struct uuid *uuid, const uint8_t *key);

/** admin_time(ms): RFC 3339; null for 0. */
json_t *admin_time(uint64_t ms);

/* The functions of the table. */
admin_fn admin_healthz, admin_readyz, admin_metrics;
admin_fn admin_status, admin_tunnels, admin_drain, admin_reload,
    admin_log_level, admin_log_level_set, admin_trail, admin_tenants,
    admin_tenant_add, admin_tenant_remove, admin_keys, admin_key_add,
    admin_key_revoke, admin_tokens, admin_token_add, admin_token_remove,
    admin_claims, admin_claim_add, admin_claim_release;

/** admin_tunnels_came(a, m): a worker's part of the list. */
void admin_tunnels_came(struct admin *a, struct message_tunnels *m);

#endif
