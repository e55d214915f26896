#ifndef COMMON_ADMIT_H
#define COMMON_ADMIT_H

#include "common/err.h"
#include "common/span.h"
#include "common/tally.h"

/*
 * May this peer speak, and who is it?  Pure: bytes in, verdict out.
 */

#define ADMIT_IDENTITY_MAX 263 /* "mtls:" and a name, without the NUL */
#define ADMIT_DIGEST_LEN 32

struct evp_md_st;

/* A compute host's bearer token, as its SHA-256. */
struct admit_token {
	const char *name; /* borrowed */
	uint8_t sha256[ADMIT_DIGEST_LEN];
};

/* How hosts may show who they are (docs/protocol.md 8). */
struct admit_hosts {
	bool mtls;
	bool bearer;
	const struct admit_token *tokens; /* borrowed */
	size_t token_count;
	const struct source_net *networks; /* borrowed; NULL: not by them */
	size_t network_count;
	const struct evp_md_st
	    *sha256; /* borrowed; NULL: looked up each time */
};

/* What a host shows. */
struct admit_shown {
	const char *peer_name;      /* of its certificate; NULL: none */
	size_t authorization_count; /* Authorization fields */
	struct span authorization;  /* value of the first one */
	struct source source;       /* where it comes from */
};

/**
 * admit_host(out, hosts, shown, err):
 * Judge a host; ${out} becomes its host-identity, "mtls:SAN", "token:NAME",
 * or "none" for one that has only its network to show.
 * An Authorization field must be a good token, also beside a certificate.
 * Every token is compared, in constant time.
 *   errors  ERR_UNTRUSTED: answer 401
 */
int admit_host(char out[ADMIT_IDENTITY_MAX + 1],
    const struct admit_hosts *hosts, const struct admit_shown *shown,
    struct err *err);

/** admit_bearer_hash(out, value): SHA-256 of the token of an Authorization
 * field.  False: it is not one Bearer token, ${out} is zeros. */
bool admit_bearer_hash(uint8_t out[ADMIT_DIGEST_LEN], struct span value);

/** admit_sha256(): for admit_hosts, owned: to look it up costs as much as the
 * hash of a token.  NULL: not available. */
struct evp_md_st *admit_sha256(void);
void admit_sha256_free(struct evp_md_st *md);

/** admit_hash(out, text): SHA-256.  False: it is not available. */
bool admit_hash(uint8_t out[ADMIT_DIGEST_LEN], struct span text);

/**
 * admit_signature(key, signature, text, err):
 * Is ${signature}, 64 bytes, that of the Ed25519 ${key}, 32 bytes, over
 * ${text}?
 *   errors  ERR_UNTRUSTED: no; ERR_INTERNAL; ERR_MEMORY: who knows
 *   source  docs/protocol.md 12.3; RFC 8032 5.1.7
 */
int admit_signature(
    struct span key, struct span signature, struct span text, struct err *err);

#endif
