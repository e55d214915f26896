#include "tests/psp/key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
psp_key_make_ec(EVP_PKEY **out, struct err *err)
{
	*out = EVP_EC_gen("P-384");
	if (*out == NULL)
		return err_set(err, ERR_INTERNAL, "no P-384 key was made");
	return 0;
}

int
psp_key_make_rsa(EVP_PKEY **out, unsigned bits, struct err *err)
{
	*out = EVP_RSA_gen(bits);
	if (*out == NULL)
		return err_set(
		    err, ERR_INTERNAL, "no RSA key of %u bits was made", bits);
	return 0;
}

int
psp_key_load(EVP_PKEY **out, const char *path, struct err *err)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
		    "%s: %s", path, strerror(errno));
	*out = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	(void)fclose(f);
	if (*out == NULL)
		return err_set(
		    err, ERR_MALFORMED, "%s: no private key in PEM", path);
	return 0;
}

int
psp_key_parse(EVP_PKEY **out, struct span pem, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);

	*out =
	    bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (*out == NULL)
		return err_set(err, ERR_MALFORMED, "no private key in PEM");
	return 0;
}

int
psp_key_save(EVP_PKEY *key, const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	int rc = -1;

	if (f == NULL) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	if (PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1)
		rc = 0;
	if (fclose(f) != 0)
		rc = -1;
	if (rc != 0)
		err_set(err, ERR_IO, "%s: the key was not written", path);
	return rc;
}

/* A numeric parameter of ${key}, little-endian in ${len} bytes. */
static int
number(
    uint8_t *out, size_t len, EVP_PKEY *key, const char *name, struct err *err)
{
	BIGNUM *n = NULL;
	int rc = -1;

	if (EVP_PKEY_get_bn_param(key, name, &n) == 1 &&
	    BN_bn2lebinpad(n, out, (int)len) == (int)len)
		rc = 0;
	BN_free(n);
	if (rc != 0)
		err_set(err, ERR_INTERNAL, "key without %s of %zu bytes", name,
		    len);
	return rc;
}

int
psp_key_point(uint8_t qx[PSP_EC_FIELD], uint8_t qy[PSP_EC_FIELD], EVP_PKEY *key,
    struct err *err)
{
	if (number(qx, PSP_EC_FIELD, key, OSSL_PKEY_PARAM_EC_PUB_X, err) != 0)
		return -1;
	return number(qy, PSP_EC_FIELD, key, OSSL_PKEY_PARAM_EC_PUB_Y, err);
}

/* ${in} little-endian into 48 bytes big-endian; false if it does not fit. */
static bool
coordinate(uint8_t out[PSP_ECDH_LEN], struct span in)
{
	for (size_t i = 0; i < in.len; i++) {
		if (i < PSP_ECDH_LEN)
			out[PSP_ECDH_LEN - 1 - i] = in.ptr[i];
		else if (in.ptr[i] != 0)
			return false;
	}
	return in.len >= PSP_ECDH_LEN;
}

int
psp_key_from_point(
    EVP_PKEY **out, struct span qx, struct span qy, struct err *err)
{
	uint8_t point[1 + 2 * PSP_ECDH_LEN] = { POINT_CONVERSION_UNCOMPRESSED };
	char group[] = "P-384";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(
				    OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(
		    OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_construct_end() };
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY_CTX *check = NULL;
	EVP_PKEY *key = NULL;
	int rc = -1;

	if (!coordinate(point + 1, qx) ||
	    !coordinate(point + 1 + PSP_ECDH_LEN, qy)) {
		err_set(err, ERR_MALFORMED, "coordinate of 2^384 or more");
		goto out;
	}
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		err_set(err, ERR_MALFORMED, "point is not on P-384");
		goto out;
	}
	check = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (check == NULL || EVP_PKEY_public_check(check) != 1) {
		err_set(err, ERR_MALFORMED, "point is not on P-384");
		goto out;
	}
	*out = key;
	key = NULL;
	rc = 0;
out:
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(check);
	EVP_PKEY_CTX_free(ctx);
	return rc;
}

unsigned
psp_key_bits(EVP_PKEY *key)
{
	return (unsigned)EVP_PKEY_get_bits(key);
}

int
psp_key_modulus(uint8_t *out, size_t len, EVP_PKEY *key, struct err *err)
{
	return number(out, len, key, OSSL_PKEY_PARAM_RSA_N, err);
}

int
psp_key_sign_ec(uint8_t r[PSP_EC_FIELD], uint8_t s[PSP_EC_FIELD], EVP_PKEY *key,
    bool sha384, struct span text, struct err *err)
{
	uint8_t der[128];
	const uint8_t *at = der;
	size_t len = sizeof(der);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ECDSA_SIG *sig = NULL;
	int rc = -1;

	if (ctx == NULL ||
	    EVP_DigestSignInit_ex(ctx, NULL, sha384 ? "SHA384" : "SHA256", NULL,
		NULL, key, NULL) != 1 ||
	    EVP_DigestSign(ctx, der, &len, text.ptr, text.len) != 1 ||
	    (sig = d2i_ECDSA_SIG(NULL, &at, (long)len)) == NULL ||
	    BN_bn2lebinpad(ECDSA_SIG_get0_r(sig), r, PSP_EC_FIELD) < 0 ||
	    BN_bn2lebinpad(ECDSA_SIG_get0_s(sig), s, PSP_EC_FIELD) < 0) {
		err_set(err, ERR_INTERNAL, "ECDSA signature failed");
		goto out;
	}
	rc = 0;
out:
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
	return rc;
}

int
psp_key_sign_rsa(
    uint8_t *out, size_t len, EVP_PKEY *key, struct span text, struct err *err)
{
	const char *hash = len == PSP_RSA_MAX ? "SHA384" : "SHA256";
	uint8_t sig[PSP_RSA_MAX];
	size_t sig_len = sizeof(sig);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pss = NULL;
	int rc = -1;

	if (ctx == NULL ||
	    EVP_DigestSignInit_ex(ctx, &pss, hash, NULL, NULL, key, NULL) !=
		1 ||
	    EVP_PKEY_CTX_set_rsa_padding(pss, RSA_PKCS1_PSS_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(pss, RSA_PSS_SALTLEN_DIGEST) !=
		1 ||
	    EVP_DigestSign(ctx, sig, &sig_len, text.ptr, text.len) != 1 ||
	    sig_len != len) {
		err_set(err, ERR_INTERNAL, "RSASSA-PSS signature failed");
		goto out;
	}
	for (size_t i = 0; i < len; i++)
		out[i] = sig[len - 1 - i];
	rc = 0;
out:
	EVP_MD_CTX_free(ctx);
	return rc;
}

int
psp_key_ecdh(
    uint8_t z[PSP_ECDH_LEN], EVP_PKEY *own, EVP_PKEY *peer, struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	size_t len = PSP_ECDH_LEN;
	int rc = -1;

	if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
	    EVP_PKEY_derive(ctx, z, &len) != 1 || len != PSP_ECDH_LEN) {
		err_set(err, ERR_INTERNAL, "ECDH on P-384 failed");
		goto out;
	}
	rc = 0;
out:
	EVP_PKEY_CTX_free(ctx);
	return rc;
}
