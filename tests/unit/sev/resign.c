#include "tests/unit/sev/resign.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/sev/fixture.h"

EVP_PKEY *
resign_key(const char *path)
{
	char whole[1024];
	EVP_PKEY *key;
	FILE *in;

	snprintf(whole, sizeof(whole), "%s/%s", FIXTURES, path);
	in = fopen(whole, "r");
	assert_non_null(in);
	key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
	fclose(in);
	assert_non_null(key);
	return key;
}

static void
put_le32(uint8_t *at, uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

void
resign_slot(uint8_t *cert, size_t slot, uint32_t usage, uint32_t algo,
    const uint8_t field[SEV_CERT_SIG_LEN])
{
	uint8_t *at = cert + SEV_CERT_SIGNED_LEN + slot * 520;

	put_le32(at, usage);
	put_le32(at + 4, algo);
	memcpy(at + 8, field, SEV_CERT_SIG_LEN);
}

static size_t
sign(uint8_t *out, size_t cap, EVP_PKEY *key, int padding, int salt,
    bool sha384, struct span text)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *kctx = NULL;
	const EVP_MD *md = sha384 ? EVP_sha384() : EVP_sha256();
	size_t len = cap;

	assert_int_equal(EVP_DigestSignInit(ctx, &kctx, md, NULL, key), 1);
	if (padding != 0)
		assert_int_equal(
		    EVP_PKEY_CTX_set_rsa_padding(kctx, padding), 1);
	if (padding == RSA_PKCS1_PSS_PADDING)
		assert_int_equal(
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(kctx, salt), 1);
	assert_int_equal(EVP_DigestSign(ctx, out, &len, text.ptr, text.len), 1);
	EVP_MD_CTX_free(ctx);
	return len;
}

void
resign_ec(uint8_t field[SEV_CERT_SIG_LEN], EVP_PKEY *key, bool sha384,
    struct span text)
{
	uint8_t der[256];
	const uint8_t *at = der;
	size_t len = sign(der, sizeof(der), key, 0, 0, sha384, text);
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);

	assert_non_null(sig);
	memset(field, 0, SEV_CERT_SIG_LEN);
	assert_int_equal(
	    BN_bn2lebinpad(ECDSA_SIG_get0_r(sig), field, SEV_EC_NUMBER_LEN),
	    SEV_EC_NUMBER_LEN);
	assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_s(sig),
			     field + SEV_EC_NUMBER_LEN, SEV_EC_NUMBER_LEN),
	    SEV_EC_NUMBER_LEN);
	ECDSA_SIG_free(sig);
}

void
resign_rsa(uint8_t field[SEV_CERT_SIG_LEN], EVP_PKEY *key, int padding,
    int salt, bool sha384, struct span text)
{
	uint8_t sig[SEV_CERT_SIG_LEN];
	size_t len = sign(sig, sizeof(sig), key, padding, salt, sha384, text);

	memset(field, 0, SEV_CERT_SIG_LEN);
	for (size_t i = 0; i < len; i++)
		field[i] = sig[len - 1 - i];
}
