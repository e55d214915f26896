#ifndef AGENT_VAULT_STORE_H
#define AGENT_VAULT_STORE_H

#include "agent/state.h"
#include "common/err.h"
#include "common/secret.h"
#include "common/span.h"
#include "common/uuid.h"

/*
 * Durable records of the vault: SQLite (WAL, synchronous=FULL) with every
 * value sealed by AES-256-GCM under seal.key; the AAD is table, key and
 * version, so that a value fits its own row only.  The audit log lies beside
 * them in the clear, each row hashed over the one before.
 *
 * Every change happens between store_begin() and store_commit(): what was not
 * committed never happened.
 */
struct store;

enum store_table {
	STORE_VM = 1,         /* registration, by UUID */
	STORE_SESSION,        /* keys and state, by session id */
	STORE_LAUNCH_ANSWER,  /* for an Idempotency-Key, by session id */
	STORE_RELEASE_ANSWER, /* for a repeat, by session id */
	STORE_COUNT,          /* releases, by UUID */
	STORE_DISABLED,       /* VMs that the owner disabled, by UUID */
	STORE_EVIDENCE,       /* what a host showed, by session id */
	STORE_RECEIPT,        /* of a release, by its number */
	STORE_HEAD,           /* where the log ends, one row */
	STORE_CEK = 16,       /* fetched from AMD, by CEK fingerprint */
	STORE_BLOCK = 17,     /* CEK block-lists, by UUID; zeros: for all */
	STORE_MOVE_KEY = 24,  /* to which others seal exports, one row */
	STORE_EXPORT = 25,    /* files for other agents, by export id */
	STORE_MOVED = 26,     /* VMs that were handed over, by UUID */
	STORE_IMPORT = 27     /* exports that were taken, by export id */
};

#define STORE_HASH_LEN 32
#define STORE_EVENT_LEN_MAX 32
#define STORE_DETAIL_LEN_MAX 1024

/* One line of the owner's log. */
struct store_audit {
	uint64_t seq;
	int64_t wall_ms;
	struct uuid vm;      /* zeros: none */
	struct uuid session; /* zeros: none */
	char event[STORE_EVENT_LEN_MAX];
	char detail[STORE_DETAIL_LEN_MAX];
	uint8_t prev[STORE_HASH_LEN];
	uint8_t hash[STORE_HASH_LEN];
};

/**
 * store_open(out, state, err):
 * Open agent.db of ${state}, whose lock must be held, and make it and a seal
 * key (seal_key.h) if neither is there.  If the key wants a passphrase, the
 * store is locked: the log can be read and written, no value can.
 *   errors  ERR_UNTRUSTED: seal.key is not the one of this store, or a store
 *           older than its own mark in the file "generation" (a backup put
 *           back: its sessions may have released already); ERR_NOT_FOUND: a
 *           store without its seal.key; ERR_IO
 */
int store_open(struct store **out, const struct state *state, struct err *err);

void store_close(struct store *s);

/** store_is_locked(s), store_lock(s): forget the seal key. */
bool store_is_locked(const struct store *s);
void store_lock(struct store *s);

/** store_unlock(s, key, err): errors ERR_UNTRUSTED: not its key, or the note
 * of where the log ends was altered; ERR_IO */
int store_unlock(struct store *s, struct span key, struct err *err);

/** store_begin(s, err): one transaction at a time.  errors ERR_IO */
int store_begin(struct store *s, struct err *err);

/**
 * store_commit(s, err):
 *   returns  0: everything since store_begin() is on the disk
 *   errors   ERR_IO: none of it is; the transaction is over
 */
int store_commit(struct store *s, struct err *err);

/** store_rollback(s): forget everything since store_begin(). */
void store_rollback(struct store *s);

/** store_put(s, table, key, value, err): insert or replace.  errors ERR_IO */
int store_put(struct store *s, enum store_table table, struct span key,
    struct span value, struct err *err);

/**
 * store_get(out, s, table, key, err):
 *   errors  ERR_NOT_FOUND; ERR_UNTRUSTED: the row was altered; ERR_IO
 */
int store_get(struct secret *out, struct store *s, enum store_table table,
    struct span key, struct err *err);

/** store_delete(s, table, key, err): its bytes are overwritten with zeros. */
int store_delete(
    struct store *s, enum store_table table, struct span key, struct err *err);

/**
 * store_each(s, table, fn, arg, err):
 * Call ${fn} for every row, until it returns other than 0.
 *   lifetime  key and value are only good during the call
 */
int store_each(struct store *s, enum store_table table,
    int (*fn)(void *arg, struct span key, struct span value, struct err *err),
    void *arg, struct err *err);

/**
 * store_audit_add(s, row, err):
 * Append; fills seq, prev and hash of ${row}.  errors ERR_IO
 */
int store_audit_add(struct store *s, struct store_audit *row, struct err *err);

/**
 * store_audit_each(s, after, vm, fn, arg, err):
 * Rows with a seq above ${after}, oldest first, of ${vm} or of all (NULL);
 * ${fn} ends it by returning other than 0.  errors ERR_IO
 */
int store_audit_each(struct store *s, uint64_t after, const struct uuid *vm,
    int (*fn)(void *arg, const struct store_audit *row), void *arg,
    struct err *err);

/**
 * store_audit_verify(s, count, err):
 * Recompute the chain, and compare with the sealed note of where it ended.
 *   errors  ERR_UNTRUSTED: a row was altered or is missing, or the end was cut
 */
int store_audit_verify(struct store *s, uint64_t *count, struct err *err);

/** store_audit_last(s): seq of the newest row; 0: none. */
uint64_t store_audit_last(const struct store *s);

/** store_erase_traces(s): move the write-ahead log into the store, empty it;
 * -1: not now, somebody reads it. */
int store_erase_traces(struct store *s);

#endif
