#include "agent/vault/store_seal.h"

#include <limits.h>
#include <openssl/evp.h>

/* One pass of AES-256-GCM, either way; all lengths are checked by callers. */
static int
gcm(bool seal, uint8_t *out, uint8_t *tag, struct span key, struct span iv,
    struct span aad, struct span in)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;
	int rc = -1;

	if (ctx == NULL || in.len > INT_MAX || aad.len > INT_MAX)
		goto out;
	if (EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key.ptr, iv.ptr,
		seal ? 1 : 0) != 1 ||
	    EVP_CipherUpdate(ctx, NULL, &n, aad.ptr, (int)aad.len) != 1)
		goto out;
	if (in.len > 0 &&
	    (EVP_CipherUpdate(ctx, out, &n, in.ptr, (int)in.len) != 1 ||
		(size_t)n != in.len))
		goto out;
	if (!seal &&
	    EVP_CIPHER_CTX_ctrl(
		ctx, EVP_CTRL_AEAD_SET_TAG, STORE_SEAL_TAG_LEN, tag) != 1)
		goto out;
	if (EVP_CipherFinal_ex(ctx, out + in.len, &n) != 1 || n != 0)
		goto out;
	if (seal &&
	    EVP_CIPHER_CTX_ctrl(
		ctx, EVP_CTRL_AEAD_GET_TAG, STORE_SEAL_TAG_LEN, tag) != 1)
		goto out;
	rc = 0;
out:
	EVP_CIPHER_CTX_free(ctx);
	return rc;
}

int
store_seal(struct secret *out, struct span key, struct span aad, struct span in,
    struct err *err)
{
	uint8_t *body;

	if (key.len != STORE_SEAL_KEY_LEN)
		return err_set(
		    err, ERR_INTERNAL, "seal key of %zu bytes", key.len);
	if (secret_alloc(out, in.len + STORE_SEAL_OVERHEAD, err) != 0)
		return -1;
	body = out->ptr + STORE_SEAL_IV_LEN;
	if (secret_random(out->ptr, STORE_SEAL_IV_LEN, err) != 0) {
		secret_free(out);
		return -1;
	}
	if (gcm(true, body, body + in.len, key,
		span_of(out->ptr, STORE_SEAL_IV_LEN), aad, in) != 0) {
		secret_free(out);
		return err_set(err, ERR_INTERNAL, "AES-256-GCM cannot seal");
	}
	return 0;
}

int
store_unseal(struct secret *out, struct span key, struct span aad,
    struct span in, struct err *err)
{
	struct reader r = reader_of(in);
	struct span iv;
	struct span body;
	uint8_t tag[STORE_SEAL_TAG_LEN];

	if (in.len < STORE_SEAL_OVERHEAD || key.len != STORE_SEAL_KEY_LEN)
		return err_set(
		    err, ERR_UNTRUSTED, "sealed value of %zu bytes", in.len);
	iv = reader_take(&r, STORE_SEAL_IV_LEN);
	body = reader_take(&r, in.len - STORE_SEAL_OVERHEAD);
	reader_copy(&r, tag, sizeof(tag));
	if (secret_alloc(out, body.len, err) != 0)
		return -1;
	if (gcm(false, out->ptr, tag, key, iv, aad, body) != 0) {
		secret_free(out);
		return err_set(err, ERR_UNTRUSTED,
		    "sealed value does not open: another key, or altered");
	}
	return 0;
}
