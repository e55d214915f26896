#ifndef AGENT_VAULT_VAULT_RECEIPT_H
#define AGENT_VAULT_VAULT_RECEIPT_H

#include "agent/key.h"
#include "agent/vault/vault.h"

/*
 * Evidence of a release: what the host showed, what was judged, and a
 * statement about it that the agent's key signs.  Written in the transaction
 * of the release, and kept for good.
 *
 * The statement is text, a line a fact, so that a third party can check the
 * signature (Ed25519 over exactly these bytes) and read it without us.
 */

#define VAULT_STATEMENT_MAX 3072

struct vault_receipt {
	uint64_t number; /* of the release's line in the log */
	char statement[VAULT_STATEMENT_MAX];
	uint8_t signature[KEY_SIG_LEN];
	struct sev_measure measure;
	bool has_evidence; /* false: the session began with an older version */
	uint8_t pdh[SEV_CERT_LEN];
	uint8_t chain[SEV_CHAIN_LEN_MAX]; /* as the host sent it */
	size_t chain_len;
	struct sev_session session; /* owner's certificate and launch blob */
	bool has_tik;               /* kept, and the session has ended */
	uint8_t tik[SEV_TK_LEN];
};

/**
 * vault_receipt(out, v, number, with_tik, err):
 *   errors  ERR_NOT_FOUND: no such receipt; ERR_CONFLICT: its TIK is wanted
 *           and the session has not ended; ERR_UNSUPPORTED: its TIK was not
 *           kept (receipts.keep-tik); ERR_IO, ERR_MALFORMED
 */
int vault_receipt(struct vault_receipt *out, struct vault *v, uint64_t number,
    bool with_tik, struct err *err);

/**
 * vault_receipt_each(v, after, fn, arg, err):
 * Those with a number above ${after}, oldest first, until ${fn} returns other
 * than 0.
 */
int vault_receipt_each(struct vault *v, uint64_t after,
    int (*fn)(void *arg, const struct vault_receipt *r), void *arg,
    struct err *err);

#endif
