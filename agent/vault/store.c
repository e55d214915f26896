#include "agent/vault/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/seal_key.h"
#include "agent/vault/store_impl.h"
#include "agent/vault/store_seal.h"

#define STORE_DB "agent.db"
#define STORE_MARK "generation"
#define STORE_MARK_LEN 20 /* digits, so that a person can read it */
#define STORE_KEY_MAX 64
#define STORE_CANARY "attest-agent store"
#define STORE_FORMAT 1
#define STORE_BUSY_MS 2000

static const char *const queries[STORE_QUERIES] = {
	[STORE_Q_BEGIN] = "BEGIN IMMEDIATE",
	[STORE_Q_COMMIT] = "COMMIT",
	[STORE_Q_ROLLBACK] = "ROLLBACK",
	[STORE_Q_PUT] = "INSERT OR REPLACE INTO record VALUES(?1,?2,?3,?4)",
	[STORE_Q_GET] =
	    "SELECT version,value FROM record WHERE tab=?1 AND key=?2",
	[STORE_Q_DELETE] = "DELETE FROM record WHERE tab=?1 AND key=?2",
	[STORE_Q_MARK] = "UPDATE meta SET generation=?1",
	[STORE_Q_AUDIT] = "INSERT INTO audit VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
};

/* secure_delete: freed pages are overwritten, so deleting erases (T24). */
static const char schema[] =
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA secure_delete=ON;"
    "PRAGMA trusted_schema=OFF;"
    "CREATE TABLE IF NOT EXISTS meta(one INTEGER PRIMARY KEY CHECK(one=1),"
    " format INTEGER NOT NULL, generation INTEGER NOT NULL,"
    " canary BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS record(tab INTEGER NOT NULL,"
    " key BLOB NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(tab,key)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS audit(seq INTEGER PRIMARY KEY,"
    " time INTEGER NOT NULL, vm BLOB, session BLOB, event TEXT NOT NULL,"
    " detail TEXT NOT NULL, prev BLOB NOT NULL, hash BLOB NOT NULL);";

int
store_fail(struct store *s, struct err *err, const char *what)
{
	return err_set(
	    err, ERR_IO, STORE_DB ": %s: %s", what, sqlite3_errmsg(s->db));
}

int
store_step(struct store *s, enum store_query q, struct err *err)
{
	int got = sqlite3_step(s->stmt[q]);
	int rc = 0;

	if (got != SQLITE_DONE && got != SQLITE_ROW)
		rc = store_fail(s, err, queries[q]);
	(void)sqlite3_reset(s->stmt[q]);
	(void)sqlite3_clear_bindings(s->stmt[q]);
	return rc;
}

bool
store_is_open(const struct store *s)
{
	return s->open && sqlite3_get_autocommit(s->db) == 0;
}

struct span
store_column(sqlite3_stmt *stmt, int at)
{
	const void *ptr = sqlite3_column_blob(stmt, at);

	return span_of(ptr, (size_t)sqlite3_column_bytes(stmt, at));
}

/* AAD: a value fits this row only (docs/operations-agent.md, "State"). */
static struct span
aad_make(uint8_t *out, size_t cap, int table, struct span key, int64_t version)
{
	struct writer w = writer_of(out, cap);

	writer_u8(&w, (uint8_t)table);
	writer_be32(&w, (uint32_t)key.len);
	writer_put(&w, key);
	writer_be64(&w, (uint64_t)version);
	return writer_span(&w);
}

/* A key is made together with the store, and never without it. */
static int
load_seal(
    struct store *s, const struct state *state, bool fresh, struct err *err)
{
	struct err why = { 0 };

	if (seal_key_load(&s->seal, state, &why) == 0)
		return 0;
	if (why.code == ERR_CLOSED && !fresh)
		return 0; /* locked */
	if (why.code != ERR_NOT_FOUND)
		return err_set(err, why.code, "%s", why.msg);
	if (!fresh)
		return err_set(err, ERR_NOT_FOUND,
		    "seal.key is missing: " STORE_DB
		    " cannot be opened without it");
	return seal_key_make(&s->seal, state, err);
}

static int
make_meta(struct store *s, struct err *err)
{
	struct secret canary = { 0 };
	sqlite3_stmt *stmt = NULL;
	int rc = -1;

	if (store_seal(&canary, secret_span(&s->seal), span_str("meta"),
		span_str(STORE_CANARY), err) != 0)
		goto out;
	if (sqlite3_prepare_v2(s->db, "INSERT INTO meta VALUES(1,?1,0,?2)", -1,
		&stmt, NULL) != SQLITE_OK ||
	    sqlite3_bind_int(stmt, 1, STORE_FORMAT) != SQLITE_OK ||
	    sqlite3_bind_blob(stmt, 2, canary.ptr, (int)canary.len,
		SQLITE_TRANSIENT) != SQLITE_OK ||
	    sqlite3_step(stmt) != SQLITE_DONE) {
		(void)store_fail(s, err, "meta");
		goto out;
	}
	s->canary = canary;
	canary = (struct secret){ 0 };
	rc = 0;
out:
	(void)sqlite3_finalize(stmt);
	secret_free(&canary);
	return rc;
}

static int
check_canary(struct span key, struct span sealed, struct err *err)
{
	struct secret canary = { 0 };

	if (store_unseal(&canary, key, span_str("meta"), sealed, NULL) != 0)
		return err_set(err, ERR_UNTRUSTED,
		    "seal.key is not the key of this " STORE_DB);
	secret_free(&canary);
	return 0;
}

/* The right key, the right format, and where the last commit stood. */
static int
check_meta(struct store *s, sqlite3_stmt *row, struct err *err)
{
	struct span sealed = store_column(row, 2);

	if (sqlite3_column_int(row, 0) != STORE_FORMAT)
		return err_set(err, ERR_UNSUPPORTED,
		    STORE_DB ": format %d, this program reads %d",
		    sqlite3_column_int(row, 0), STORE_FORMAT);
	s->generation = (uint64_t)sqlite3_column_int64(row, 1);
	if (secret_copy(&s->canary, sealed, err) != 0)
		return -1;
	if (store_is_locked(s))
		return 0;
	return check_canary(secret_span(&s->seal), sealed, err);
}

static int
load_meta(struct store *s, const struct state *state, struct err *err)
{
	sqlite3_stmt *row = NULL;
	int rc = -1;
	int got;

	if (sqlite3_prepare_v2(s->db,
		"SELECT format,generation,canary FROM meta", -1, &row,
		NULL) != SQLITE_OK) {
		(void)store_fail(s, err, "meta");
		goto out;
	}
	got = sqlite3_step(row);
	if (got != SQLITE_ROW && got != SQLITE_DONE) {
		(void)store_fail(s, err, "meta");
		goto out;
	}
	if (load_seal(s, state, got == SQLITE_DONE, err) != 0)
		goto out;
	if (got == SQLITE_ROW) {
		rc = check_meta(s, row, err);
	} else {
		(void)sqlite3_reset(row);
		rc = make_meta(s, err);
	}
out:
	(void)sqlite3_finalize(row);
	return rc;
}

/*
 * T9: the mark is written after each commit and so is never ahead of the
 * store it belongs to.  A store behind it is an old copy.
 */
static int
check_mark(struct store *s, const struct state *state, struct err *err)
{
	char text[STORE_MARK_LEN + 1] = "";
	unsigned long long mark = 0;

	s->mark_fd = openat(state->dir_fd, STORE_MARK,
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->mark_fd < 0)
		return err_set(err, ERR_IO, STORE_MARK ": cannot be opened");
	if (pread(s->mark_fd, text, STORE_MARK_LEN, 0) > 0)
		mark = strtoull(text, NULL, 10);
	if (s->generation < mark)
		return err_set(err, ERR_UNTRUSTED,
		    STORE_DB " is older than its mark (generation %llu, "
			     "mark %llu): an old copy was put back, whose "
			     "sessions may have been used since; see "
			     "docs/operations-agent.md",
		    (unsigned long long)s->generation, mark);
	return 0;
}

static int
open_db(struct store *s, const struct state *state, struct err *err)
{
	char path[STATE_PATH_MAX];
	mode_t mask = umask(077);
	struct stat st;
	int got;

	got = sqlite3_open_v2(state_path(path, state, STORE_DB), &s->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		SQLITE_OPEN_NOFOLLOW,
	    NULL);
	if (got == SQLITE_OK) {
		(void)sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
		got = sqlite3_exec(s->db, schema, NULL, NULL, NULL);
	}
	(void)umask(mask);
	if (got != SQLITE_OK)
		return store_fail(s, err, "open");
	if (fstatat(state->dir_fd, STORE_DB, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    (st.st_mode & 077) != 0)
		return err_set(err, ERR_UNTRUSTED,
		    STORE_DB ": mode lets others in; chmod 0600 it");
	return 0;
}

int
store_open(struct store **out, const struct state *state, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	uint64_t seeded;
	int q;

	if (s == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the store");
	s->mark_fd = -1;
	/* SQLite seeds its own generator (names, salts) from a file. */
	sqlite3_randomness(sizeof(seeded), &seeded);
	if (open_db(s, state, err) != 0 || load_meta(s, state, err) != 0 ||
	    check_mark(s, state, err) != 0 || store_audit_load(s, err) != 0)
		goto fail;
	for (q = 0; q < STORE_QUERIES; q++)
		if (sqlite3_prepare_v3(s->db, queries[q], -1,
			SQLITE_PREPARE_PERSISTENT, &s->stmt[q],
			NULL) != SQLITE_OK) {
			(void)store_fail(s, err, queries[q]);
			goto fail;
		}
	if (store_audit_resume(s, err) != 0)
		goto fail;
	*out = s;
	return 0;
fail:
	store_close(s);
	return -1;
}

void
store_close(struct store *s)
{
	int q;

	if (s == NULL)
		return;
	if (s->open)
		store_rollback(s);
	for (q = 0; q < STORE_QUERIES; q++)
		(void)sqlite3_finalize(s->stmt[q]);
	(void)sqlite3_close(s->db);
	if (s->mark_fd >= 0)
		(void)close(s->mark_fd);
	secret_free(&s->seal);
	secret_free(&s->canary);
	free(s);
}

bool
store_is_locked(const struct store *s)
{
	return s->seal.len == 0;
}

void
store_lock(struct store *s)
{
	secret_free(&s->seal);
}

int
store_unlock(struct store *s, struct span key, struct err *err)
{
	if (key.len != STORE_SEAL_KEY_LEN)
		return err_set(
		    err, ERR_MALFORMED, "seal key of %zu bytes", key.len);
	if (check_canary(key, secret_span(&s->canary), err) != 0)
		return -1;
	secret_free(&s->seal);
	if (secret_copy(&s->seal, key, err) != 0)
		return -1;
	if (store_audit_resume(s, err) == 0)
		return 0;
	store_lock(s);
	return -1;
}

int
store_begin(struct store *s, struct err *err)
{
	int moved = 0;

	if (s->open)
		return err_set(err, ERR_INTERNAL, "a transaction is open");
	/* SQLite would go on writing into a file that has no name any more:
	 * what is released then would be logged nowhere. */
	if (sqlite3_file_control(
		s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK ||
	    moved != 0)
		return err_set(err, ERR_IO,
		    STORE_DB ": was removed or replaced while in use; start "
			     "the agent again");
	if (store_step(s, STORE_Q_BEGIN, err) != 0)
		return -1;
	s->saved_seq = s->audit_seq;
	memcpy(s->saved_hash, s->audit_hash, STORE_HASH_LEN);
	s->open = true;
	s->dirty = false;
	return 0;
}

int
store_commit(struct store *s, struct err *err)
{
	char text[STORE_MARK_LEN + 1];
	uint64_t next = s->generation + 1;

	/* Nothing to write, as after repeats alone: no sync either. */
	if (!s->dirty) {
		store_rollback(s);
		return 0;
	}
	if (!store_is_open(s)) {
		store_rollback(s);
		return err_set(err, ERR_IO,
		    STORE_DB ": the transaction was lost to an earlier error");
	}
	if (store_audit_seal(s, err) != 0) {
		store_rollback(s);
		return -1;
	}
	(void)sqlite3_bind_int64(s->stmt[STORE_Q_MARK], 1, (int64_t)next);
	if (store_step(s, STORE_Q_MARK, err) != 0 ||
	    store_step(s, STORE_Q_COMMIT, err) != 0) {
		store_rollback(s);
		return -1;
	}
	s->open = false;
	s->generation = next;
	/* Not synced: a mark that lags behind refuses less, never wrongly. */
	(void)snprintf(
	    text, sizeof(text), "%019llu\n", (unsigned long long)next);
	if (pwrite(s->mark_fd, text, STORE_MARK_LEN, 0) != STORE_MARK_LEN)
		return 0;
	return 0;
}

void
store_rollback(struct store *s)
{
	/* A failed COMMIT may have rolled back by itself: no error then. */
	if (sqlite3_get_autocommit(s->db) == 0)
		(void)store_step(s, STORE_Q_ROLLBACK, NULL);
	s->audit_seq = s->saved_seq;
	memcpy(s->audit_hash, s->saved_hash, STORE_HASH_LEN);
	s->open = false;
}

static void
bind_key(sqlite3_stmt *stmt, enum store_table table, struct span key)
{
	(void)sqlite3_bind_int(stmt, 1, (int)table);
	(void)sqlite3_bind_blob(stmt, 2, key.ptr, (int)key.len, SQLITE_STATIC);
}

/* Versions rise with the generation, so no value ever fits an older row. */
int
store_put(struct store *s, enum store_table table, struct span key,
    struct span value, struct err *err)
{
	sqlite3_stmt *stmt = s->stmt[STORE_Q_PUT];
	uint8_t aad[STORE_KEY_MAX + 16];
	int64_t version = (int64_t)s->generation + 1;
	struct secret sealed = { 0 };
	int rc;

	s->dirty = true;
	if (!store_is_open(s) || key.len > STORE_KEY_MAX)
		return err_set(err, ERR_INTERNAL, "store_put: no transaction");
	if (store_is_locked(s))
		return err_set(err, ERR_CLOSED, "locked: attest-agent unlock");
	if (store_seal(&sealed, secret_span(&s->seal),
		aad_make(aad, sizeof(aad), (int)table, key, version), value,
		err) != 0)
		return -1;
	bind_key(stmt, table, key);
	(void)sqlite3_bind_int64(stmt, 3, version);
	(void)sqlite3_bind_blob(
	    stmt, 4, sealed.ptr, (int)sealed.len, SQLITE_STATIC);
	rc = store_step(s, STORE_Q_PUT, err);
	secret_free(&sealed);
	return rc;
}

int
store_get(struct secret *out, struct store *s, enum store_table table,
    struct span key, struct err *err)
{
	sqlite3_stmt *stmt = s->stmt[STORE_Q_GET];
	uint8_t aad[STORE_KEY_MAX + 16];
	int rc = -1;
	int got;

	bind_key(stmt, table, key);
	got = sqlite3_step(stmt);
	if (got == SQLITE_DONE)
		(void)err_set(err, ERR_NOT_FOUND, "no such record");
	else if (got != SQLITE_ROW)
		(void)store_fail(s, err, "read");
	else
		rc = store_unseal(out, secret_span(&s->seal),
		    aad_make(aad, sizeof(aad), (int)table, key,
			sqlite3_column_int64(stmt, 0)),
		    store_column(stmt, 1), err);
	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
	return rc;
}

int
store_delete(
    struct store *s, enum store_table table, struct span key, struct err *err)
{
	if (!store_is_open(s))
		return err_set(
		    err, ERR_INTERNAL, "store_delete: no transaction");
	s->dirty = true;
	bind_key(s->stmt[STORE_Q_DELETE], table, key);
	return store_step(s, STORE_Q_DELETE, err);
}

int
store_each(struct store *s, enum store_table table,
    int (*fn)(void *arg, struct span key, struct span value, struct err *err),
    void *arg, struct err *err)
{
	uint8_t aad[STORE_KEY_MAX + 16];
	sqlite3_stmt *stmt = NULL;
	int rc = -1;
	int got;

	if (sqlite3_prepare_v2(s->db,
		"SELECT key,version,value FROM record WHERE tab=?1", -1, &stmt,
		NULL) != SQLITE_OK) {
		(void)store_fail(s, err, "read");
		goto out;
	}
	(void)sqlite3_bind_int(stmt, 1, (int)table);
	while ((got = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct span key = store_column(stmt, 0);
		struct secret value = { 0 };
		int stop;

		if (key.len > STORE_KEY_MAX ||
		    store_unseal(&value, secret_span(&s->seal),
			aad_make(aad, sizeof(aad), (int)table, key,
			    sqlite3_column_int64(stmt, 1)),
			store_column(stmt, 2), err) != 0) {
			(void)err_set(err, ERR_UNTRUSTED,
			    STORE_DB ": a record of table %d was altered",
			    (int)table);
			goto out;
		}
		stop = fn(arg, key, secret_span(&value), err);
		secret_free(&value);
		if (stop != 0)
			goto out;
	}
	if (got != SQLITE_DONE) {
		(void)store_fail(s, err, "read");
		goto out;
	}
	rc = 0;
out:
	(void)sqlite3_finalize(stmt);
	return rc;
}

int
store_erase_traces(struct store *s)
{
	int got;

	/* Whoever reads the file meanwhile, as a backup does, is not waited
	 * for: hosts would have to wait, too. */
	(void)sqlite3_busy_timeout(s->db, 0);
	/* Old frames of the log may hold keys of ended sessions (T24). */
	got = sqlite3_wal_checkpoint_v2(
	    s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	(void)sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
	return got == SQLITE_OK ? 0 : -1;
}
