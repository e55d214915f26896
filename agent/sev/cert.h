#ifndef AGENT_SEV_CERT_H
#define AGENT_SEV_CERT_H

#include "agent/sev/hash.h"
#include "common/err.h"
#include "common/span.h"

#define SEV_CERT_LEN 2084
#define SEV_CERT_SIGNED_LEN 1044 /* version through the end of the key union */
#define SEV_CERT_KEY_LEN 1028    /* the key union; its RSA form is 4+512+512 */
#define SEV_CERT_SIG_LEN 512
#define SEV_EC_NUMBER_LEN 72 /* bytes of a coordinate, r or s */
#define SEV_CURVE_P384 2

/* Usage of a key; 55766 appendix C.  Other values occur on the wire. */
enum sev_usage {
	SEV_USAGE_ARK = 0x0000,
	SEV_USAGE_ASK = 0x0013,
	SEV_USAGE_NONE = 0x1000, /* an empty signature slot */
	SEV_USAGE_OCA = 0x1001,
	SEV_USAGE_PEK = 0x1002,
	SEV_USAGE_PDH = 0x1003, /* and the owner's GODH */
	SEV_USAGE_CEK = 0x1004
};

/* Algorithm of a key or a signature; 55766 appendix C. */
enum sev_algo {
	SEV_ALGO_NONE = 0x0000,
	SEV_ALGO_RSA_SHA256 = 0x0001,
	SEV_ALGO_ECDSA_SHA256 = 0x0002,
	SEV_ALGO_ECDH_SHA256 = 0x0003,
	SEV_ALGO_RSA_SHA384 = 0x0101,
	SEV_ALGO_ECDSA_SHA384 = 0x0102,
	SEV_ALGO_ECDH_SHA384 = 0x0103
};

struct sev_sig {
	uint32_t usage;    /* of the key that signed; may be any value */
	uint32_t algo;     /* of the signature */
	struct span bytes; /* SEV_CERT_SIG_LEN */
};

/* PDH, PEK, OCA, CEK or GODH, as spans into the bytes it was read from. */
struct sev_cert {
	struct span raw;        /* SEV_CERT_LEN */
	struct span signed_raw; /* the head of ${raw} that signatures cover */
	uint8_t api_major;      /* of the firmware that made it */
	uint8_t api_minor;
	uint32_t usage;
	uint32_t algo;
	uint32_t curve; /* meaningful for EC keys only, as are qx and qy */
	struct span qx; /* SEV_EC_NUMBER_LEN, little-endian */
	struct span qy;
	struct sev_sig sig[2];
};

/**
 * sev_cert_parse(out, in, err):
 * Decode the SEV certificate ${in}, SEV_CERT_LEN bytes.
 *   lifetime  ${out} holds spans into ${in} and must not outlive it
 *   errors    ERR_MALFORMED: length or version; ${out} is then unusable
 *   source    55766 appendix C
 * Reserved bytes may be anything: real firmware leaves noise in them, and they
 * are signed as they are.  Says nothing of trust: that is sev_chain_verify().
 */
int sev_cert_parse(struct sev_cert *out, struct span in, struct err *err);

/**
 * sev_cert_same_point(a, b): equal curve, Qx and Qy.  What relates AMD's signed
 * CEK to the one that the firmware exports (their API versions differ).
 */
bool sev_cert_same_point(const struct sev_cert *a, const struct sev_cert *b);

/**
 * sev_cert_same_key(a, b): equal algorithm, curve, Qx and Qy.  What relates a
 * registered OCA to the one in a chain.
 */
bool sev_cert_same_key(const struct sev_cert *a, const struct sev_cert *b);

/**
 * sev_cert_fingerprint(out, cert, err):
 * SHA-256 over algorithm, curve, Qx and Qy as they lie in the certificate (the
 * 152 bytes from offset 12): `tail -c +13 F | head -c 152 | sha256sum`.
 *   errors  ERR_INTERNAL: SHA-256 is not available
 */
int sev_cert_fingerprint(
    uint8_t out[SEV_SHA256_LEN], const struct sev_cert *cert, struct err *err);

/** sev_cert_fingerprint_as(out, cert, algo, err): of the same point under the
 * algorithm ${algo}.  errors as sev_cert_fingerprint() */
int sev_cert_fingerprint_as(uint8_t out[SEV_SHA256_LEN],
    const struct sev_cert *cert, uint32_t algo, struct err *err);

/** sev_cert_is_signed(cert): some slot names a known signer and algorithm. */
bool sev_cert_is_signed(const struct sev_cert *cert);

/** sev_usage_name(usage): "PEK" and so on; "unknown" for any other value. */
const char *sev_usage_name(uint32_t usage);

/** sev_algo_name(algo): "ECDSA SHA-256" and so on; "unknown". */
const char *sev_algo_name(uint32_t algo);

#endif
