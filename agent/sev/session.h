#ifndef AGENT_SEV_SESSION_H
#define AGENT_SEV_SESSION_H

#include "agent/sev/cert.h"

#define SEV_TK_LEN 16 /* TEK and TIK */
#define SEV_NONCE_LEN 16
#define SEV_IV_LEN 16
#define SEV_P384_LEN 48
#define SEV_SESSION_LEN 128
#define SEV_WRAP_TK_LEN (2 * SEV_TK_LEN)
#define SEV_KDF_LABEL_MASTER "sev-master-secret"
#define SEV_KDF_LABEL_KEK "sev-kek"
#define SEV_KDF_LABEL_KIK "sev-kik"

/*
 * All the randomness of one launch: fill every byte from a secure generator,
 * fresh for each launch, and wipe it.  Only ${tek} and ${tik} are worth keeping.
 */
struct sev_session_seed {
	uint8_t godh[SEV_P384_LEN]; /* private scalar, big-endian */
	uint8_t tek[SEV_TK_LEN];    /* transport encryption key */
	uint8_t tik[SEV_TK_LEN];    /* transport integrity key */
	uint8_t nonce[SEV_NONCE_LEN];
	uint8_t wrap_iv[SEV_IV_LEN];
};

/* What the host gets; nothing of it is secret. */
struct sev_session {
	uint8_t godh_cert[SEV_CERT_LEN]; /* "owner-cert", dh-cert-file */
	uint8_t blob[SEV_SESSION_LEN];   /* "session", session-file */
};

/* Keys between the shared point and the session; secret, wipe them. */
struct sev_session_keys {
	uint8_t master[16];
	uint8_t kek[16];
	uint8_t kik[16];
};

/**
 * sev_session_make(out, pdh, policy, seed, err):
 * The owner's half of LAUNCH_START for the platform behind ${pdh}.
 *   shapes  ${policy} is opaque: all 32 bits are MACed as they are
 *   errors  ERR_MALFORMED: ${pdh} is no P-384 ECDH key; ERR_USAGE:
 *           ${seed}->godh is not in 1..n-1 (2^-190: draw again);
 *           ERR_INTERNAL.  ${out} is then zeros
 *   source  55766 2.2.2 and 6.2
 * Says nothing of trust in ${pdh}: that is sev_chain_verify(), before.
 */
int sev_session_make(struct sev_session *out, const struct sev_cert *pdh,
    uint32_t policy, const struct sev_session_seed *seed, struct err *err);

/* The steps of sev_session_make(), each with known answers of its own. */

/**
 * sev_session_kdf(out, out_len, key, label, context, err):
 * NIST SP 800-108 counter mode with HMAC-SHA256; counter and length are
 * little-endian here, which no library offers.
 *   errors  ERR_INTERNAL
 */
int sev_session_kdf(uint8_t *out, size_t out_len, struct span key,
    const char *label, struct span context, struct err *err);

/** sev_session_derive(out, z, nonce, err): ${z} the shared X, big-endian. */
int sev_session_derive(struct sev_session_keys *out, struct span z,
    const uint8_t nonce[SEV_NONCE_LEN], struct err *err);

/**
 * sev_session_wrap(out, z, policy, seed, err):
 * The session blob: NONCE, WRAP_TK, WRAP_IV, WRAP_MAC, POLICY_MAC.
 * ${seed}->godh is not read.
 */
int sev_session_wrap(uint8_t out[SEV_SESSION_LEN], struct span z,
    uint32_t policy, const struct sev_session_seed *seed, struct err *err);

/**
 * sev_session_agree(z, godh_cert, pdh, scalar, err):
 * The GODH certificate of ${scalar}, and the X coordinate it shares with
 * ${pdh}.  errors as sev_session_make()
 */
int sev_session_agree(uint8_t z[SEV_P384_LEN], uint8_t godh_cert[SEV_CERT_LEN],
    const struct sev_cert *pdh, const uint8_t scalar[SEV_P384_LEN],
    struct err *err);

#endif
