#ifndef RELAY_REGISTRY_DB_IMPL_H
#define RELAY_REGISTRY_DB_IMPL_H

/* What registry_db.c and registry_db_verb.c share; nobody else includes it. */

#include <sqlite3.h>

#include "relay/registry_db.h"

enum registry_query {
	REGISTRY_Q_BEGIN,
	REGISTRY_Q_COMMIT,
	REGISTRY_Q_ROLLBACK,
	REGISTRY_Q_SAVE,
	REGISTRY_Q_BACK,
	REGISTRY_Q_FORGET_SAVE,
	REGISTRY_Q_ALL_TENANTS,
	REGISTRY_Q_ALL_KEYS,
	REGISTRY_Q_ALL_TOKENS,
	REGISTRY_Q_ALL_CLAIMS,
	REGISTRY_Q_TENANT_PUT,
	REGISTRY_Q_TENANT_OF,
	REGISTRY_Q_TENANT_DROP,
	REGISTRY_Q_TENANT_KEYS_DROP,
	REGISTRY_Q_TENANT_TOKENS_DROP,
	REGISTRY_Q_TENANT_CLAIMS_DROP,
	REGISTRY_Q_TOKEN_PUT,
	REGISTRY_Q_TOKEN_OF_ID,
	REGISTRY_Q_TOKEN_OF_HASH,
	REGISTRY_Q_TOKEN_USE,
	REGISTRY_Q_TOKEN_DROP,
	REGISTRY_Q_TOKENS_OLD_DROP,
	REGISTRY_Q_KEY_PUT,
	REGISTRY_Q_KEY_OF,
	REGISTRY_Q_CLAIM_PUT,
	REGISTRY_Q_CLAIM_OF,
	REGISTRY_Q_CLAIM_DROP,
	REGISTRY_Q_CLAIM_COUNT,
	REGISTRY_Q_TRAIL_PUT,
	REGISTRY_Q_TRAIL_OLD_DROP,
	REGISTRY_Q_TRAIL,
	REGISTRY_QUERIES
};

struct registry_db {
	sqlite3 *db;
	sqlite3_stmt *stmt[REGISTRY_QUERIES];
	struct accounts *accounts; /* borrowed */
};

/** registry_db_fail(db, err, what): ERR_IO with SQLite's words. */
int registry_db_fail(struct registry_db *db, struct err *err, const char *what);

/**
 * registry_db_ask(db, q, err, types, ...):
 * Bind and take the first step.  ${types}: t const char *, i int64_t, k and u
 * pointers to 32 bytes and to a UUID's 16, n nothing (NULL).
 *   returns  1: a row, whose columns are good until registry_db_end();
 *            0: done; -1: ERR_IO
 */
int registry_db_ask(struct registry_db *db, enum registry_query q,
    struct err *err, const char *types, ...);

/** registry_db_next(db, q, err): one more step; returns as above. */
int registry_db_next(
    struct registry_db *db, enum registry_query q, struct err *err);

/** registry_db_end(db, q): of a statement that may give more rows. */
void registry_db_end(struct registry_db *db, enum registry_query q);

/** registry_db_run(db, q, err, types, ...): the same, of one that gives none. */
#define registry_db_run(db, q, ...)                                            \
	(registry_db_ask(db, q, __VA_ARGS__) < 0                               \
		? -1                                                           \
		: (registry_db_end(db, q), 0))

/* A row as the statement of its set gives it.  errors ERR_IO, ERR_MALFORMED,
 * ERR_MEMORY */
int registry_db_tenant(struct registry_tenant *out, struct registry_db *db,
    enum registry_query q, struct err *err);
int registry_db_key(struct registry_key *out, struct registry_db *db,
    enum registry_query q, struct err *err);
int registry_db_token(struct registry_token *out, struct registry_db *db,
    enum registry_query q, struct err *err);
int registry_db_claim(struct registry_claim *out, struct registry_db *db,
    enum registry_query q, struct err *err);

#endif
