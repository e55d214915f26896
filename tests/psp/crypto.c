#include "tests/psp/crypto.h"

#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/secret.h"

int
psp_crypto_sha256(uint8_t out[PSP_SHA256_LEN], struct span in, struct err *err)
{
	static const uint8_t none;
	const uint8_t *ptr = in.len == 0 ? &none : in.ptr;

	if (EVP_Digest(ptr, in.len, out, NULL, EVP_sha256(), NULL) != 1)
		return err_set(err, ERR_INTERNAL, "SHA-256 is not available");
	return 0;
}

int
psp_crypto_hmac(uint8_t out[PSP_SHA256_LEN], struct span key, struct span text,
    struct err *err)
{
	size_t len = 0;

	if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key.ptr, key.len,
		text.ptr, text.len, out, PSP_SHA256_LEN, &len) == NULL ||
	    len != PSP_SHA256_LEN)
		return err_set(
		    err, ERR_INTERNAL, "HMAC-SHA256 is not available");
	return 0;
}

int
psp_crypto_kdf(uint8_t out[PSP_AES_LEN], struct span key, const char *label,
    struct span context, struct err *err)
{
	uint8_t text[4 + 64 + 1 + 64 + 4], block[PSP_SHA256_LEN];
	struct writer w = writer_of(text, sizeof(text));
	int rc = -1;

	writer_le32(&w, 1);
	writer_put(&w, span_str(label));
	writer_u8(&w, 0);
	writer_put(&w, context);
	writer_le32(&w, 8 * PSP_AES_LEN);
	if (!writer_ok(&w)) {
		err_set(err, ERR_INTERNAL, "KDF label or context too long");
		goto out;
	}
	if (psp_crypto_hmac(block, key, writer_span(&w), err) != 0)
		goto out;
	memcpy(out, block, PSP_AES_LEN);
	rc = 0;
out:
	secret_wipe(block, sizeof(block));
	return rc;
}

int
psp_crypto_ctr(uint8_t *out, const uint8_t key[PSP_AES_LEN],
    const uint8_t iv[PSP_AES_LEN], struct span in, struct err *err)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int done = 0, rc = -1;

	if (in.len > INT_MAX || ctx == NULL ||
	    EVP_EncryptInit_ex2(ctx, EVP_aes_128_ctr(), key, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, out, &done, in.ptr, (int)in.len) != 1 ||
	    (size_t)done != in.len) {
		err_set(err, ERR_INTERNAL, "AES-128-CTR is not available");
		goto out;
	}
	rc = 0;
out:
	EVP_CIPHER_CTX_free(ctx);
	return rc;
}
