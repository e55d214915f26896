#ifndef AGENT_SEAL_KEY_H
#define AGENT_SEAL_KEY_H

#include "agent/state.h"
#include "common/err.h"
#include "common/secret.h"
#include "common/span.h"

/*
 * The key that the store is sealed under, STORE_SEAL_KEY_LEN bytes, and where
 * it comes from; the first that is there:
 *
 *	$ATTEST_AGENT_SEAL_FILE                     a file of the owner's choice
 *	$CREDENTIALS_DIRECTORY/attest-agent.seal    LoadCredentialEncrypted=
 *	seal.scrypt of the state folder             wrapped under a passphrase
 *	seal.key of the state folder                in the clear, 0600
 */

#define SEAL_PASSPHRASE_MAX 1024

/**
 * seal_key_load(out, state, err):
 *   errors  ERR_CLOSED: it wants a passphrase, seal_key_unwrap();
 *           ERR_NOT_FOUND: there is none yet; ERR_MALFORMED: not so long;
 *           ERR_UNTRUSTED, ERR_IO
 */
int seal_key_load(
    struct secret *out, const struct state *state, struct err *err);

/** seal_key_make(out, state, err): a new one, into seal.key.  errors
 * ERR_CONFLICT, ERR_IO, ERR_INTERNAL */
int seal_key_make(
    struct secret *out, const struct state *state, struct err *err);

/**
 * seal_key_unwrap(out, state, passphrase, err):
 * Open seal.scrypt; takes a second and 128 MiB, by design.  The same
 * key in seal.key is taken away.
 *   errors  ERR_UNTRUSTED: another passphrase, or the file was altered;
 *           ERR_MALFORMED; ERR_NOT_FOUND; ERR_MEMORY
 *   source  RFC 7914
 */
int seal_key_unwrap(struct secret *out, const struct state *state,
    struct span passphrase, struct err *err);

/**
 * seal_key_wrap(state, key, passphrase, err):
 * Write seal.scrypt, and take seal.key away if it is there.
 *   errors  ERR_CONFLICT: there is one; ERR_IO, ERR_MEMORY
 */
int seal_key_wrap(const struct state *state, struct span key,
    struct span passphrase, struct err *err);

/**
 * seal_key_parse(out, in, err):
 * The head of seal.scrypt, judged: what it asks of memory is bounded.
 */
struct seal_wrap {
	uint8_t log2_n; /* of scrypt's N */
	uint32_t r, p;
	struct span salt;   /* 16 bytes of the file */
	struct span sealed; /* store_seal() of the key */
};
int seal_key_parse(struct seal_wrap *out, struct span in, struct err *err);

#endif
