#ifndef RELAY_REGISTRY_DB_H
#define RELAY_REGISTRY_DB_H

#include "relay/registry_table.h"

/*
 * The registry's file, by SQLite: the same rows as the memory, and the trail.
 * Whether an op may be is judged here, inside the transaction, so that a
 * second relay on the same file, as there is while one takes over from
 * another, can not be at odds with us.
 */

struct registry_db;

/**
 * registry_db_open(out, file, accounts, err):
 * ${file} is made, mode 0600, if it is not there; "" lives in memory.
 *   errors  ERR_IO; ERR_MALFORMED: not ours; ERR_UNSUPPORTED: of a later
 *           version; ERR_UNTRUSTED: others may read or write it
 */
int registry_db_open(struct registry_db **out, const char *file,
    struct accounts *accounts, struct err *err);
void registry_db_close(struct registry_db *db);

/** registry_db_prune(db, keep, err): drop the rest.  errors ERR_IO */
int registry_db_prune(
    struct registry_db *db, const struct registry_keep *keep, struct err *err);

/** registry_db_load(db, table, err): all rows into the empty ${table}. */
int registry_db_load(
    struct registry_db *db, struct registry_table *table, struct err *err);

/**
 * registry_db_begin(db, err), registry_db_commit(db, err): ops between them
 * are on the disk together or not at all.  errors ERR_IO
 */
int registry_db_begin(struct registry_db *db, struct err *err);
int registry_db_commit(struct registry_db *db, struct err *err);
void registry_db_rollback(struct registry_db *db);

/**
 * registry_db_do(db, op, now_ms):
 * Judge and make ${op}: fills what came of it, op->err included.  A refused op
 * has changed nothing.  Returns -1 only if the file failed (ERR_IO, ERR_MEMORY):
 * nothing of the transaction may then be committed.
 */
int registry_db_do(
    struct registry_db *db, struct registry_op *op, uint64_t now_ms);

#endif
