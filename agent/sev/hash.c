#include "agent/sev/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

struct sev_hash {
	EVP_MD_CTX *md;
	EVP_MD_CTX *copy; /* for a peek */
};

int
sev_hash_new(struct sev_hash **out, struct err *err)
{
	struct sev_hash *h = OPENSSL_zalloc(sizeof(*h));

	*out = NULL;
	if (h == NULL || (h->md = EVP_MD_CTX_new()) == NULL ||
	    (h->copy = EVP_MD_CTX_new()) == NULL) {
		sev_hash_free(h);
		return err_set(err, ERR_MEMORY, "no memory for a hash");
	}
	if (EVP_DigestInit_ex2(h->md, EVP_sha256(), NULL) != 1) {
		sev_hash_free(h);
		return err_set(err, ERR_INTERNAL, "SHA-256 is not available");
	}
	*out = h;
	return 0;
}

int
sev_hash_add(struct sev_hash *h, struct span in, struct err *err)
{
	if (in.len > 0 && EVP_DigestUpdate(h->md, in.ptr, in.len) != 1)
		return err_set(err, ERR_INTERNAL, "SHA-256 failed");
	return 0;
}

int
sev_hash_peek(
    uint8_t out[SEV_SHA256_LEN], const struct sev_hash *h, struct err *err)
{
	if (EVP_MD_CTX_copy_ex(h->copy, h->md) != 1 ||
	    EVP_DigestFinal_ex(h->copy, out, NULL) != 1)
		return err_set(err, ERR_INTERNAL, "SHA-256 failed");
	return 0;
}

void
sev_hash_free(struct sev_hash *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->md);
	EVP_MD_CTX_free(h->copy);
	OPENSSL_free(h);
}

int
sev_hash_sha256(uint8_t out[SEV_SHA256_LEN], struct span in, struct err *err)
{
	if (EVP_Digest(in.ptr, in.len, out, NULL, EVP_sha256(), NULL) != 1)
		return err_set(err, ERR_INTERNAL, "SHA-256 is not available");
	return 0;
}

int
sev_hash_hmac(uint8_t out[SEV_SHA256_LEN], struct span key, struct span in,
    struct err *err)
{
	size_t len = 0;

	if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key.ptr, key.len,
		in.ptr, in.len, out, SEV_SHA256_LEN, &len) == NULL ||
	    len != SEV_SHA256_LEN)
		return err_set(
		    err, ERR_INTERNAL, "HMAC-SHA256 is not available");
	return 0;
}
