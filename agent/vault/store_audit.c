#include <stdlib.h>
#include <string.h>

#include "agent/sev/sev.h"
#include "agent/vault/store_impl.h"

#define AUDIT_BYTES_MAX                                                        \
	(STORE_HASH_LEN + 16 + 32 + 8 + STORE_EVENT_LEN_MAX +                  \
	    STORE_DETAIL_LEN_MAX)

int
store_audit_load(struct store *s, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	struct span hash;
	int rc = -1;

	if (sqlite3_prepare_v2(s->db,
		"SELECT seq,hash FROM audit ORDER BY seq DESC LIMIT 1", -1,
		&stmt, NULL) != SQLITE_OK) {
		(void)store_fail(s, err, "audit");
		goto out;
	}
	if (sqlite3_step(stmt) == SQLITE_ROW) {
		s->audit_seq = (uint64_t)sqlite3_column_int64(stmt, 0);
		hash = store_column(stmt, 1);
		if (hash.len == STORE_HASH_LEN)
			memcpy(s->audit_hash, hash.ptr, hash.len);
	}
	rc = 0;
out:
	(void)sqlite3_finalize(stmt);
	return rc;
}

/* hash = SHA-256(prev || seq || time || vm || session || event || detail). */
static int
audit_hash(
    uint8_t out[STORE_HASH_LEN], const struct store_audit *row, struct err *err)
{
	uint8_t bytes[AUDIT_BYTES_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct span event = span_str(row->event);
	struct span detail = span_str(row->detail);

	writer_put(&w, span_of(row->prev, STORE_HASH_LEN));
	writer_be64(&w, row->seq);
	writer_be64(&w, (uint64_t)row->wall_ms);
	writer_put(&w, span_of(row->vm.bytes, sizeof(row->vm.bytes)));
	writer_put(&w, span_of(row->session.bytes, sizeof(row->session.bytes)));
	writer_be32(&w, (uint32_t)event.len);
	writer_put(&w, event);
	writer_be32(&w, (uint32_t)detail.len);
	writer_put(&w, detail);
	if (!writer_ok(&w))
		return err_set(err, ERR_INTERNAL, "audit row too long");
	return sev_hash_sha256(out, writer_span(&w), err);
}

int
store_audit_add(struct store *s, struct store_audit *row, struct err *err)
{
	sqlite3_stmt *stmt = s->stmt[STORE_Q_AUDIT];

	if (!store_is_open(s))
		return err_set(err, ERR_INTERNAL, "audit: no transaction");
	s->dirty = true;
	row->seq = s->audit_seq + 1;
	memcpy(row->prev, s->audit_hash, STORE_HASH_LEN);
	if (audit_hash(row->hash, row, err) != 0)
		return -1;
	(void)sqlite3_bind_int64(stmt, 1, (int64_t)row->seq);
	(void)sqlite3_bind_int64(stmt, 2, row->wall_ms);
	(void)sqlite3_bind_blob(
	    stmt, 3, row->vm.bytes, sizeof(row->vm.bytes), SQLITE_STATIC);
	(void)sqlite3_bind_blob(stmt, 4, row->session.bytes,
	    sizeof(row->session.bytes), SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 5, row->event, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 6, row->detail, -1, SQLITE_STATIC);
	(void)sqlite3_bind_blob(
	    stmt, 7, row->prev, STORE_HASH_LEN, SQLITE_STATIC);
	(void)sqlite3_bind_blob(
	    stmt, 8, row->hash, STORE_HASH_LEN, SQLITE_STATIC);
	if (store_step(s, STORE_Q_AUDIT, err) != 0)
		return -1;
	s->audit_seq = row->seq;
	memcpy(s->audit_hash, row->hash, STORE_HASH_LEN);
	return 0;
}

static void
copy_bytes(void *out, size_t len, sqlite3_stmt *stmt, int at)
{
	struct span in = store_column(stmt, at);

	memset(out, 0, len);
	if (in.len == len)
		memcpy(out, in.ptr, len);
}

static void
copy_text(char *out, size_t cap, sqlite3_stmt *stmt, int at)
{
	const unsigned char *text = sqlite3_column_text(stmt, at);
	size_t len = (size_t)sqlite3_column_bytes(stmt, at);

	if (text == NULL || len >= cap)
		len = 0;
	if (len > 0)
		memcpy(out, text, len);
	out[len] = '\0';
}

static void
read_row(struct store_audit *row, sqlite3_stmt *stmt)
{
	row->seq = (uint64_t)sqlite3_column_int64(stmt, 0);
	row->wall_ms = sqlite3_column_int64(stmt, 1);
	copy_bytes(row->vm.bytes, sizeof(row->vm.bytes), stmt, 2);
	copy_bytes(row->session.bytes, sizeof(row->session.bytes), stmt, 3);
	copy_text(row->event, sizeof(row->event), stmt, 4);
	copy_text(row->detail, sizeof(row->detail), stmt, 5);
	copy_bytes(row->prev, STORE_HASH_LEN, stmt, 6);
	copy_bytes(row->hash, STORE_HASH_LEN, stmt, 7);
}

int
store_audit_each(struct store *s, uint64_t after, const struct uuid *vm,
    int (*fn)(void *arg, const struct store_audit *row), void *arg,
    struct err *err)
{
	struct store_audit row;
	sqlite3_stmt *stmt = NULL;
	int rc = -1;
	int got;

	if (sqlite3_prepare_v2(s->db,
		"SELECT * FROM audit WHERE seq>?1 AND (?2 IS NULL OR vm=?2) "
		"ORDER BY seq",
		-1, &stmt, NULL) != SQLITE_OK) {
		(void)store_fail(s, err, "audit");
		goto out;
	}
	(void)sqlite3_bind_int64(stmt, 1, (int64_t)after);
	if (vm != NULL)
		(void)sqlite3_bind_blob(
		    stmt, 2, vm->bytes, sizeof(vm->bytes), SQLITE_STATIC);
	while ((got = sqlite3_step(stmt)) == SQLITE_ROW) {
		read_row(&row, stmt);
		if (fn(arg, &row) != 0)
			break;
	}
	if (got != SQLITE_ROW && got != SQLITE_DONE) {
		(void)store_fail(s, err, "audit");
		goto out;
	}
	rc = 0;
out:
	(void)sqlite3_finalize(stmt);
	return rc;
}

/* seq:8 hash:32, sealed: a chain alone does not show that its end is gone.
 * Without the seal key it stays behind, and is caught up with later. */
static const uint8_t head_key = 1;

int
store_audit_seal(struct store *s, struct err *err)
{
	uint8_t bytes[8 + STORE_HASH_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (store_is_locked(s) || s->audit_seq == s->saved_seq)
		return 0;
	writer_be64(&w, s->audit_seq);
	writer_put(&w, span_of(s->audit_hash, sizeof(s->audit_hash)));
	return store_put(
	    s, STORE_HEAD, span_of(&head_key, 1), writer_span(&w), err);
}

/* What is noted. */
struct head {
	uint64_t seq; /* 0: nothing */
	uint8_t hash[STORE_HASH_LEN];
};

struct verify {
	struct head head;
	uint64_t seq;
	uint8_t prev[STORE_HASH_LEN];
	struct err err;
};

static int
verify_row(void *arg, const struct store_audit *row)
{
	struct verify *v = arg;
	uint8_t want[STORE_HASH_LEN];

	if (row->seq != v->seq + 1)
		return err_set(&v->err, ERR_UNTRUSTED,
		    "log: line %llu is missing",
		    (unsigned long long)v->seq + 1);
	if (audit_hash(want, row, &v->err) != 0)
		return -1;
	if (memcmp(row->prev, v->prev, sizeof(want)) != 0 ||
	    memcmp(row->hash, want, sizeof(want)) != 0)
		return err_set(&v->err, ERR_UNTRUSTED,
		    "log: line %llu was altered", (unsigned long long)row->seq);
	if (row->seq == v->head.seq &&
	    memcmp(row->hash, v->head.hash, sizeof(want)) != 0)
		return err_set(&v->err, ERR_UNTRUSTED,
		    "log: line %llu is not the one that the store has noted",
		    (unsigned long long)row->seq);
	v->seq = row->seq;
	memcpy(v->prev, row->hash, STORE_HASH_LEN);
	return 0;
}

static int
load_head(struct head *out, struct store *s, struct err *err)
{
	struct secret stored = { 0 };
	struct err why = { 0 };
	struct reader r;

	if (store_is_locked(s))
		return 0;
	if (store_get(&stored, s, STORE_HEAD, span_of(&head_key, 1), &why) !=
	    0) {
		if (why.code == ERR_NOT_FOUND) /* an older version's */
			return 0;
		return err_set(err, why.code, "%s", why.msg);
	}
	r = reader_of(secret_span(&stored));
	out->seq = reader_be64(&r);
	reader_copy(&r, out->hash, sizeof(out->hash));
	secret_free(&stored);
	return 0;
}

/* 1: the log has that line, 0: it has not. */
static int
has_line(struct store *s, const struct head *head, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int got;

	if (sqlite3_prepare_v2(s->db,
		"SELECT 1 FROM audit WHERE seq=?1 AND hash=?2", -1, &stmt,
		NULL) != SQLITE_OK)
		return store_fail(s, err, "audit");
	(void)sqlite3_bind_int64(stmt, 1, (int64_t)head->seq);
	(void)sqlite3_bind_blob(
	    stmt, 2, head->hash, sizeof(head->hash), SQLITE_STATIC);
	got = sqlite3_step(stmt);
	if (got != SQLITE_ROW && got != SQLITE_DONE)
		(void)store_fail(s, err, "audit");
	(void)sqlite3_finalize(stmt);
	if (got != SQLITE_ROW && got != SQLITE_DONE)
		return -1;
	return got == SQLITE_ROW ? 1 : 0;
}

int
store_audit_resume(struct store *s, struct err *err)
{
	struct head head = { 0 };
	int has;

	if (load_head(&head, s, err) != 0)
		return -1;
	if (head.seq == 0)
		return 0;
	has = has_line(s, &head, err);
	if (has != 0)
		return has < 0 ? -1 : 0;
	/* The next line would be noted in place of the one that is gone, and
	 * nothing would show any more. */
	if (s->audit_seq < head.seq)
		s->audit_seq = s->saved_seq = head.seq;
	memcpy(s->audit_hash, head.hash, STORE_HASH_LEN);
	memcpy(s->saved_hash, head.hash, STORE_HASH_LEN);
	return 0;
}

int
store_audit_verify(struct store *s, uint64_t *count, struct err *err)
{
	struct verify v = { 0 };

	if (load_head(&v.head, s, err) != 0 ||
	    store_audit_each(s, 0, NULL, verify_row, &v, err) != 0)
		return -1;
	*count = v.seq;
	if (v.err.code != ERR_NONE)
		return err_set(err, v.err.code, "%s", v.err.msg);
	if (v.seq < v.head.seq)
		return err_set(err, ERR_UNTRUSTED,
		    "log: it ends at line %llu, and line %llu was written: its "
		    "end was cut off",
		    (unsigned long long)v.seq, (unsigned long long)v.head.seq);
	return 0;
}

uint64_t
store_audit_last(const struct store *s)
{
	return s->audit_seq;
}
