#ifndef AGENT_KEY_H
#define AGENT_KEY_H

#include "agent/state.h"
#include "common/err.h"
#include "common/span.h"
#include "common/uuid.h"

/*
 * The agent's identity: an Ed25519 key, agent.key of the state folder (PEM,
 * PKCS #8).  It signs hellos (docs/protocol.md 12.3), receipts and exports
 * (agent/vault/move_seal.h), each behind a label of its own.
 */
struct key;

#define KEY_SIG_LEN 64
#define KEY_TEXT_LEN 64 /* "ed25519:" and base64 of 32 bytes, and a NUL */

/**
 * key_new(out, state, err):
 * Make a key and keep it in ${state}.
 *   errors  ERR_CONFLICT: there is one; ERR_IO; ERR_INTERNAL
 */
int key_new(struct key **out, const struct state *state, struct err *err);

/**
 * key_load(out, state, err):
 *   errors  ERR_NOT_FOUND; ERR_UNTRUSTED: mode or owner of the file;
 *           ERR_MALFORMED: not an Ed25519 key in PEM
 */
int key_load(struct key **out, const struct state *state, struct err *err);

/* Who signs for a key that is kept elsewhere. */
typedef int key_signer(
    uint8_t signature[KEY_SIG_LEN], void *arg, struct span in, struct err *err);

/**
 * key_remote(out, public, signer, arg, err):
 * The key whose public half is ${public} (UUID_KEY_LEN bytes) and whose
 * signatures ${signer} makes: what a process has that is not to hold it.
 *   errors  ERR_MEMORY
 */
int key_remote(struct key **out, const uint8_t *public, key_signer *signer,
    void *arg, struct err *err);

void key_free(struct key *k);

/** key_public(k): UUID_KEY_LEN bytes, as in HELLO. */
const uint8_t *key_public(const struct key *k);

/** key_format(out, k): "ed25519:<base64>", the form of relay.yaml. */
char *key_format(char out[KEY_TEXT_LEN], const struct key *k);

/** key_sign(out, k, in, err): Ed25519 over ${in}.  errors ERR_INTERNAL, and
 * those of a signer */
int key_sign(uint8_t out[KEY_SIG_LEN], const struct key *k, struct span in,
    struct err *err);

/** key_parse(public, text, err): the reverse of key_format(); UUID_KEY_LEN
 * bytes.  errors ERR_USAGE */
int key_parse(uint8_t public[UUID_KEY_LEN], const char *text, struct err *err);

/**
 * key_verify(public, signature, in, err):
 *   errors  ERR_UNTRUSTED: not a signature of that key over ${in}
 */
int key_verify(const uint8_t public[UUID_KEY_LEN], struct span signature,
    struct span in, struct err *err);

#endif
