#ifndef AGENT_VAULT_VAULT_IMPL_H
#define AGENT_VAULT_VAULT_IMPL_H

/* What the vault_*.c share; nobody else includes it. */

#include "agent/plain.h"
#include "agent/vault/bucket.h"
#include "agent/vault/move_seal.h"
#include "agent/vault/session.h"
#include "agent/vault/vault.h"

#define VAULT_MISMATCH_BURST 10 /* failing /validate per VM ... */
#define VAULT_MISMATCH_MS 6000  /* ... and minute (protocol.md 6) */
#define VAULT_REFUSED_BURST 60  /* refused /launch per VM ... */
#define VAULT_REFUSED_MS 1000   /* ... and minute */
#define VAULT_VERDICTS 64       /* judged chains that are remembered */
#define VAULT_CEK_RETRY_S 30
#define VAULT_FETCHED_MAX 64
#define VAULT_FETCHED_MS 600000      /* doubled each time ... */
#define VAULT_FETCHED_MAX_MS 3600000 /* ... up to this */
#define VAULT_EXPLAINS_MAX 8         /* misses that wait to be explained */
#define VAULT_EXPLAIN_KEYS_MAX 16    /* sessions tried for one, newest first */

struct vault_vm {
	struct registration *reg;
	struct policy_blocklist blocked;
	bool has_blocked; /* the list of reg->blocklist has come */
	struct policy_trust *trust;
	struct session *open;  /* newest first */
	struct session *ended; /* RELEASED, FROZEN and CLOSED, as they ended */
	size_t open_count;
	struct bucket mismatch;
	struct bucket refused;
	uint64_t released;        /* since registration */
	int64_t *release_wall_ms; /* the last of them, oldest first; owned */
	size_t release_count;
	bool disabled;
};

/* A CEK that the key server gave. */
struct vault_cek {
	uint8_t key[SEV_SHA256_LEN];      /* its fingerprint */
	uint8_t cpu_id[VAULT_CPU_ID_LEN]; /* by which; nothing proves it */
	uint8_t cert[SEV_CERT_LEN];
};

/* A chip for which one came of late: no other is asked for meanwhile. */
struct vault_fetched {
	uint8_t cpu_id[VAULT_CPU_ID_LEN];
	int64_t at_boot_ms;
	int64_t wait_ms; /* from then on; 0: unused */
};

struct vault_verdict {
	bool used;
	uint64_t last_use;
	uint8_t id[SEV_SHA256_LEN]; /* of trust, PDH and chain */
	struct sev_verdict verdict;
	struct err err; /* why not, if it failed */
};

/* A miss that the owner may want to know more of; vault_explain.c. */
struct vault_explain {
	struct uuid vm;
	char request_id[VAULT_ID_MAX + 1];
	struct sev_measure measure;
	struct sev_build build;
	struct {
		struct uuid session;
		uint8_t tik[SEV_TK_LEN];
		uint32_t policy;
	} keys[VAULT_EXPLAIN_KEYS_MAX];
	size_t key_count;
};

struct vault {
	struct store *store;
	struct times clock;
	const struct key *key; /* NULL: nothing is signed here */
	bool keep_tik;
	uint8_t boot_id[TIMES_BOOT_ID_LEN];
	int64_t life_ms;
	int64_t replay_ms;
	struct vault_vm **vms; /* owned, oldest first */
	size_t vm_count;
	struct session_table sessions;
	size_t live_count; /* sessions that are not CLOSED */
	struct vault_verdict verdicts[VAULT_VERDICTS];
	struct vault_cek *ceks; /* owned */
	size_t cek_count;
	struct vault_fetched fetched[VAULT_FETCHED_MAX];
	struct policy_blocklist blocked; /* for all VMs */
	struct vault_explain explains[VAULT_EXPLAINS_MAX];
	size_t explain_count;
	size_t explain_ready; /* of them: their answers have left */
	uint64_t uses;
	struct vault_ask asks[VAULT_ASKS_MAX];
	uint64_t asked; /* changes of them */
	bool failed;    /* the batch cannot be committed */
	struct err why; /* and this is why */
	bool erased;    /* keys were, and the write-ahead log has them still */
	struct store_audit *lines; /* of the batch, to echo; owned */
	size_t line_count, line_cap;
	void (*echo)(void *arg, const struct store_audit *row);
	void *echo_arg;
};

/** vault_load(v, err), vault_forget(v): all records into memory; out of it. */
int vault_load(struct vault *v, struct err *err);
void vault_forget(struct vault *v);

/** vault_put_disabled(v, vm): into the store. */
int vault_put_disabled(struct vault *v, const struct vault_vm *vm);

/** vault_load_disabled(v, vm, err): what vault_put_disabled() wrote. */
int vault_load_disabled(struct vault *v, struct vault_vm *vm, struct err *err);

/** vault_enabled(vm, err): errors ERR_UNTRUSTED */
int vault_enabled(const struct vault_vm *vm, struct err *err);

/** vault_take_table(out, v, vm, err): the secret table of ${vm}, which is in
 * memory for as long as a release takes, and no longer (T18). */
int vault_take_table(struct secret *out, struct vault *v,
    const struct vault_vm *vm, struct err *err);

/** vault_ask_fill(out, kind, vm, subject, asker, claims): but for facts. */
void vault_ask_fill(struct vault_ask *out, enum vault_ask_kind kind,
    const struct uuid *vm, struct span subject, const struct vault_asker *asker,
    const char *claims);

/** vault_ask(v, want): her word, or she is asked. */
enum vault_word vault_ask(struct vault *v, const struct vault_ask *want);

/** vault_ask_done(v, want): her word was for this once. */
void vault_ask_done(struct vault *v, const struct vault_ask *want);

/** vault_ask_forget(v, vm): ${vm} is no more: what was asked and said of it is
 * not for one that is registered later in its place. */
void vault_ask_forget(struct vault *v, const struct uuid *vm);

/** vault_keep_evidence(v, s, in, session): for the receipt of a release. */
int vault_keep_evidence(struct vault *v, const struct session *s,
    const struct vault_launch *in, const struct sev_session *session);

/** vault_evidence_blocked(v, s, list, err): -1: the CEK that ${s}, which is
 * open, began with is on ${list}; 0: it is not, or that cannot be told. */
int vault_evidence_blocked(struct vault *v, const struct session *s,
    const struct policy_blocklist *list, struct err *err);

/** vault_make_receipt(v, vm, s, in): behind the release's line of the log. */
int vault_make_receipt(struct vault *v, const struct vault_vm *vm,
    const struct session *s, const struct vault_validate *in);

/** vault_needs_word(vm, at): the owner wants to be asked at this point. */
bool vault_needs_word(
    const struct vault_vm *vm, enum registration_approve_at at);

/** vault_over_limit(v, vm): max-instances are released already. */
bool vault_over_limit(const struct vault *v, const struct vault_vm *vm);

/** vault_vm_find(v, id): NULL: none. */
struct vault_vm *vault_vm_find(const struct vault *v, const struct uuid *id);

/** vault_audit(v, vm, session, event, fmt, ...): one line of the owner's log,
 * in the transaction of the batch.  ${vm} and ${session} may be NULL. */
void vault_audit(struct vault *v, const struct uuid *vm,
    const struct uuid *session, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/** vault_fail(v, err): the batch is lost; the first reason is kept. */
void vault_fail(struct vault *v, const struct err *err);

/** vault_put_session(v, s): write its record. */
int vault_put_session(struct vault *v, const struct session *s);

/** vault_leave_open(vm, s): ${s} is not OPEN any more: to the other list. */
void vault_leave_open(struct vault_vm *vm, struct session *s);

/** vault_end_session(v, vm, s, why): CLOSED, keys and answers erased. */
void vault_end_session(struct vault *v, struct vault_vm *vm, struct session *s,
    const char *event, const char *why);

/** vault_expire(v, vm): end what has expired of one VM. */
void vault_expire(struct vault *v, struct vault_vm *vm);

/** vault_settle(v, vm, s): ${s} ends now if it should have ended already. */
void vault_settle(struct vault *v, struct vault_vm *vm, struct session *s);

/** vault_limit(v, vm, err): may one more guest be released now? */
int vault_limit(struct vault *v, struct vault_vm *vm, struct err *err);

/** vault_count_release(v, vm): one more guest. */
int vault_count_release(struct vault *v, struct vault_vm *vm);

/* The stored form of a VM's counts. */
#define VAULT_COUNTS_MAX (12 + 8 * REGISTRATION_COUNT_MAX)
void vault_write_counts(struct writer *w, const struct vault_vm *vm);

/** vault_read_counts(vm, in, err): the reverse.  errors ERR_MALFORMED,
 * ERR_MEMORY */
int vault_read_counts(struct vault_vm *vm, struct span in, struct err *err);

/** vault_put_counts(v, vm), vault_put_registration(v, r, err): into the
 * store. */
int vault_put_counts(struct vault *v, const struct vault_vm *vm);
int vault_put_registration(
    struct vault *v, const struct registration *r, struct err *err);

/** vault_check_free(v, r, err): room, and nobody has its UUID or its name.
 *   errors  ERR_LIMIT, ERR_CONFLICT */
int vault_check_free(
    const struct vault *v, const struct registration *r, struct err *err);

/** vault_drop(v, vm, err): end its sessions and forget all of it.  errors
 * ERR_IO; the caller says vault_fail() */
int vault_drop(struct vault *v, struct vault_vm *vm, struct err *err);

/** vault_move_private(out, v, err): the key to which others seal exports.
 *   errors  ERR_NOT_FOUND */
int vault_move_private(
    uint8_t out[MOVE_KEY_LEN], struct vault *v, struct err *err);

/** vault_load_counts(v, vm, err): what vault_count_release() wrote. */
int vault_load_counts(struct vault *v, struct vault_vm *vm, struct err *err);

/** vault_judge(v, vm, in, err): the verdict on the chain, cached. */
const struct sev_verdict *vault_judge(struct vault *v, struct vault_vm *vm,
    const struct vault_launch *in, struct err *err);

/** vault_explain_later(v, vm, named, in): the measurement of ${in} missed all
 * sessions of ${vm}, or ${named} alone; say why in a later batch. */
void vault_explain_later(struct vault *v, const struct vault_vm *vm,
    const struct session *named, const struct vault_validate *in);

/** vault_explain_ready(v): say it. */
void vault_explain_ready(struct vault *v);

/** vault_forget_explains(v): wipe. */
void vault_forget_explains(struct vault *v);

/** vault_cek_by_key(v, key): NULL: none. */
const struct vault_cek *vault_cek_by_key(
    const struct vault *v, const uint8_t key[SEV_SHA256_LEN]);

/** vault_cek_is_fresh(v, cpu_id): what the key server has for that chip came
 * so lately that it need not be asked again. */
bool vault_cek_is_fresh(
    const struct vault *v, const uint8_t cpu_id[VAULT_CPU_ID_LEN]);

/** vault_load_ceks(v, err), vault_load_blocked(v, err): from the store, once
 * the VMs are there. */
int vault_load_ceks(struct vault *v, struct err *err);
int vault_load_blocked(struct vault *v, struct err *err);

/** vault_forget_blocked(v, vm, err): with its VM, in the store, too. */
int vault_forget_blocked(
    struct vault *v, const struct uuid *vm, struct err *err);

/** vault_read_blocked(vm, in, err): the stored form of a VM's list.  errors
 * ERR_MALFORMED, ERR_LIMIT, ERR_MEMORY */
int vault_read_blocked(struct vault_vm *vm, struct span in, struct err *err);

/** vault_blocked(v, vm, verdict, err): is the platform's CEK on a list that
 * counts for ${vm}?  errors ERR_UNTRUSTED: it is, or the list is missing */
int vault_blocked(const struct vault *v, const struct vault_vm *vm,
    const struct sev_verdict *verdict, struct err *err);

/** vault_vm_free(vm): NULL is fine; sessions belong to the table. */
void vault_vm_free(struct vault_vm *vm);

/** vault_vm_new(out, reg, err): takes ${reg} in every case. */
int vault_vm_new(
    struct vault_vm **out, struct registration *reg, struct err *err);

/** vault_vm_add(v, vm, err): to the list.  errors ERR_LIMIT, ERR_MEMORY */
int vault_vm_add(struct vault *v, struct vault_vm *vm, struct err *err);

#endif
