#ifndef AGENT_KEY_H
#define AGENT_KEY_H

#include "agent/state.h"
#include "common/err.h"
#include "common/span.h"
#include "common/uuid.h"

/*
 * The agent's identity: an Ed25519 key, agent.key of the state folder (PEM,
 * PKCS #8).  It signs hellos (docs/protocol.md 12.3) and nothing else.
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

void key_free(struct key *k);

/** key_public(k): UUID_KEY_LEN bytes, as in HELLO. */
const uint8_t *key_public(const struct key *k);

/** key_format(out, k): "ed25519:<base64>", the form of relay.yaml. */
char *key_format(char out[KEY_TEXT_LEN], const struct key *k);

/** key_sign(out, k, in, err): Ed25519 over ${in}.  errors ERR_INTERNAL */
int key_sign(uint8_t out[KEY_SIG_LEN], const struct key *k, struct span in,
    struct err *err);

#endif
