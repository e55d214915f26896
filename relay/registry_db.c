#include "relay/registry_db.h"

#include "relay/registry_db_impl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define APPLICATION_ID 0x61747231 /* "atr1" */
#define FORMAT 1
#define BUSY_MS 5000

static const char schema[] =
    "PRAGMA application_id=1635021361;"
    "PRAGMA user_version=1;"
    "CREATE TABLE IF NOT EXISTS tenants(name TEXT PRIMARY KEY,"
    " self_certifying INTEGER NOT NULL, first_claim INTEGER NOT NULL,"
    " tunnels INTEGER NOT NULL, claims INTEGER NOT NULL,"
    " streams INTEGER NOT NULL, requests INTEGER NOT NULL,"
    " memory INTEGER NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS keys(key BLOB PRIMARY KEY,"
    " tenant TEXT NOT NULL, token INTEGER NOT NULL, since INTEGER NOT NULL,"
    " revoked INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS keys_tenant ON keys(tenant);"
    "CREATE TABLE IF NOT EXISTS tokens(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " hash BLOB NOT NULL UNIQUE, tenant TEXT NOT NULL, kind INTEGER NOT NULL,"
    " uses INTEGER NOT NULL, expires INTEGER NOT NULL,"
    " since INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS claims(uuid BLOB PRIMARY KEY,"
    " tenant TEXT NOT NULL, key BLOB, since INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS claims_tenant ON claims(tenant);"
    "CREATE TABLE IF NOT EXISTS trail(seq INTEGER PRIMARY KEY,"
    " at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL);";

static const char *const queries[REGISTRY_QUERIES] = {
	[REGISTRY_Q_BEGIN] = "BEGIN IMMEDIATE",
	[REGISTRY_Q_COMMIT] = "COMMIT",
	[REGISTRY_Q_ROLLBACK] = "ROLLBACK",
	[REGISTRY_Q_SAVE] = "SAVEPOINT op",
	[REGISTRY_Q_BACK] = "ROLLBACK TO op",
	[REGISTRY_Q_FORGET_SAVE] = "RELEASE op",
	[REGISTRY_Q_ALL_TENANTS] = "SELECT * FROM tenants",
	[REGISTRY_Q_ALL_KEYS] = "SELECT * FROM keys",
	[REGISTRY_Q_ALL_TOKENS] = "SELECT * FROM tokens",
	[REGISTRY_Q_ALL_CLAIMS] = "SELECT * FROM claims",
	[REGISTRY_Q_TENANT_PUT] =
	    "INSERT INTO tenants VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)",
	[REGISTRY_Q_TENANT_OF] = "SELECT 1 FROM tenants WHERE name=?1",
	[REGISTRY_Q_TENANT_DROP] = "DELETE FROM tenants WHERE name=?1",
	[REGISTRY_Q_TENANT_KEYS_DROP] = "DELETE FROM keys WHERE tenant=?1",
	[REGISTRY_Q_TENANT_TOKENS_DROP] = "DELETE FROM tokens WHERE tenant=?1",
	[REGISTRY_Q_TENANT_CLAIMS_DROP] = "DELETE FROM claims WHERE tenant=?1",
	[REGISTRY_Q_TOKEN_PUT] =
	    "INSERT INTO tokens VALUES(NULL,?1,?2,?3,?4,?5,?6)",
	[REGISTRY_Q_TOKEN_OF_ID] = "SELECT * FROM tokens WHERE id=?1",
	[REGISTRY_Q_TOKEN_OF_HASH] = "SELECT * FROM tokens WHERE hash=?1",
	[REGISTRY_Q_TOKEN_USE] = "UPDATE tokens SET uses=uses-1 WHERE id=?1",
	[REGISTRY_Q_TOKEN_DROP] = "DELETE FROM tokens WHERE id=?1",
	[REGISTRY_Q_TOKENS_OLD_DROP] =
	    "DELETE FROM tokens WHERE expires>0 AND expires<?1",
	[REGISTRY_Q_KEY_PUT] = "INSERT OR REPLACE INTO keys VALUES"
			       "(?1,?2,?3,?4,?5)",
	[REGISTRY_Q_KEY_OF] = "SELECT * FROM keys WHERE key=?1",
	[REGISTRY_Q_CLAIM_PUT] = "INSERT INTO claims VALUES(?1,?2,?3,?4)",
	[REGISTRY_Q_CLAIM_OF] = "SELECT * FROM claims WHERE uuid=?1",
	[REGISTRY_Q_CLAIM_DROP] = "DELETE FROM claims WHERE uuid=?1",
	[REGISTRY_Q_CLAIM_COUNT] =
	    "SELECT count(*) FROM claims WHERE tenant=?1",
	[REGISTRY_Q_TRAIL_PUT] = "INSERT INTO trail VALUES(NULL,?1,?2,?3)",
	/* The last line stays, so that no number comes twice. */
	[REGISTRY_Q_TRAIL_OLD_DROP] =
	    "DELETE FROM trail WHERE"
	    " (at<?1 AND seq<(SELECT max(seq) FROM trail)) OR"
	    " seq<=(SELECT max(seq) FROM trail)-?2",
	[REGISTRY_Q_TRAIL] =
	    "SELECT json_group_array(json_object('seq',seq,'at',at,'who',who,"
	    "'what',what)) FROM (SELECT * FROM (SELECT * FROM trail"
	    " ORDER BY seq DESC LIMIT ?1) ORDER BY seq)",
};

int
registry_db_fail(struct registry_db *db, struct err *err, const char *what)
{
	int why = db->db != NULL ? sqlite3_system_errno(db->db) : 0;

	return err_set(err, ERR_IO, "registry: %s: %s%s%s", what,
	    db->db != NULL ? sqlite3_errmsg(db->db) : "no memory",
	    why != 0 ? ": " : "", why != 0 ? strerror(why) : "");
}

void
registry_db_end(struct registry_db *db, enum registry_query q)
{
	(void)sqlite3_reset(db->stmt[q]);
	(void)sqlite3_clear_bindings(db->stmt[q]);
}

int
registry_db_next(struct registry_db *db, enum registry_query q, struct err *err)
{
	int got = sqlite3_step(db->stmt[q]);

	if (got == SQLITE_ROW)
		return 1;
	if (got == SQLITE_DONE) {
		registry_db_end(db, q);
		return 0;
	}
	registry_db_fail(db, err, queries[q]);
	registry_db_end(db, q);
	return -1;
}

static int
bind(sqlite3_stmt *stmt, const char *types, va_list ap)
{
	for (int at = 1; types[at - 1] != '\0'; at++) {
		int got = SQLITE_OK;

		switch (types[at - 1]) {
		case 't':
			got = sqlite3_bind_text(stmt, at,
			    va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
			break;
		case 'i':
			got = sqlite3_bind_int64(stmt, at, va_arg(ap, int64_t));
			break;
		case 'k':
			got = sqlite3_bind_blob(stmt, at,
			    va_arg(ap, const uint8_t *), UUID_KEY_LEN,
			    SQLITE_TRANSIENT);
			break;
		case 'u':
			got = sqlite3_bind_blob(stmt, at,
			    va_arg(ap, const uint8_t *), sizeof(struct uuid),
			    SQLITE_TRANSIENT);
			break;
		default:
			break; /* NULL */
		}
		if (got != SQLITE_OK)
			return -1;
	}
	return 0;
}

int
registry_db_ask(struct registry_db *db, enum registry_query q, struct err *err,
    const char *types, ...)
{
	va_list ap;
	int rc;

	va_start(ap, types);
	rc = bind(db->stmt[q], types, ap);
	va_end(ap);
	if (rc != 0) {
		registry_db_end(db, q);
		return registry_db_fail(db, err, queries[q]);
	}
	return registry_db_next(db, q, err);
}

int
registry_db_begin(struct registry_db *db, struct err *err)
{
	return registry_db_run(db, REGISTRY_Q_BEGIN, err, "");
}

int
registry_db_commit(struct registry_db *db, struct err *err)
{
	return registry_db_run(db, REGISTRY_Q_COMMIT, err, "");
}

void
registry_db_rollback(struct registry_db *db)
{
	struct err ignored;

	/* Some faults have rolled back already. */
	if (sqlite3_get_autocommit(db->db) == 0)
		(void)registry_db_run(db, REGISTRY_Q_ROLLBACK, &ignored, "");
}

static int
take_text(struct account **out, struct registry_db *db, enum registry_query q,
    int at, struct err *err)
{
	const unsigned char *text = sqlite3_column_text(db->stmt[q], at);

	if (text == NULL)
		return err_set(
		    err, ERR_MALFORMED, "registry: %s: no tenant", queries[q]);
	return accounts_of(out, db->accounts, (const char *)text, err);
}

static int
take_bytes(void *out, size_t len, struct registry_db *db, enum registry_query q,
    int at, struct err *err)
{
	const void *blob = sqlite3_column_blob(db->stmt[q], at);
	size_t got = (size_t)sqlite3_column_bytes(db->stmt[q], at);

	if (blob == NULL || got != len)
		return err_set(err, ERR_MALFORMED,
		    "registry: %s: %zu bytes, want %zu", queries[q], got, len);
	memcpy(out, blob, len);
	return 0;
}

static uint64_t
take_number(struct registry_db *db, enum registry_query q, int at)
{
	int64_t n = sqlite3_column_int64(db->stmt[q], at);

	return n > 0 ? (uint64_t)n : 0;
}

int
registry_db_tenant(struct registry_tenant *out, struct registry_db *db,
    enum registry_query q, struct err *err)
{
	memset(out, 0, sizeof(*out));
	out->self_certifying = take_number(db, q, 1) != 0;
	out->first_claim = take_number(db, q, 2) != 0;
	for (int k = 0; k < ACCOUNT_KINDS; k++)
		out->limits.max[k] = (uint32_t)take_number(db, q, 3 + k);
	out->limits.requests = (uint32_t)take_number(db, q, 6);
	out->limits.memory = take_number(db, q, 7);
	out->since_ms = take_number(db, q, 8);
	return take_text(&out->account, db, q, 0, err);
}

int
registry_db_key(struct registry_key *out, struct registry_db *db,
    enum registry_query q, struct err *err)
{
	memset(out, 0, sizeof(*out));
	out->token = take_number(db, q, 2);
	out->since_ms = take_number(db, q, 3);
	out->revoked_ms = take_number(db, q, 4);
	if (take_bytes(out->key, sizeof(out->key), db, q, 0, err) != 0)
		return -1;
	return take_text(&out->account, db, q, 1, err);
}

int
registry_db_token(struct registry_token *out, struct registry_db *db,
    enum registry_query q, struct err *err)
{
	memset(out, 0, sizeof(*out));
	out->id = take_number(db, q, 0);
	out->kind = take_number(db, q, 3) == REGISTRY_TOKEN_AGENT
	    ? REGISTRY_TOKEN_AGENT
	    : REGISTRY_TOKEN_ENROL;
	out->uses = (uint32_t)take_number(db, q, 4);
	out->expires_ms = take_number(db, q, 5);
	out->since_ms = take_number(db, q, 6);
	if (take_bytes(out->hash, sizeof(out->hash), db, q, 1, err) != 0)
		return -1;
	return take_text(&out->account, db, q, 2, err);
}

int
registry_db_claim(struct registry_claim *out, struct registry_db *db,
    enum registry_query q, struct err *err)
{
	memset(out, 0, sizeof(*out));
	out->of_key = sqlite3_column_type(db->stmt[q], 2) != SQLITE_NULL;
	out->since_ms = take_number(db, q, 3);
	if (take_bytes(
		out->uuid.bytes, sizeof(out->uuid.bytes), db, q, 0, err) != 0 ||
	    (out->of_key &&
		take_bytes(out->key, sizeof(out->key), db, q, 2, err) != 0))
		return -1;
	return take_text(&out->account, db, q, 1, err);
}

static int
load_set(struct registry_db *db, struct registry_table *table,
    enum registry_set set, struct err *err)
{
	enum registry_query q = REGISTRY_Q_ALL_TENANTS + (int)set;
	union {
		struct registry_tenant tenant;
		struct registry_key key;
		struct registry_token token;
		struct registry_claim claim;
	} row;
	int got, rc = 0;

	for (got = registry_db_ask(db, q, err, ""); got == 1 && rc == 0;
	     got = registry_db_next(db, q, err)) {
		switch (set) {
		case REGISTRY_TENANTS:
			rc = registry_db_tenant(&row.tenant, db, q, err);
			break;
		case REGISTRY_KEYS:
			rc = registry_db_key(&row.key, db, q, err);
			break;
		case REGISTRY_TOKENS:
			rc = registry_db_token(&row.token, db, q, err);
			break;
		default:
			rc = registry_db_claim(&row.claim, db, q, err);
			break;
		}
		if (rc == 0)
			rc = registry_table_put(table, set, &row, err);
	}
	registry_db_end(db, q);
	return got < 0 ? -1 : rc;
}

int
registry_db_prune(
    struct registry_db *db, const struct registry_keep *keep, struct err *err)
{
	if (registry_db_run(db, REGISTRY_Q_TOKENS_OLD_DROP, err, "i",
		(int64_t)keep->tokens_ms) != 0)
		return -1;
	return registry_db_run(db, REGISTRY_Q_TRAIL_OLD_DROP, err, "ii",
	    (int64_t)keep->trail_ms, (int64_t)keep->lines);
}

int
registry_db_load(
    struct registry_db *db, struct registry_table *table, struct err *err)
{
	for (int s = 0; s < REGISTRY_SETS; s++)
		if (load_set(db, table, s, err) != 0)
			return -1;
	return 0;
}

static int
pragma(struct registry_db *db, const char *text, int64_t *out, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = -1;

	if (sqlite3_prepare_v2(db->db, text, -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW) {
		*out = sqlite3_column_int64(stmt, 0);
		rc = 0;
	} else {
		registry_db_fail(db, err, text);
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}

/* Not somebody else's database, and none of a later version of ours. */
static int
check_format(struct registry_db *db, const char *file, struct err *err)
{
	int64_t id = 0, format = 0, tables = 0;

	if (pragma(db, "PRAGMA application_id", &id, err) != 0 ||
	    pragma(db, "PRAGMA user_version", &format, err) != 0 ||
	    pragma(db, "SELECT count(*) FROM sqlite_schema", &tables, err) != 0)
		return -1;
	if (tables > 0 && id != APPLICATION_ID)
		return err_set(err, ERR_MALFORMED,
		    "%s: a database of another program", file);
	if (format > FORMAT)
		return err_set(err, ERR_UNSUPPORTED,
		    "%s: format %lld, this program reads %d", file,
		    (long long)format, FORMAT);
	return 0;
}

static int
open_file(struct registry_db *db, const char *file, struct err *err)
{
	static const char before[] = "PRAGMA journal_mode=WAL;"
				     "PRAGMA synchronous=FULL;"
				     "PRAGMA trusted_schema=OFF;";
	mode_t mask = umask(077);
	struct stat st;
	int got;

	got = sqlite3_open_v2(file[0] != '\0' ? file : ":memory:", &db->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		SQLITE_OPEN_NOFOLLOW,
	    NULL);
	if (got == SQLITE_OK) {
		(void)sqlite3_busy_timeout(db->db, BUSY_MS);
		got = sqlite3_exec(db->db, before, NULL, NULL, NULL);
	}
	(void)umask(mask);
	if (got != SQLITE_OK)
		return registry_db_fail(db, err, file);
	if (file[0] != '\0' &&
	    (lstat(file, &st) != 0 || (st.st_mode & 077) != 0))
		return err_set(err, ERR_UNTRUSTED,
		    "%s: mode lets others in; chmod 0600 it", file);
	return 0;
}

int
registry_db_open(struct registry_db **out, const char *file,
    struct accounts *accounts, struct err *err)
{
	struct registry_db *db = calloc(1, sizeof(*db));

	*out = NULL;
	if (db == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the registry");
	db->accounts = accounts;
	if (open_file(db, file, err) != 0 || check_format(db, file, err) != 0)
		goto fail;
	if (sqlite3_exec(db->db, schema, NULL, NULL, NULL) != SQLITE_OK) {
		registry_db_fail(db, err, "schema");
		goto fail;
	}
	for (int q = 0; q < REGISTRY_QUERIES; q++) {
		if (sqlite3_prepare_v3(db->db, queries[q], -1,
			SQLITE_PREPARE_PERSISTENT, &db->stmt[q],
			NULL) != SQLITE_OK) {
			registry_db_fail(db, err, queries[q]);
			goto fail;
		}
	}
	*out = db;
	return 0;
fail:
	registry_db_close(db);
	return -1;
}

void
registry_db_close(struct registry_db *db)
{
	if (db == NULL)
		return;
	for (int q = 0; q < REGISTRY_QUERIES; q++)
		(void)sqlite3_finalize(db->stmt[q]);
	(void)sqlite3_close(db->db);
	free(db);
}
