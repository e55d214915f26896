#ifndef PSP_PLATFORM_H
#define PSP_PLATFORM_H

#include "tests/psp/cert.h"

/*
 * One made-up AMD machine: its keys, their certificates, its chip id and the
 * version of its firmware.  Zero-initialise before use.
 */

#define PSP_CHIP_ID_LEN 64

enum psp_role { PSP_CEK, PSP_OCA, PSP_PEK, PSP_PDH, PSP_ROLES };

struct psp_api {
	uint8_t major, minor, build;
};

struct psp_platform {
	/* Owned.  Only the PDH key is needed to launch guests; the others may
	 * be NULL on a loaded platform, which then cannot make new ones. */
	EVP_PKEY *ark, *ask, *key[PSP_ROLES];
	uint8_t cert[PSP_ROLES][PSP_CERT_LEN]; /* the CEK as AMD signed it */
	uint8_t ark_cert[PSP_AMD_CERT_MAX], ask_cert[PSP_AMD_CERT_MAX];
	size_t ark_len, ask_len; /* bytes; 0: not at hand */
	uint8_t chip_id[PSP_CHIP_ID_LEN];
	struct psp_api api;
	bool no_es; /* a platform without SEV-ES */
};

struct psp_platform_spec {
	unsigned bits; /* of ARK and ASK: 2048 (Naples) or 4096 */
	struct psp_api api;
	struct span chip_id;             /* 64 bytes; empty: random */
	const struct psp_platform *root; /* whose ARK and ASK; NULL: own ones */
	EVP_PKEY *owner; /* external OCA key; NULL: self-owned */
};

/** psp_platform_make(out, spec, err): a whole key hierarchy. */
int psp_platform_make(struct psp_platform *out,
    const struct psp_platform_spec *spec, struct err *err);

/** psp_platform_rotate(p, err): a new PDH under the same PEK.
 *   errors  ERR_NOT_FOUND: the PEK's private key is not at hand */
int psp_platform_rotate(struct psp_platform *p, struct err *err);

/** psp_platform_free(p): releases the keys; NULL is fine. */
void psp_platform_free(struct psp_platform *p);

#endif
