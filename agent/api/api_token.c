#include "agent/api/api_token.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/hex.h"
#include "common/secret.h"

#define FILE_NAME "api.token" /* SHA-256 of it, in hex, and a newline */

int
api_token_new(char out[API_TOKEN_LEN + 1], const struct state *state,
    bool renew, struct err *err)
{
	uint8_t random[API_TOKEN_LEN / 2];
	char text[2 * SEV_SHA256_LEN + 2];
	char path[STATE_PATH_MAX];
	uint8_t hash[SEV_SHA256_LEN];
	int rc = -1;

	if (secret_random(random, sizeof(random), err) != 0)
		return -1;
	(void)hex_encode(
	    out, API_TOKEN_LEN + 1, span_of(random, sizeof(random)));
	if (sev_hash_sha256(hash, span_of(out, API_TOKEN_LEN), err) != 0)
		goto out;
	(void)hex_encode(text, sizeof(text), span_of(hash, sizeof(hash)));
	memcpy(text + 2 * SEV_SHA256_LEN, "\n", 2);
	if (renew)
		(void)unlink(state_path(path, state, FILE_NAME));
	rc = state_write(state, FILE_NAME, span_str(text), err);
	if (rc != 0 && err->code == ERR_CONFLICT)
		(void)err_set(err, ERR_CONFLICT,
		    "there is a token already; --renew replaces it");
out:
	secret_wipe(random, sizeof(random));
	return rc;
}

int
api_token_load(
    uint8_t hash[SEV_SHA256_LEN], const struct state *state, struct err *err)
{
	struct secret text = { 0 };
	struct span in;
	int rc;

	if (state_read(&text, state, FILE_NAME, 2 * SEV_SHA256_LEN + 1, err) !=
	    0)
		return -1;
	in = secret_span(&text);
	if (in.len > 0 && in.ptr[in.len - 1] == '\n')
		in.len--;
	rc = hex_decode(hash, SEV_SHA256_LEN, in, err);
	secret_free(&text);
	return rc == 0 ? 0 : err_wrap(err, FILE_NAME);
}

bool
api_token_check(const uint8_t hash[SEV_SHA256_LEN], struct span authorization)
{
	static const char scheme[] = "Bearer ";
	size_t skip = sizeof(scheme) - 1;
	uint8_t got[SEV_SHA256_LEN];

	if (authorization.len != skip + API_TOKEN_LEN ||
	    strncasecmp((const char *)authorization.ptr, scheme, skip) != 0 ||
	    sev_hash_sha256(got,
		span_of(authorization.ptr + skip, API_TOKEN_LEN), NULL) != 0)
		return false;
	return secret_equal(
	    span_of(got, sizeof(got)), span_of(hash, SEV_SHA256_LEN));
}
