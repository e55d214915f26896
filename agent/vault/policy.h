#ifndef AGENT_VAULT_POLICY_H
#define AGENT_VAULT_POLICY_H

#include "agent/registration.h"
#include "agent/sev/sev.h"
#include "common/err.h"

/*
 * What the owner accepts: her registration against facts that AMD's
 * certificates or the session's MAC prove.  Pure.  Every refusal is
 * ERR_UNTRUSTED with words for the owner's log; the host sees none of them.
 */

/* Whom a registration trusts, decoded once. */
struct policy_trust;

/** policy_trust_new(out, r, err): lifetime: borrows the bytes of ${r}. */
int policy_trust_new(
    struct policy_trust **out, const struct registration *r, struct err *err);
void policy_trust_free(struct policy_trust *t);

/** policy_trust_id(t): SEV_SHA256_LEN bytes that name all it depends on. */
const uint8_t *policy_trust_id(const struct policy_trust *t);

/**
 * policy_chain(out, t, pdh, chain, cek, err):
 * Judge what a host showed.  ${cek} is a signed CEK besides the registered
 * ones, or NULL.  errors as sev_chain_verify(), or ERR_MALFORMED
 * with ${out}->failed SEV_CHECK_INCOMPLETE for blobs that are no chain
 */
int policy_chain(struct sev_verdict *out, const struct policy_trust *t,
    struct span pdh, struct span chain, const struct sev_cert *cek,
    struct err *err);

/** policy_cek_key(key, pdh, chain): fingerprint of the CEK that a host showed,
 * signed or not.  False: it showed none. */
bool policy_cek_key(
    uint8_t key[SEV_SHA256_LEN], struct span pdh, struct span chain);

/** policy_platform(r, verdict, err): generation, chip, and a platform rule. */
int policy_platform(const struct registration *r,
    const struct sev_verdict *verdict, struct err *err);

/** policy_time(r, wall_ms, err): is the VM's time now? */
int policy_time(const struct registration *r, int64_t wall_ms, struct err *err);

/* Fingerprints of CEK keys that nobody should trust any more (T2). */
struct policy_blocklist {
	uint8_t (*keys)[SEV_SHA256_LEN]; /* owned; free() */
	size_t count;
};

/** policy_blocked(list, verdict, err): the platform's CEK is not on ${list}. */
int policy_blocked(const struct policy_blocklist *list,
    const struct sev_verdict *verdict, struct err *err);

/** policy_blocked_point(list, pdh, chain, err): as policy_blocked(), of the CEK
 * that a host showed, by its point: the signed one that was judged in its place
 * may name another algorithm.  0 also if it showed none. */
int policy_blocked_point(const struct policy_blocklist *list, struct span pdh,
    struct span chain, struct err *err);

/** policy_build(r, build, err): at least the registered API and build. */
int policy_build(const struct registration *r, const struct sev_build *build,
    struct err *err);

/** policy_host(r, identity, err): is this host one of the registered ones? */
int policy_host(
    const struct registration *r, const char *identity, struct err *err);

/* What a host says of the guest it is about to start.  Never trusted: all it
 * can bring about is an early refusal. */
struct policy_hints {
	bool has_build;
	struct sev_build build;
	bool has_build_id; /* build.build_id was given too */
	uint32_t cpus;     /* 0: not told */
	bool has_firmware, has_kernel, has_initrd;
	uint8_t firmware[SEV_SHA256_LEN];
	uint8_t kernel[SEV_SHA256_LEN];
	uint8_t initrd[SEV_SHA256_LEN];
};

/** policy_hints(r, h, err): refuse early what cannot come to a match. */
int policy_hints(const struct registration *r, const struct policy_hints *h,
    struct err *err);

#endif
