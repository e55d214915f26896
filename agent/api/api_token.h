#ifndef AGENT_API_API_TOKEN_H
#define AGENT_API_API_TOKEN_H

#include "agent/sev/sev.h"
#include "agent/state.h"
#include "common/err.h"
#include "common/span.h"

/*
 * The bearer token of the owner's API: 256 random bits, told once when it is
 * made; the state folder holds its SHA-256 only.
 */

#define API_TOKEN_LEN 64 /* hex digits */

/**
 * api_token_new(out, state, renew, err):
 * Make one; with ${renew} in the place of the one before.
 *   errors  ERR_CONFLICT: there is one; ERR_IO, ERR_INTERNAL
 */
int api_token_new(char out[API_TOKEN_LEN + 1], const struct state *state,
    bool renew, struct err *err);

/** api_token_load(hash, state, err): errors ERR_NOT_FOUND: none was made;
 * ERR_UNTRUSTED, ERR_MALFORMED, ERR_IO */
int api_token_load(
    uint8_t hash[SEV_SHA256_LEN], const struct state *state, struct err *err);

/**
 * api_token_check(hash, authorization):
 * Is the header's value "Bearer TOKEN", with the token of ${hash}?  In
 * constant time for tokens of the right length.
 */
bool api_token_check(
    const uint8_t hash[SEV_SHA256_LEN], struct span authorization);

#endif
