#ifndef AGENT_VAULT_STORE_IMPL_H
#define AGENT_VAULT_STORE_IMPL_H

/* What store.c and store_audit.c share; nobody else includes it. */

#include <sqlite3.h>

#include "agent/vault/store.h"

enum store_query {
	STORE_Q_BEGIN,
	STORE_Q_COMMIT,
	STORE_Q_ROLLBACK,
	STORE_Q_PUT,
	STORE_Q_GET,
	STORE_Q_DELETE,
	STORE_Q_MARK,
	STORE_Q_AUDIT,
	STORE_QUERIES
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmt[STORE_QUERIES];
	struct secret seal;   /* empty: locked */
	struct secret canary; /* sealed under it */
	int mark_fd;
	uint64_t generation; /* of the last commit */
	uint64_t audit_seq;
	uint8_t audit_hash[STORE_HASH_LEN];
	uint64_t saved_seq; /* both, at store_begin() */
	uint8_t saved_hash[STORE_HASH_LEN];
	bool open;  /* a transaction is */
	bool dirty; /* and it has changed something */
};

/** store_fail(s, err, what): ERR_IO with SQLite's words. */
int store_fail(struct store *s, struct err *err, const char *what);

/** store_step(s, q, err): run a prepared statement that gives no rows. */
int store_step(struct store *s, enum store_query q, struct err *err);

/** store_is_open(s): a transaction is.  After some errors (I/O, memory, a full
 * disk) SQLite ends it by itself, also if it was a read that failed: what
 * followed would be kept, each by itself, while the rest is lost. */
bool store_is_open(const struct store *s);

/** store_column(stmt, at): the bytes of a column, good until the next step. */
struct span store_column(sqlite3_stmt *stmt, int at);

/** store_audit_seal(s, err): note where the log ends, if it has grown. */
int store_audit_seal(struct store *s, struct err *err);

/** store_audit_load(s, err): where the chain of the audit log ends. */
int store_audit_load(struct store *s, struct err *err);

/** store_audit_resume(s, err): now that the seal key is there: if the log does
 * not end as it was noted, go on from the note, so that the break stays. */
int store_audit_resume(struct store *s, struct err *err);

#endif
