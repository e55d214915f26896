#include "agent/sev/wrap.h"

#include <openssl/evp.h>

int
sev_wrap_ctr(uint8_t *out, struct span in, const uint8_t key[16],
    const uint8_t iv[16], struct err *err)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0, rc = -1;

	if (in.len > 1u << 30) {
		err_set(err, ERR_LIMIT, "%zu bytes to encrypt", in.len);
		goto out;
	}
	if (ctx == NULL ||
	    EVP_EncryptInit_ex2(ctx, EVP_aes_128_ctr(), key, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, out, &len, in.ptr, (int)in.len) != 1 ||
	    (size_t)len != in.len) {
		err_set(err, ERR_INTERNAL, "AES-128-CTR is not available");
		goto out;
	}
	rc = 0;
out:
	EVP_CIPHER_CTX_free(ctx);
	return rc;
}
