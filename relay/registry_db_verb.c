#include "relay/registry_db_impl.h"

#include "common/hex.h"
#include "common/secret.h"

#include <stdlib.h>
#include <string.h>

/*
 * One function a verb.  It fills op->err and returns -1 to refuse; ERR_IO and
 * ERR_MEMORY mean that the file, not the wish, was at fault.
 */
typedef int verb_fn(
    struct registry_db *db, struct registry_op *op, int64_t now);

/* A row that may be there: 1, 0, or -1. */
#define FIND(db, q, out, read, ...)                                            \
	find_end(db, q, registry_db_ask(db, q, &op->err, __VA_ARGS__),         \
	    &op->err, read, out)

typedef int read_fn(
    void *out, struct registry_db *db, enum registry_query q, struct err *err);

static int
read_key(
    void *out, struct registry_db *db, enum registry_query q, struct err *err)
{
	return registry_db_key(out, db, q, err);
}

static int
read_token(
    void *out, struct registry_db *db, enum registry_query q, struct err *err)
{
	return registry_db_token(out, db, q, err);
}

static int
read_claim(
    void *out, struct registry_db *db, enum registry_query q, struct err *err)
{
	return registry_db_claim(out, db, q, err);
}

static int
find_end(struct registry_db *db, enum registry_query q, int got,
    struct err *err, read_fn *read, void *out)
{
	if (got == 1 && read(out, db, q, err) != 0)
		got = -1;
	registry_db_end(db, q);
	return got;
}

static int
tenant_add(struct registry_db *db, struct registry_op *op, int64_t now)
{
	struct registry_tenant *t = &op->tenant;
	const uint32_t *max = t->limits.max;

	t->since_ms = (uint64_t)now;
	/* Listed in memory: said by the caller; listed by another process: */
	if (registry_db_run(db, REGISTRY_Q_TENANT_PUT, &op->err, "tiiiiiiii",
		t->account->name, (int64_t)t->self_certifying,
		(int64_t)t->first_claim, (int64_t)max[ACCOUNT_TUNNELS],
		(int64_t)max[ACCOUNT_CLAIMS], (int64_t)max[ACCOUNT_STREAMS],
		(int64_t)t->limits.requests, (int64_t)t->limits.memory,
		now) == 0)
		return 0;
	if (sqlite3_errcode(db->db) != SQLITE_CONSTRAINT)
		return -1;
	return err_set(&op->err, ERR_CONFLICT, "tenant %s is there already",
	    t->account->name);
}

static int
tenant_remove(struct registry_db *db, struct registry_op *op, int64_t now)
{
	static const enum registry_query drops[] = {
		REGISTRY_Q_TENANT_KEYS_DROP, REGISTRY_Q_TENANT_TOKENS_DROP,
		REGISTRY_Q_TENANT_CLAIMS_DROP
	};
	const char *name = op->account->name;

	(void)now;
	if (registry_db_run(db, REGISTRY_Q_TENANT_DROP, &op->err, "t", name) !=
	    0)
		return -1;
	if (sqlite3_changes(db->db) == 0)
		return err_set(&op->err, ERR_NOT_FOUND,
		    "there is no tenant %s here", name);
	for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]); i++)
		if (registry_db_run(db, drops[i], &op->err, "t", name) != 0)
			return -1;
	return 0;
}

static int
token_add(struct registry_db *db, struct registry_op *op, int64_t now)
{
	struct registry_token *t = &op->token;

	t->since_ms = (uint64_t)now;
	if (registry_db_run(db, REGISTRY_Q_TOKEN_PUT, &op->err, "ktiiii",
		t->hash, t->account->name, (int64_t)t->kind, (int64_t)t->uses,
		(int64_t)t->expires_ms, now) != 0)
		return -1;
	t->id = (uint64_t)sqlite3_last_insert_rowid(db->db);
	return 0;
}

static int
token_remove(struct registry_db *db, struct registry_op *op, int64_t now)
{
	int64_t id = (int64_t)op->token.id;
	int got =
	    FIND(db, REGISTRY_Q_TOKEN_OF_ID, &op->token, read_token, "i", id);

	(void)now;
	if (got < 0)
		return -1;
	if (got == 0)
		return err_set(&op->err, ERR_NOT_FOUND,
		    "there is no token %lld", (long long)id);
	op->account = op->token.account;
	return registry_db_run(db, REGISTRY_Q_TOKEN_DROP, &op->err, "i", id);
}

static int
put_key(struct registry_db *db, struct registry_op *op)
{
	const struct registry_key *k = &op->key;

	return registry_db_run(db, REGISTRY_Q_KEY_PUT, &op->err, "ktiii",
	    k->key, k->account->name, (int64_t)k->token, (int64_t)k->since_ms,
	    (int64_t)k->revoked_ms);
}

/*
 * docs/protocol.md 12.3.  The token goes down by one in the transaction that
 * makes the key known.  Who asks again with both, since the answer was lost,
 * is told yes again; no other known key is.
 */
static int
enrol(struct registry_db *db, struct registry_op *op, int64_t now)
{
	struct registry_token *t = &op->token;
	struct registry_key known;
	int got =
	    FIND(db, REGISTRY_Q_TOKEN_OF_HASH, t, read_token, "k", t->hash);

	if (got < 0)
		return -1;
	if (got == 0 || t->kind != REGISTRY_TOKEN_ENROL)
		return err_set(&op->err, ERR_UNTRUSTED, "unknown token");
	op->account = t->account;
	if (t->expires_ms != 0 && (int64_t)t->expires_ms <= now)
		return err_set(&op->err, ERR_UNTRUSTED, "token %llu is over",
		    (unsigned long long)t->id);
	got = FIND(db, REGISTRY_Q_KEY_OF, &known, read_key, "k", op->key.key);
	if (got < 0)
		return -1;
	if (got == 1) {
		if (known.token == t->id && known.account == t->account &&
		    known.revoked_ms == 0) {
			op->key = known;
			op->who[0] = '\0'; /* nothing new for the trail */
			return 0;
		}
		return err_set(&op->err, ERR_UNTRUSTED,
		    "token %llu, but the key is known already%s",
		    (unsigned long long)t->id,
		    known.revoked_ms != 0 ? ", and revoked" : "");
	}
	if (t->uses == 0)
		return err_set(&op->err, ERR_UNTRUSTED,
		    "token %llu was used before", (unsigned long long)t->id);
	t->uses--;
	op->key.account = t->account;
	op->key.token = t->id;
	op->key.since_ms = (uint64_t)now;
	op->key.revoked_ms = 0;
	if (registry_db_run(
		db, REGISTRY_Q_TOKEN_USE, &op->err, "i", (int64_t)t->id) != 0)
		return -1;
	return put_key(db, op);
}

static int
key_add(struct registry_db *db, struct registry_op *op, int64_t now)
{
	struct registry_key known;
	int got =
	    FIND(db, REGISTRY_Q_KEY_OF, &known, read_key, "k", op->key.key);

	if (got < 0)
		return -1;
	if (got == 1 &&
	    (known.revoked_ms == 0 || known.account != op->key.account))
		return err_set(&op->err, ERR_CONFLICT,
		    "the key is known already, for tenant %s%s",
		    known.account->name,
		    known.revoked_ms != 0 ? ", and revoked" : "");
	op->key.token = 0;
	op->key.since_ms = (uint64_t)now;
	op->key.revoked_ms = 0;
	return put_key(db, op);
}

/* A key of the configuration gets a row too: its own would come to life with
 * the next start. */
static int
key_revoke(struct registry_db *db, struct registry_op *op, int64_t now)
{
	struct registry_key known;
	int got =
	    FIND(db, REGISTRY_Q_KEY_OF, &known, read_key, "k", op->key.key);

	if (got < 0)
		return -1;
	if (got == 1)
		op->key = known;
	else if (op->key.account == NULL)
		return err_set(&op->err, ERR_NOT_FOUND, "the key is not known");
	else
		op->key.since_ms = (uint64_t)now;
	op->account = op->key.account;
	if (op->key.revoked_ms == 0)
		op->key.revoked_ms = (uint64_t)now;
	return put_key(db, op);
}

static int
put_claim(struct registry_db *db, struct registry_op *op, size_t at,
    const uint8_t *key, int64_t now)
{
	op->taken[at] = true;
	return registry_db_run(db, REGISTRY_Q_CLAIM_PUT, &op->err,
	    key != NULL ? "utki" : "utni", op->uuids[at].bytes,
	    op->account->name, key, now);
}

static int
claim_add(struct registry_db *db, struct registry_op *op, int64_t now)
{
	char text[UUID_TEXT_LEN + 1];
	struct registry_claim known;

	op->key.since_ms = (uint64_t)now;
	for (size_t i = 0; i < op->uuid_count; i++) {
		int got = FIND(db, REGISTRY_Q_CLAIM_OF, &known, read_claim, "u",
		    op->uuids[i].bytes);

		if (got < 0)
			return -1;
		if (got == 1)
			return err_set(&op->err, ERR_CONFLICT,
			    "%s is tenant %s's%s",
			    uuid_format(text, &op->uuids[i]),
			    known.account->name,
			    known.of_key ? ", claimed first by its key" : "");
		if (put_claim(db, op, i, NULL, now) != 0)
			return -1;
	}
	return 0;
}

static int
count_claims(struct registry_db *db, struct registry_op *op, int64_t *out)
{
	enum registry_query q = REGISTRY_Q_CLAIM_COUNT;

	if (registry_db_ask(db, q, &op->err, "t", op->account->name) != 1)
		return -1;
	*out = sqlite3_column_int64(db->stmt[q], 0);
	registry_db_end(db, q);
	return 0;
}

static int
claim_first(struct registry_db *db, struct registry_op *op, int64_t now)
{
	struct registry_claim known;
	int64_t count;

	op->key.since_ms = (uint64_t)now;
	if (count_claims(db, op, &count) != 0)
		return -1;
	for (size_t i = 0; i < op->uuid_count; i++) {
		int got = FIND(db, REGISTRY_Q_CLAIM_OF, &known, read_claim, "u",
		    op->uuids[i].bytes);

		if (got < 0)
			return -1;
		if (got == 1) {
			/* Made by a relay before us, or twice in one CLAIM. */
			op->taken[i] = known.of_key &&
			    known.account == op->account &&
			    memcmp(known.key, op->key.key, sizeof(known.key)) ==
				0;
			continue;
		}
		if (count++ >= op->limit)
			continue;
		if (put_claim(db, op, i, op->key.key, now) != 0)
			return -1;
	}
	return 0;
}

static int
claim_release(struct registry_db *db, struct registry_op *op, int64_t now)
{
	char text[UUID_TEXT_LEN + 1];

	(void)now;
	for (size_t i = 0; i < op->uuid_count; i++) {
		if (registry_db_run(db, REGISTRY_Q_CLAIM_DROP, &op->err, "u",
			op->uuids[i].bytes) != 0)
			return -1;
		if (sqlite3_changes(db->db) == 0)
			return err_set(&op->err, ERR_NOT_FOUND,
			    "%s is nobody's here",
			    uuid_format(text, &op->uuids[i]));
	}
	return 0;
}

static int
note(struct registry_db *db, struct registry_op *op, int64_t now)
{
	(void)db;
	(void)op;
	(void)now;
	return 0; /* the line of the trail is all */
}

static int
trail(struct registry_db *db, struct registry_op *op, int64_t now)
{
	enum registry_query q = REGISTRY_Q_TRAIL;
	const unsigned char *text;

	(void)now;
	if (registry_db_ask(db, q, &op->err, "i", (int64_t)op->limit) != 1)
		return -1;
	text = sqlite3_column_text(db->stmt[q], 0);
	op->text = text != NULL ? strdup((const char *)text) : NULL;
	registry_db_end(db, q);
	if (op->text == NULL)
		return err_set(&op->err, ERR_MEMORY, "no memory for a trail");
	return 0;
}

static int
prune(struct registry_db *db, struct registry_op *op, int64_t now)
{
	(void)now;
	return registry_db_prune(db, &op->keep, &op->err);
}

/* Within the transaction: what the other writes behind it is its to tell. */
static int
reread(struct registry_db *db, struct registry_op *op, int64_t now)
{
	(void)now;
	op->table = calloc(1, sizeof(*op->table));
	if (op->table == NULL)
		return err_set(
		    &op->err, ERR_MEMORY, "no memory for the registry");
	return registry_db_load(db, op->table, &op->err);
}

static verb_fn *const verbs[REGISTRY_VERBS] = {
	[REGISTRY_TENANT_ADD] = tenant_add,
	[REGISTRY_TENANT_REMOVE] = tenant_remove,
	[REGISTRY_TOKEN_ADD] = token_add,
	[REGISTRY_TOKEN_REMOVE] = token_remove,
	[REGISTRY_ENROL] = enrol,
	[REGISTRY_KEY_ADD] = key_add,
	[REGISTRY_KEY_REVOKE] = key_revoke,
	[REGISTRY_CLAIM_ADD] = claim_add,
	[REGISTRY_CLAIM_FIRST] = claim_first,
	[REGISTRY_CLAIM_RELEASE] = claim_release,
	[REGISTRY_NOTE] = note,
	[REGISTRY_TRAIL] = trail,
	[REGISTRY_PRUNE] = prune,
	[REGISTRY_REREAD] = reread,
};

/* Who wished for it saw the tenant; another wish may have removed it since, and
 * what comes behind that must not wait for the next one of that name. */
static int
check_tenant(struct registry_db *db, struct registry_op *op)
{
	enum registry_query q = REGISTRY_Q_TENANT_OF;
	int got;

	if (!op->listed)
		return 0;
	got = registry_db_ask(db, q, &op->err, "t", op->account->name);
	registry_db_end(db, q);
	if (got == 0)
		err_set(&op->err, ERR_NOT_FOUND, "tenant %s was removed",
		    op->account->name);
	return got == 1 ? 0 : -1;
}

static int
put_trail(struct registry_db *db, struct registry_op *op, int64_t now)
{
	if (op->who[0] == '\0')
		return 0;
	return registry_db_run(
	    db, REGISTRY_Q_TRAIL_PUT, &op->err, "itt", now, op->who, op->what);
}

int
registry_db_do(struct registry_db *db, struct registry_op *op, uint64_t now_ms)
{
	struct err ignored;

	op->err = (struct err){ .code = ERR_NONE };
	if (registry_db_run(db, REGISTRY_Q_SAVE, &op->err, "") != 0)
		return -1;
	if (check_tenant(db, op) == 0 &&
	    verbs[op->verb](db, op, (int64_t)now_ms) == 0 &&
	    put_trail(db, op, (int64_t)now_ms) == 0)
		return registry_db_run(
		    db, REGISTRY_Q_FORGET_SAVE, &op->err, "");
	memset(op->taken, 0, sizeof(op->taken));
	if (op->err.code == ERR_IO || op->err.code == ERR_MEMORY)
		return -1;
	if (registry_db_run(db, REGISTRY_Q_BACK, &ignored, "") != 0 ||
	    registry_db_run(db, REGISTRY_Q_FORGET_SAVE, &ignored, "") != 0) {
		op->err = ignored;
		return -1;
	}
	return 0;
}
