#include "common/admit.h"

#include "common/secret.h"
#include "common/tls_memory.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TOKEN_MAX 512

/* "Bearer" SP token68 (RFC 6750 2.1); the scheme in any case. */
static bool
bearer_token(struct span value, struct span *token)
{
	static const char scheme[] = "bearer ";
	size_t n = sizeof(scheme) - 1;

	if (value.len <= n || value.len > n + TOKEN_MAX ||
	    strncasecmp((const char *)value.ptr, scheme, n) != 0)
		return false;
	*token = span_of(value.ptr + n, value.len - n);
	for (size_t i = 0; i < token->len; i++)
		if (token->ptr[i] <= ' ' || token->ptr[i] > '~')
			return false;
	return true;
}

static bool
hash(uint8_t out[ADMIT_DIGEST_LEN], struct span text, const EVP_MD *md)
{
	memset(out, 0, ADMIT_DIGEST_LEN);
	return EVP_Digest(text.ptr, text.len, out, NULL,
		   md != NULL ? md : EVP_sha256(), NULL) == 1;
}

EVP_MD *
admit_sha256(void)
{
	return EVP_MD_fetch(NULL, "SHA256", NULL);
}

void
admit_sha256_free(EVP_MD *md)
{
	EVP_MD_free(md);
}

bool
admit_hash(uint8_t out[ADMIT_DIGEST_LEN], struct span text)
{
	return hash(out, text, NULL);
}

bool
admit_bearer_hash(uint8_t out[ADMIT_DIGEST_LEN], struct span value)
{
	struct span token;

	memset(out, 0, ADMIT_DIGEST_LEN);
	return bearer_token(value, &token) && admit_hash(out, token);
}

static const struct admit_token *
find_token(const struct admit_hosts *hosts, struct span text)
{
	const struct admit_token *found = NULL;
	uint8_t digest[ADMIT_DIGEST_LEN];

	if (!hash(digest, text, hosts->sha256))
		return NULL;
	for (size_t i = 0; i < hosts->token_count; i++)
		if (secret_equal(span_of(digest, sizeof(digest)),
			span_of(hosts->tokens[i].sha256, sizeof(digest))))
			found = &hosts->tokens[i];
	secret_wipe(digest, sizeof(digest));
	return found;
}

int
admit_host(char out[ADMIT_IDENTITY_MAX + 1], const struct admit_hosts *hosts,
    const struct admit_shown *shown, struct err *err)
{
	const struct admit_token *token;
	struct span text;

	if (hosts->bearer && shown->authorization_count > 0) {
		if (shown->authorization_count > 1 ||
		    !bearer_token(shown->authorization, &text))
			return err_set(err, ERR_UNTRUSTED,
			    "Authorization is not one Bearer token");
		token = find_token(hosts, text);
		if (token == NULL)
			return err_set(err, ERR_UNTRUSTED, "unknown token");
		snprintf(out, ADMIT_IDENTITY_MAX + 1, "token:%s", token->name);
		return 0;
	}
	if (hosts->mtls && shown->peer_name != NULL) {
		snprintf(
		    out, ADMIT_IDENTITY_MAX + 1, "mtls:%s", shown->peer_name);
		return 0;
	}
	for (size_t i = 0; i < hosts->network_count; i++) {
		if (!source_in(shown->source, &hosts->networks[i]))
			continue;
		snprintf(out, ADMIT_IDENTITY_MAX + 1, "none");
		return 0;
	}
	return err_set(err, ERR_UNTRUSTED, "%s",
	    hosts->networks != NULL
		? "neither certificate nor token, nor of hosts.networks"
		: "neither certificate nor token");
}

int
admit_signature(
    struct span key, struct span signature, struct span text, struct err *err)
{
	unsigned missed = tls_memory_missed();
	EVP_PKEY *pkey = NULL;
	EVP_MD_CTX *ctx = NULL;
	int rc = -1;

	pkey = EVP_PKEY_new_raw_public_key(
	    EVP_PKEY_ED25519, NULL, key.ptr, key.len);
	ctx = EVP_MD_CTX_new();
	if (pkey == NULL || ctx == NULL ||
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) != 1) {
		err_set(err, ERR_INTERNAL, "Ed25519 is not available");
		goto out;
	}
	/* 0 for a bad signature and < 0 for a fault: both refuse. */
	if (EVP_DigestVerify(
		ctx, signature.ptr, signature.len, text.ptr, text.len) != 1) {
		err_set(err, ERR_UNTRUSTED,
		    "the signature of the HELLO is not that of its key "
		    "(docs/protocol.md 12.3)");
		goto out;
	}
	rc = 0;
out:
	if (rc != 0 && tls_memory_missed() != missed)
		err_set(err, ERR_MEMORY, "no memory to check a signature");
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return rc;
}
