#ifndef AGENT_SEV_CHAIN_VERIFY_H
#define AGENT_SEV_CHAIN_VERIFY_H

#include "agent/sev/chain.h"
#include "agent/sev/roots.h"

/* The checks of sev_chain_verify(), in the order they are made. */
enum sev_check {
	SEV_CHECK_NONE = 0,   /* none failed */
	SEV_CHECK_INTERNAL,   /* our own fault, or a library's */
	SEV_CHECK_INCOMPLETE, /* a certificate is missing */
	SEV_CHECK_PDH_KEY,    /* usage, algorithm, curve or point */
	SEV_CHECK_PEK_KEY,
	SEV_CHECK_OCA_KEY,
	SEV_CHECK_CEK_KEY,
	SEV_CHECK_ARK_NOT_PINNED, /* its body equals no trusted ARK */
	SEV_CHECK_ARK_SELF,       /* it came with a signature, a wrong one */
	SEV_CHECK_ARK_ASK,        /* key id or signature */
	SEV_CHECK_CEK_UNSIGNED,   /* AMD's signature is not there: fetch it */
	SEV_CHECK_CEK_OTHER,      /* unsigned, and given CEKs have other keys */
	SEV_CHECK_ASK_CEK,        /* a signature is there, and no ASK made it */
	SEV_CHECK_CEK_PEK,
	SEV_CHECK_OCA_SELF,
	SEV_CHECK_OCA_PEK,
	SEV_CHECK_PEK_PDH,
	SEV_CHECK_CLOUD, /* the OCA is none of the registered ones */
	SEV_CHECKS
};

/* Whom to trust.  Zero-initialised: AMD's pinned roots and nothing else. */
struct sev_trust {
	const struct sev_root *roots; /* the operator's, besides AMD's */
	size_t root_count;
	const struct sev_cert *ceks; /* signed CEKs, from AMD or the owner */
	size_t cek_count;
	const struct sev_cert *clouds; /* registered OCAs ("cloud-cert") */
	size_t cloud_count;
	bool want_cloud; /* the OCA must be one of ${clouds}; none, no trust */
	bool want_ca;    /* the blob itself must hold ASK and ARK */
};

/* What was found.  On success every field is set. */
struct sev_verdict {
	enum sev_check failed; /* SEV_CHECK_NONE: trusted */
	enum sev_generation generation;
	uint8_t ark_body[SEV_SHA256_LEN]; /* SHA-256 of the root's body */
	uint8_t pdh_key[SEV_SHA256_LEN];  /* sev_cert_fingerprint() */
	uint8_t pek_key[SEV_SHA256_LEN];
	uint8_t oca_key[SEV_SHA256_LEN];
	uint8_t cek_key[SEV_SHA256_LEN];
	uint8_t api_major; /* in the PDH certificate: a hint */
	uint8_t api_minor;
	bool self_owned;   /* the firmware made the OCA (API not 0.0): a hint */
	bool cek_replaced; /* by one of ${trust}->ceks */
	size_t cek_index;  /* of ${trust}->ceks, if so */
	size_t root_index; /* of ${trust}->roots, for SEV_GEN_OPERATOR */
	size_t cloud_index; /* of ${trust}->clouds, if want_cloud */
};

/**
 * sev_chain_verify(out, chain, trust, err):
 * Judge the whole chain: ARK pinned, ARK -> ASK -> CEK -> PEK, OCA -> OCA,
 * OCA -> PEK, PEK -> PDH.
 *   returns  0: the PDH belongs to a genuine platform under ${trust}
 *   errors   -1 with the failed check in ${out}->failed and words for the
 *            owner in ${err}: ERR_UNTRUSTED, ERR_MALFORMED (a key that is
 *            none), ERR_NOT_FOUND (SEV_CHECK_INCOMPLETE), ERR_INTERNAL
 *   source   55766 2.2 and appendices B, C
 * ASK and ARK in ${chain} must be right themselves, and are then used; without
 * them every trusted ASK is tried.  A CEK without AMD's signature is replaced
 * by one of ${trust}->ceks with the same curve, Qx and Qy.  A chain without a
 * CEK takes the only one of ${trust}->ceks.
 * Depends on its arguments only, so a verdict may be cached by their hash.
 */
int sev_chain_verify(struct sev_verdict *out, const struct sev_chain *chain,
    const struct sev_trust *trust, struct err *err);

/** sev_check_name(check): "ask-cek" and so on, for logs and JSON. */
const char *sev_check_name(enum sev_check check);

#endif
