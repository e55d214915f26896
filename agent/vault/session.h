#ifndef AGENT_VAULT_SESSION_H
#define AGENT_VAULT_SESSION_H

#include "agent/registration.h"
#include "agent/sev/sev.h"
#include "agent/times.h"
#include "common/err.h"
#include "common/secret.h"
#include "common/uuid.h"

/*
 * The life of launch sessions (docs/protocol.md 6), in memory:
 *
 *	OPEN --valid measurement--> RELEASED --replay window over--> CLOSED
 *	OPEN --expired, 5 bad tries with its id--> CLOSED
 *	RELEASED --another valid measurement--> FROZEN --window over--> CLOSED
 *
 * A CLOSED session has no keys; it is kept a while so that its id can be
 * answered with "closed" rather than "unknown".
 */

enum session_state {
	SESSION_OPEN = 1,
	SESSION_RELEASED = 2,
	SESSION_FROZEN = 3,
	SESSION_CLOSED = 4
};

struct session {
	struct uuid id;
	struct uuid vm;
	enum session_state state;
	uint8_t failures;        /* bad measurements that named it */
	uint8_t tik[SEV_TK_LEN]; /* zeros when CLOSED */
	uint8_t tek[SEV_TK_LEN]; /* zeros but when OPEN */
	uint32_t policy;
	int64_t since_boot_ms; /* of the last change of state */
	int64_t since_wall_ms;
	struct sev_measure measure;   /* RELEASED and FROZEN */
	bool has_key;                 /* an Idempotency-Key made it */
	uint8_t key[SEV_SHA256_LEN];  /* hash of that key */
	uint8_t body[SEV_SHA256_LEN]; /* hash of the request */

	struct session *next;      /* of the same VM, newest first */
	struct session *hash_next; /* of the table */
};

#define SESSION_BYTES_MAX 512

/** session_encode(w, s, boot_id): the stored form. */
void session_encode(struct writer *w, const struct session *s,
    const uint8_t boot_id[TIMES_BOOT_ID_LEN]);

/**
 * session_decode(out, in, clock, boot_id, err):
 * The reverse.  A session of another boot of the machine gets its age from
 * the wall clock; if that stands before the session began, its age cannot be
 * known, and it is given one that ends it.
 *   errors  ERR_MALFORMED
 */
int session_decode(struct session *out, struct span in,
    const struct times *clock, const uint8_t boot_id[TIMES_BOOT_ID_LEN],
    struct err *err);

/** session_close(s, now_boot_ms, now_wall_ms): erase the keys, CLOSED. */
void session_close(struct session *s, int64_t now_boot_ms, int64_t now_wall_ms);

/* All sessions, by id; owns them. */
struct session_table {
	struct session **bucket; /* owned, ${size} heads */
	size_t size;             /* a power of two */
	size_t count;
};

int session_table_init(struct session_table *t, struct err *err);

/** session_table_free(t): wipe and release every session. */
void session_table_free(struct session_table *t);

/** session_table_add(t, s, err): takes ${s}.  errors ERR_MEMORY */
int session_table_add(
    struct session_table *t, struct session *s, struct err *err);

struct session *session_table_find(
    const struct session_table *t, const struct uuid *id);

/** session_table_remove(t, s): unlink, wipe and release ${s}, which must be in
 * no list of a VM any more. */
void session_table_remove(struct session_table *t, struct session *s);

/**
 * session_match(list, only, state, r, measure, build, err):
 * The first session of ${list} (or ${list} alone, if ${only}) in ${state} for
 * which ${measure} is valid under one of the digests of ${r}, or NULL.  Every
 * candidate and digest is tried: the work tells nothing (T15).
 *   errors  NULL and ERR_UNSUPPORTED (API before 0.17) or ERR_INTERNAL
 */
struct session *session_match(struct session *list, bool only,
    enum session_state state, const struct registration *r,
    const struct sev_measure *measure, const struct sev_build *build,
    struct err *err);

#endif
