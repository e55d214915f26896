#ifndef AGENT_VAULT_VAULT_H
#define AGENT_VAULT_VAULT_H

#include "agent/key.h"
#include "agent/registration.h"
#include "agent/sev/sev.h"
#include "agent/state.h"
#include "agent/times.h"
#include "agent/vault/policy.h"
#include "agent/vault/store.h"
#include "common/err.h"
#include "common/uuid.h"

/*
 * The door to everything secret.  Behind it: registrations with their secret
 * tables, sessions with TIK and TEK, the audit log, and the SEV code that
 * judges what hosts send.  Through it: the plain-data messages below, without
 * pointers to anything behind; no JSON, no HTTP, no socket.  The calls run in
 * the agent's own process, and are shaped to become messages between two.
 *
 *	vault_begin();  vault_launch() ... vault_validate() ...;  vault_commit()
 *
 * Answers count only once vault_commit() returned 0: then the records, and the
 * audit lines in the same transaction, are on the disk.  If it fails, every
 * answer of the batch is void and the sender says VAULT_STORAGE.
 *
 * Not thread-safe: one thread at a time.
 */
struct vault;

#define VAULT_OPEN_MAX 256         /* open sessions of a VM (protocol.md 6) */
#define VAULT_SESSIONS_MAX 262144  /* of all VMs, not counting closed ones */
#define VAULT_TOMBS_MAX 1024       /* closed sessions of a VM, newest kept */
#define VAULT_FAILURES_MAX 5       /* bad tries with a session's id */
#define VAULT_LIFE_MS 600000       /* /launch to /validate */
#define VAULT_REPLAY_MS 900000     /* stored answer after a release */
#define VAULT_REMEMBER_MS 86400000 /* ids of closed sessions */
#define VAULT_VMS_MAX 4096         /* claims of one tunnel (protocol.md 12.5) */
#define VAULT_ID_MAX 64            /* request id, Idempotency-Key */
#define VAULT_HOST_TEXT_MAX 256
#define VAULT_CPU_ID_LEN 64    /* a chip id (AMD 55766 5.12, GET_ID) */
#define VAULT_CEKS_MAX 4096    /* fetched ones that are kept */
#define VAULT_BLOCKED_MAX 4096 /* entries of a CEK block-list */
#define VAULT_FETCH_RETRY_S 5  /* while a CEK is on its way */

enum vault_outcome {
	VAULT_OK = 0,
	VAULT_NOT_MINE,     /* no such VM here, or another agent's guest */
	VAULT_REFUSED,      /* platform, policy or limits; the log has it */
	VAULT_MISMATCH,     /* no session and digest fit the measurement */
	VAULT_BLOB_REUSED,  /* a second guest with one launch blob */
	VAULT_CLOSED,       /* the named session has ended */
	VAULT_RATE_LIMITED, /* too many failures of late */
	VAULT_TOO_MANY_OPEN,
	VAULT_IDEM_MISMATCH, /* one Idempotency-Key, two requests */
	VAULT_NO_CEK,        /* the CEK lacks AMD's signature */
	VAULT_PENDING,       /* the owner is being asked */
	VAULT_IN_PROGRESS,   /* one with this Idempotency-Key waits already */
	VAULT_STORAGE,       /* nothing was done: the disk failed */
	VAULT_INTERNAL,      /* nothing was done: our own fault */
	VAULT_OUTCOMES
};

/* Who asks; for the log, and for the owner's list of hosts. */
struct vault_asker {
	char request_id[VAULT_ID_MAX + 1];
	char identity[REGISTRATION_HOST_LEN_MAX + 1]; /* by the relay */
};

struct vault_launch {
	struct uuid vm;
	struct vault_asker asker;
	uint8_t pdh[SEV_CERT_LEN];
	uint8_t chain[SEV_CHAIN_LEN_MAX];
	size_t chain_len;
	bool has_cpu_id; /* by which to fetch the signed CEK; proves nothing */
	uint8_t cpu_id[VAULT_CPU_ID_LEN];
	bool has_policy;
	uint32_t policy;
	bool wants_es; /* the host asked for scheme amd-sev-es */
	struct policy_hints hints;
	char host_claims[3 * VAULT_HOST_TEXT_MAX]; /* "name tool version" */
	bool has_key;                              /* an Idempotency-Key */
	uint8_t key[SEV_SHA256_LEN];               /* its hash */
	uint8_t body[SEV_SHA256_LEN];              /* hash of the request */
};

struct vault_launch_answer {
	enum vault_outcome outcome;
	uint32_t retry_after_s; /* not 0 if waiting helps */
	bool wants_cek; /* VAULT_NO_CEK: fetch that of in->cpu_id, please */
	struct uuid session_id;
	struct sev_session session; /* owner-cert and launch blob */
	uint32_t policy;
	uint32_t expires_in_s;
	uint32_t scheme; /* enum registration_scheme */
	bool kernel_hashes;
};

struct vault_validate {
	struct uuid vm;
	struct vault_asker asker;
	struct sev_measure measure;
	struct sev_build build;
	bool has_policy;
	uint32_t policy;
	bool has_session_id;
	struct uuid session_id;
};

struct vault_validate_answer {
	enum vault_outcome outcome;
	uint32_t retry_after_s;
	struct uuid session_id;
	bool inject; /* false: there is no secret, just start the guest */
	uint8_t header[SEV_SECRET_HEADER_LEN];
	uint8_t payload[SEV_SECRET_AREA_MAX];
	size_t payload_len;
	bool has_address;
	uint64_t address;
};

/* What the owner may see of a VM; nothing secret. */
struct vault_vm_info {
	struct uuid vm;
	char name[REGISTRATION_NAME_MAX + 1];
	char label[REGISTRATION_NAME_MAX + 1];
	bool shared;
	uint32_t rank;
	int64_t created_ms;
	uint32_t scheme;
	uint32_t policy;
	size_t digest_count;
	struct registration_digest digests[REGISTRATION_DIGESTS_MAX];
	bool kernel_hashes;
	bool disabled;
	uint32_t approve, approve_at;
	uint32_t cpus[REGISTRATION_CPUS_MAX];
	size_t cpu_count;
	bool any_platform;
	uint32_t deny_generations;
	size_t cloud_count;
	uint8_t clouds[REGISTRATION_CERTS_MAX][SEV_SHA256_LEN];
	size_t cek_count;
	size_t root_count;
	size_t chip_allow_count;
	uint8_t chip_allow[REGISTRATION_CHIPS_MAX][SEV_SHA256_LEN];
	size_t chip_deny_count;
	char blocklist[REGISTRATION_PATH_MAX + 1];
	struct sev_build min;
	int64_t from_ms, until_ms; /* 0: no bound */
	uint32_t max_instances;
	uint64_t per_s;
	uint32_t then;
	size_t host_count;
	struct registration_host hosts[REGISTRATION_HOSTS_MAX];
	uint32_t secret_count;
	bool has_address;
	uint64_t address;
	uint64_t released;     /* since registration */
	size_t open_count;     /* sessions now */
	size_t answered_count; /* released ones within their replay window */
};

struct vault_options {
	struct times clock;
	const struct key *key; /* borrowed; signs exports; may be NULL */
	/* Told each audit line, after it is on the disk; may be NULL. */
	void (*echo)(void *arg, const struct store_audit *row);
	void *echo_arg;
	bool keep_tik;     /* in receipts, sealed */
	int64_t life_ms;   /* 0: VAULT_LIFE_MS */
	int64_t replay_ms; /* 0: VAULT_REPLAY_MS */
};

/**
 * vault_open(out, state, options, err):
 * Open the store of ${state}, whose lock must be held, and load it all.
 *   errors  those of store_open()
 */
int vault_open(struct vault **out, const struct state *state,
    const struct vault_options *options, struct err *err);

void vault_close(struct vault *v);

/** vault_begin(v, err): errors ERR_IO: say VAULT_STORAGE to all */
int vault_begin(struct vault *v, struct err *err);

/**
 * vault_commit(v, err):
 *   returns  0: every answer since vault_begin() may leave
 *   errors   ERR_IO: none may; nothing of the batch has happened
 */
int vault_commit(struct vault *v, struct err *err);

/** vault_launch(out, v, in): docs/protocol.md 4. */
void vault_launch(struct vault_launch_answer *out, struct vault *v,
    const struct vault_launch *in);

/** vault_validate(out, v, in): docs/protocol.md 5 and 6. */
void vault_validate(struct vault_validate_answer *out, struct vault *v,
    const struct vault_validate *in);

/**
 * vault_put_cek(v, cpu_id, cert, err):
 * What AMD's key server gave for ${cpu_id} (VAULT_CPU_ID_LEN bytes).  Kept for
 * good, and used for every chain whose CEK has its key, once it verifies
 * under AMD's ASKs or a registered root.  Anybody may call: only AMD's
 * signature counts.
 *   errors  ERR_UNTRUSTED, ERR_MALFORMED: the server lies; ERR_CLOSED: it is
 *           locked; ERR_LIMIT; ERR_IO
 */
int vault_put_cek(struct vault *v, const uint8_t cpu_id[VAULT_CPU_ID_LEN],
    struct span cert, struct err *err);

/**
 * vault_set_blocked(v, vm, keys, err):
 * The CEK block-list of one VM, or of all (${vm} NULL), from now on: CEK
 * fingerprints of SEV_SHA256_LEN bytes each.  It is kept across restarts.
 * Open sessions of chips that are on it end.
 *   errors  ERR_MALFORMED, ERR_LIMIT, ERR_NOT_FOUND: no such VM; ERR_CLOSED: it
 *           is locked, give it again once it is not; ERR_IO
 */
int vault_set_blocked(
    struct vault *v, const struct uuid *vm, struct span keys, struct err *err);

/** vault_blocked_count(v): entries of the list for all VMs. */
size_t vault_blocked_count(const struct vault *v);

/*
 * What the owner is asked before it happens.  The first part is what the
 * vault knows to be so; what a host says of itself stays apart from it.
 */
enum vault_ask_kind { ASK_LAUNCH, ASK_RELEASE, ASK_LIMIT };
enum vault_word { VAULT_WORD_NONE, VAULT_WORD_YES, VAULT_WORD_NO };

#define VAULT_ASKS_MAX 64
#define VAULT_ASKS_OF_VM_MAX 8
#define VAULT_ASK_MS 600000 /* a question, and the answer to it, hold so long */
#define VAULT_FACTS_MAX 320

struct vault_ask {
	uint64_t id; /* 0: none */
	enum vault_ask_kind kind;
	enum vault_word word;
	struct uuid vm;
	/* CEK's key, or SHA-256 of session id, measurement and build */
	uint8_t subject[SEV_SHA256_LEN];
	int64_t since_ms;            /* boot time, of the last change */
	char facts[VAULT_FACTS_MAX]; /* verified */
	char asker[VAULT_ID_MAX + REGISTRATION_HOST_LEN_MAX + 16];
	char claims[3 * VAULT_HOST_TEXT_MAX]; /* of the host */
};

/** vault_asks(out, v): those that wait for a word, VAULT_ASKS_MAX at most. */
size_t vault_asks(struct vault_ask *out, struct vault *v);

/** vault_answer(v, id, yes, err): her word.  errors ERR_NOT_FOUND: no such
 * question, or too late; ERR_CONFLICT: she has said it already */
int vault_answer(struct vault *v, uint64_t id, bool yes, struct err *err);

/** vault_asked(v): another number after each question and each answer, and when
 * a session or a VM is there no more to be asked of. */
uint64_t vault_asked(const struct vault *v);

const char *vault_ask_kind_name(enum vault_ask_kind kind);

/** vault_is_locked(v): no VM is known until vault_unlock(). */
bool vault_is_locked(const struct vault *v);

/** vault_lock(v): forget the seal key and all it opens; sessions go on after
 * vault_unlock(). */
void vault_lock(struct vault *v);

/** vault_unlock(v, key, err): errors ERR_CONFLICT: it is not locked;
 * ERR_UNTRUSTED: not the key of this store; those of store_each() */
int vault_unlock(struct vault *v, struct span key, struct err *err);

/** vault_set_disabled(v, vm, disabled, err): errors ERR_NOT_FOUND, ERR_IO */
int vault_set_disabled(
    struct vault *v, const struct uuid *vm, bool disabled, struct err *err);

/** vault_is_due(v): vault_sweep() would have something to do. */
bool vault_is_due(const struct vault *v);

/** vault_sweep(v): end what has expired, and tell the owner why measurements
 * missed whose answers have left.  In a batch, every few seconds. */
void vault_sweep(struct vault *v);

/** vault_erase_traces(v): between batches, again and again: keys out of the
 * write-ahead log, if sessions ended since that was done. */
void vault_erase_traces(struct vault *v);

/**
 * vault_register(v, r, err): takes ${r} in every case.
 *   errors  ERR_CONFLICT: UUID or name in use, or handed over to another
 *           agent; ERR_LIMIT; ERR_IO; those of registration_check()
 */
int vault_register(struct vault *v, struct registration *r, struct err *err);

/**
 * vault_cancel(v, session, err):
 * End a session that was not released: its keys are erased, and its guest
 * gets nothing (docs/protocol.md 6).
 *   errors  ERR_NOT_FOUND: no such session; ERR_CONFLICT: it is not open
 */
int vault_cancel(struct vault *v, const struct uuid *session, struct err *err);

/** vault_remove(v, vm, err): with all its sessions.  errors ERR_NOT_FOUND */
int vault_remove(struct vault *v, const struct uuid *vm, struct err *err);

/**
 * vault_find(out, v, word, err):
 * The VM of a name, a UUID, or the head (4 digits or more) of one UUID only.
 *   errors  ERR_NOT_FOUND; ERR_CONFLICT: several begin so
 */
int vault_find(
    struct uuid *out, const struct vault *v, const char *word, struct err *err);

/** vault_count(v); vault_info(out, v, i): the ${i}th VM, oldest first. */
size_t vault_count(const struct vault *v);
void vault_info(struct vault_vm_info *out, const struct vault *v, size_t i);

/** vault_info_of(out, v, vm, err): errors ERR_NOT_FOUND */
int vault_info_of(struct vault_vm_info *out, const struct vault *v,
    const struct uuid *vm, struct err *err);

/** vault_log(v, after, vm, fn, arg, err): as store_audit_each(). */
int vault_log(struct vault *v, uint64_t after, const struct uuid *vm,
    int (*fn)(void *arg, const struct store_audit *row), void *arg,
    struct err *err);

/** vault_log_verify(v, count, err): as store_audit_verify(). */
int vault_log_verify(struct vault *v, uint64_t *count, struct err *err);

/** vault_log_last(v): number of the newest line. */
uint64_t vault_log_last(const struct vault *v);

/** vault_key_format(out, v): the agent's public key, key_format(). */
char *vault_key_format(char out[KEY_TEXT_LEN], const struct vault *v);

/** vault_outcome_name(o): "refused" and so on, for logs. */
const char *vault_outcome_name(enum vault_outcome o);

#endif
