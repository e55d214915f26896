#ifndef RELAY_REGISTRY_H
#define RELAY_REGISTRY_H

#include "common/uuid.h"
#include "relay/account.h"
#include "relay/job.h"

/*
 * What changes while the relay runs and must outlive it: tenants added by the
 * operator, keys of agents, tokens, who owns which UUID, and who changed what.
 * It lies in SQLite (registry_db.c); all but the trail is in memory too, so
 * that reading never waits for a disk.  One thread writes: it takes all ops
 * that have come, commits them together, brings them to the memory, and sends
 * each home.  An op that came home good is on the disk.
 */

#define REGISTRY_WHO_MAX 128
#define REGISTRY_WHAT_MAX 384
#define REGISTRY_HASH_LEN 32
#define REGISTRY_UUIDS_MAX 64 /* in one op */

struct registry;
struct registry_table;

/* A tenant that is not in the configuration.  Limits of 0: the default. */
struct registry_tenant {
	struct account *account;
	bool self_certifying;
	bool first_claim;
	struct account_limits limits;
	uint64_t since_ms; /* of the wall clock, here and below */
};

struct registry_key {
	uint8_t key[UUID_KEY_LEN];
	struct account *account;
	uint64_t token; /* that enrolled it; 0: the operator did */
	uint64_t since_ms;
	uint64_t revoked_ms; /* 0: it is not */
};

enum registry_token_kind {
	REGISTRY_TOKEN_ENROL, /* makes keys known, a few times */
	REGISTRY_TOKEN_AGENT  /* beside a HELLO, any number of times */
};

struct registry_token {
	uint64_t id;                     /* never used again */
	uint8_t hash[REGISTRY_HASH_LEN]; /* SHA-256 of its text */
	struct account *account;
	enum registry_token_kind kind;
	uint32_t uses;       /* left; of an enrolment token */
	uint64_t expires_ms; /* 0: never */
	uint64_t since_ms;
};

struct registry_claim {
	struct uuid uuid;
	struct account *account;
	bool of_key; /* claimed first by ${key}; else provisioned */
	uint8_t key[UUID_KEY_LEN];
	uint64_t since_ms;
};

enum registry_verb {
	REGISTRY_TENANT_ADD,
	REGISTRY_TENANT_REMOVE, /* with its keys, tokens and UUIDs */
	REGISTRY_TOKEN_ADD,     /* makes token.id */
	REGISTRY_TOKEN_REMOVE,  /* by token.id; fills in the rest */
	REGISTRY_ENROL,         /* token.hash lets key.key in */
	REGISTRY_KEY_ADD,
	REGISTRY_KEY_REVOKE,
	REGISTRY_CLAIM_ADD,     /* all of uuids[], or none */
	REGISTRY_CLAIM_FIRST,   /* what is free of uuids[]; never fails of it */
	REGISTRY_CLAIM_RELEASE, /* all of uuids[], or none */
	REGISTRY_NOTE,          /* a line of the trail and nothing else */
	REGISTRY_TRAIL,         /* the last lines of the trail, into text */
	REGISTRY_PRUNE,         /* what is older than keep */
	REGISTRY_REREAD,        /* the file: another relay writes there, too */
	REGISTRY_VERBS
};

#define REGISTRY_TOKEN_KEEP_MS UINT64_C(86400000)    /* a day, once ended */
#define REGISTRY_TRAIL_KEEP_MS UINT64_C(34560000000) /* 400 days */
#define REGISTRY_TRAIL_LINES_MAX 100000

/* What stays in the file, which must not grow for ever. */
struct registry_keep {
	uint64_t tokens_ms; /* tokens that end later, by the wall clock */
	uint64_t trail_ms;  /* lines written later; the last one in any case */
	uint32_t lines;     /* of the trail, the last ones */
};

/*
 * A wish, and what came of it.  It is a message, as it comes home as one.
 */
struct registry_op {
	struct message m; /* first; MESSAGE_REGISTRY */
	enum registry_verb verb;
	STAILQ_ENTRY(registry_op) next; /* while it waits */
	struct loop *home;
	/* Called in the loop of ${home} with its worker, or with the admin;
	 * the op is freed behind it.  NULL: nobody wants to know. */
	void (*done)(struct registry_op *op, void *where);
	struct handle handle; /* the caller's */
	void *arg;

	char who[REGISTRY_WHO_MAX];   /* for the trail; "": no line there */
	char what[REGISTRY_WHAT_MAX]; /* without secrets */
	struct account *account;      /* whom it is about */
	bool listed; /* that tenant is the registry's, and so must be there */
	struct registry_tenant tenant;
	struct registry_token token;
	struct registry_key key;
	struct uuid uuids[REGISTRY_UUIDS_MAX];
	bool fresh[REGISTRY_UUIDS_MAX]; /* CLAIM_FIRST: the caller's own note */
	size_t uuid_count;
	uint32_t limit; /* UUIDs that the tenant may bind; lines of the trail */
	struct registry_keep keep;

	/* What came of it. */
	struct err err;                 /* code ERR_NONE: good */
	bool taken[REGISTRY_UUIDS_MAX]; /* uuids[] are now the caller's */
	char *text;                     /* owned; JSON lines of the trail */
	struct registry_table *table;   /* owned; REREAD: all that is there */
	struct registry_claim *gone;    /* owned; TENANT_REMOVE: first claims */
	size_t gone_count;
};

/**
 * registry_open(out, folder, accounts, err):
 * Open or make ${folder}/relay.db, or live in memory alone if ${folder} is "",
 * and start the writer.
 *   errors  ERR_IO, ERR_MEMORY, ERR_MALFORMED: a database of somebody else
 */
int registry_open(struct registry **out, const char *folder,
    struct accounts *accounts, struct err *err);

/** registry_close(r): all ops that were sent are done, and on their way home;
 * their loops must still be there. */
void registry_close(struct registry *r);

/** registry_op_new(verb, home, done): zeros beside that; NULL: no memory. */
struct registry_op *registry_op_new(enum registry_verb verb, struct loop *home,
    void (*done)(struct registry_op *op, void *where));
void registry_op_free(struct registry_op *op);

/** registry_op_home(op, where): for the loop of its home, with which it came
 * back: let ${op} be done, and free it. */
void registry_op_home(struct registry_op *op, void *where);

/** registry_keep_at(now_ms): the bounds above. */
struct registry_keep registry_keep_at(uint64_t now_ms);

/** registry_op_prune(home): forget what is over by the bounds above, now.
 * NULL: no memory. */
struct registry_op *registry_op_prune(struct loop *home);

/** registry_send(r, op): takes ${op}; it comes home with its outcome. */
void registry_send(struct registry *r, struct registry_op *op);

/*
 * Looking up, from every thread.  False: there is no such thing.
 */
bool registry_find_tenant(
    struct registry *r, struct account *account, struct registry_tenant *out);
bool registry_find_key(struct registry *r, const uint8_t key[UUID_KEY_LEN],
    struct registry_key *out);
/** ... of a token that may be used at ${now_ms} of the wall clock.  An
 * enrolment token without uses left is still found, as who enrolled with it
 * may ask again. */
bool registry_find_token(struct registry *r, enum registry_token_kind kind,
    const uint8_t hash[REGISTRY_HASH_LEN], uint64_t now_ms,
    struct registry_token *out);
bool registry_find_claim(
    struct registry *r, const struct uuid *uuid, struct registry_claim *out);

enum registry_set {
	REGISTRY_TENANTS, /* struct registry_tenant, by name */
	REGISTRY_KEYS,    /* struct registry_key, by key */
	REGISTRY_TOKENS,  /* struct registry_token, by hash */
	REGISTRY_CLAIMS,  /* struct registry_claim, by UUID */
	REGISTRY_SETS
};

/** registry_each(r, set, fn, arg): all rows, in order, while nobody writes: be
 * quick, and call nothing of the registry from inside. */
void registry_each(struct registry *r, enum registry_set set,
    void (*fn)(void *arg, const void *row), void *arg);

#endif
