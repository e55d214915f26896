#include "relay/registry.h"

#include "common/clock.h"
#include "common/log.h"
#include "relay/registry_db.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "relay.db"
#define BATCH_MAX 256 /* ops in one commit */

struct registry {
	struct registry_db *db; /* owned; the writer's */
	pthread_t writer;
	pthread_rwlock_t lock; /* the table */
	struct registry_table table;
	pthread_mutex_t queue_lock;
	pthread_cond_t more;
	STAILQ_HEAD(, registry_op) queue;
	bool ending;
};

struct registry_op *
registry_op_new(enum registry_verb verb, struct loop *home,
    void (*done)(struct registry_op *op, void *where))
{
	struct registry_op *op = calloc(1, sizeof(*op));

	if (op == NULL)
		return NULL;
	op->m.kind = MESSAGE_REGISTRY;
	op->verb = verb;
	op->home = home;
	op->done = done;
	return op;
}

void
registry_op_free(struct registry_op *op)
{
	if (op == NULL)
		return;
	if (op->table != NULL)
		registry_table_free(op->table);
	free(op->table);
	free(op->gone);
	free(op->text);
	free(op);
}

void
registry_op_home(struct registry_op *op, void *where)
{
	if (op->done != NULL)
		op->done(op, where);
	registry_op_free(op);
}

struct registry_keep
registry_keep_at(uint64_t now_ms)
{
	struct registry_keep keep = { .lines = REGISTRY_TRAIL_LINES_MAX };

	/* A clock that was never set must not turn these around. */
	if (now_ms > REGISTRY_TRAIL_KEEP_MS) {
		keep.tokens_ms = now_ms - REGISTRY_TOKEN_KEEP_MS;
		keep.trail_ms = now_ms - REGISTRY_TRAIL_KEEP_MS;
	}
	return keep;
}

struct registry_op *
registry_op_prune(struct loop *home)
{
	struct registry_op *op = registry_op_new(REGISTRY_PRUNE, home, NULL);

	if (op != NULL)
		op->keep = registry_keep_at(clock_wall_ms());
	return op;
}

void
registry_send(struct registry *r, struct registry_op *op)
{
	pthread_mutex_lock(&r->queue_lock);
	STAILQ_INSERT_TAIL(&r->queue, op, next);
	pthread_cond_signal(&r->more);
	pthread_mutex_unlock(&r->queue_lock);
}

/*
 * The writer.
 */

static int
put_claims(struct registry_table *t, const struct registry_op *op, bool of_key,
    struct err *err)
{
	struct registry_claim c = { .account = op->account,
		.of_key = of_key,
		.since_ms = op->key.since_ms };

	if (of_key)
		memcpy(c.key, op->key.key, sizeof(c.key));
	for (size_t i = 0; i < op->uuid_count; i++) {
		c.uuid = op->uuids[i];
		if (op->taken[i] &&
		    registry_table_put(t, REGISTRY_CLAIMS, &c, err) != 0)
			return -1;
	}
	return 0;
}

/* Without memory, whoever has it bound elsewhere is not told. */
static void
take_gone(void *arg, const void *row)
{
	const struct registry_claim *claim = row;
	struct registry_op *op = arg;
	struct registry_claim *more;

	if (claim->account != op->account || !claim->of_key)
		return;
	more = reallocarray(op->gone, op->gone_count + 1, sizeof(*more));
	if (more == NULL)
		return;
	op->gone = more;
	op->gone[op->gone_count++] = *claim;
}

/* What is on the disk now, into memory. */
static int
apply(struct registry_table *t, struct registry_op *op, struct err *err)
{
	struct registry_table old;

	switch (op->verb) {
	case REGISTRY_TENANT_ADD:
		return registry_table_put(
		    t, REGISTRY_TENANTS, &op->tenant, err);
	case REGISTRY_TENANT_REMOVE:
		registry_table_each(t, REGISTRY_CLAIMS, take_gone, op);
		registry_table_forget(t, op->account);
		return 0;
	case REGISTRY_TOKEN_ADD:
		return registry_table_put(t, REGISTRY_TOKENS, &op->token, err);
	case REGISTRY_TOKEN_REMOVE:
		registry_table_drop(t, REGISTRY_TOKENS, &op->token);
		return 0;
	case REGISTRY_ENROL:
		if (registry_table_put(t, REGISTRY_TOKENS, &op->token, err) !=
		    0)
			return -1;
		return registry_table_put(t, REGISTRY_KEYS, &op->key, err);
	case REGISTRY_KEY_ADD:
	case REGISTRY_KEY_REVOKE:
		return registry_table_put(t, REGISTRY_KEYS, &op->key, err);
	case REGISTRY_CLAIM_ADD:
		return put_claims(t, op, false, err);
	case REGISTRY_CLAIM_FIRST:
		return put_claims(t, op, true, err);
	case REGISTRY_CLAIM_RELEASE:
		for (size_t i = 0; i < op->uuid_count; i++) {
			struct registry_claim c = { .uuid = op->uuids[i] };

			registry_table_drop(t, REGISTRY_CLAIMS, &c);
		}
		return 0;
	case REGISTRY_PRUNE:
		registry_table_end_tokens(t, op->keep.tokens_ms);
		return 0;
	case REGISTRY_REREAD:
		old = *t;
		*t = *op->table;
		*op->table = old; /* freed with the op, not under the lock */
		return 0;
	default:
		return 0;
	}
}

/* All good ones of ${ops}, or none. */
static int
write_batch(struct registry *r, struct registry_op *const *ops, size_t count,
    struct err *err)
{
	uint64_t now = clock_wall_ms();

	if (registry_db_begin(r->db, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (registry_db_do(r->db, ops[i], now) != 0) {
			*err = ops[i]->err;
			registry_db_rollback(r->db);
			return -1;
		}
	}
	if (registry_db_commit(r->db, err) == 0)
		return 0;
	registry_db_rollback(r->db);
	return -1;
}

static void
serve_batch(struct registry *r, struct registry_op *const *ops, size_t count)
{
	struct err err;

	if (write_batch(r, ops, count, &err) != 0) {
		log_error(NULL, "%s", err.msg);
		for (size_t i = 0; i < count; i++) {
			ops[i]->err = err;
			memset(ops[i]->taken, 0, sizeof(ops[i]->taken));
		}
	}
	pthread_rwlock_wrlock(&r->lock);
	for (size_t i = 0; i < count; i++)
		if (ops[i]->err.code == ERR_NONE)
			apply(&r->table, ops[i], &ops[i]->err);
	pthread_rwlock_unlock(&r->lock);
	for (size_t i = 0; i < count; i++)
		loop_post(ops[i]->home, &ops[i]->m.mail);
}

static void *
run(void *arg)
{
	struct registry_op *ops[BATCH_MAX];
	struct registry *r = arg;
	size_t count;
	bool ending;

	do {
		pthread_mutex_lock(&r->queue_lock);
		while (STAILQ_EMPTY(&r->queue) && !r->ending)
			pthread_cond_wait(&r->more, &r->queue_lock);
		for (count = 0; count < BATCH_MAX &&
		     (ops[count] = STAILQ_FIRST(&r->queue)) != NULL;
		     count++)
			STAILQ_REMOVE_HEAD(&r->queue, next);
		ending = r->ending;
		pthread_mutex_unlock(&r->queue_lock);
		if (count > 0)
			serve_batch(r, ops, count);
	} while (count > 0 || !ending);
	return NULL;
}

int
registry_open(struct registry **out, const char *folder,
    struct accounts *accounts, struct err *err)
{
	struct registry *r = calloc(1, sizeof(*r));
	char file[4096 + sizeof(FILE_NAME) + 1] = "";
	struct registry_keep keep;
	sigset_t all, before;
	int rc;

	*out = NULL;
	if (r == NULL)
		return err_set(err, ERR_MEMORY, "no memory for the registry");
	pthread_rwlock_init(&r->lock, NULL);
	pthread_mutex_init(&r->queue_lock, NULL);
	pthread_cond_init(&r->more, NULL);
	STAILQ_INIT(&r->queue);
	if (folder[0] != '\0')
		snprintf(file, sizeof(file), "%s/%s", folder, FILE_NAME);
	keep = registry_keep_at(clock_wall_ms());
	if (registry_db_open(&r->db, file, accounts, err) != 0 ||
	    registry_db_prune(r->db, &keep, err) != 0 ||
	    registry_db_load(r->db, &r->table, err) != 0)
		goto fail;
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&r->writer, NULL, run, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		err_set(err, ERR_IO, "registry: %s", strerror(rc));
		goto fail;
	}
	*out = r;
	return 0;
fail:
	registry_db_close(r->db);
	registry_table_free(&r->table);
	free(r);
	return -1;
}

void
registry_close(struct registry *r)
{
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->queue_lock);
	r->ending = true;
	pthread_cond_signal(&r->more);
	pthread_mutex_unlock(&r->queue_lock);
	pthread_join(r->writer, NULL);
	registry_db_close(r->db);
	registry_table_free(&r->table);
	pthread_cond_destroy(&r->more);
	pthread_mutex_destroy(&r->queue_lock);
	pthread_rwlock_destroy(&r->lock);
	free(r);
}

/*
 * Looking up.
 */

static bool
find(struct registry *r, enum registry_set set, const void *want, void *out,
    size_t len)
{
	const void *row;

	pthread_rwlock_rdlock(&r->lock);
	row = registry_table_get(&r->table, set, want);
	if (row != NULL)
		memcpy(out, row, len);
	pthread_rwlock_unlock(&r->lock);
	return row != NULL;
}

bool
registry_find_tenant(
    struct registry *r, struct account *account, struct registry_tenant *out)
{
	struct registry_tenant want = { .account = account };

	return find(r, REGISTRY_TENANTS, &want, out, sizeof(*out));
}

bool
registry_find_key(struct registry *r, const uint8_t key[UUID_KEY_LEN],
    struct registry_key *out)
{
	struct registry_key want;

	memcpy(want.key, key, sizeof(want.key));
	return find(r, REGISTRY_KEYS, &want, out, sizeof(*out));
}

bool
registry_find_token(struct registry *r, enum registry_token_kind kind,
    const uint8_t hash[REGISTRY_HASH_LEN], uint64_t now_ms,
    struct registry_token *out)
{
	struct registry_token want;

	memcpy(want.hash, hash, sizeof(want.hash));
	return find(r, REGISTRY_TOKENS, &want, out, sizeof(*out)) &&
	    out->kind == kind &&
	    (out->expires_ms == 0 || out->expires_ms > now_ms);
}

bool
registry_find_claim(
    struct registry *r, const struct uuid *uuid, struct registry_claim *out)
{
	struct registry_claim want = { .uuid = *uuid };

	return find(r, REGISTRY_CLAIMS, &want, out, sizeof(*out));
}

void
registry_each(struct registry *r, enum registry_set set,
    void (*fn)(void *arg, const void *row), void *arg)
{
	pthread_rwlock_rdlock(&r->lock);
	registry_table_each(&r->table, set, fn, arg);
	pthread_rwlock_unlock(&r->lock);
}
