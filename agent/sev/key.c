#include "agent/sev/key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>

#define P384_LEN 48

/* ${in} has bytes other than zero from ${from} on. */
static bool
is_longer(struct span in, size_t from)
{
	uint8_t any = 0;

	for (size_t i = from; i < in.len; i++)
		any |= in.ptr[i];
	return any != 0;
}

static void
reverse(uint8_t *out, struct span in, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = in.ptr[len - 1 - i];
}

int
sev_key_point(uint8_t out[SEV_KEY_POINT_LEN], const struct sev_cert *cert,
    struct err *err)
{
	if (cert->curve != SEV_CURVE_P384)
		return err_set(err, ERR_MALFORMED,
		    "curve %u, want 2 for P-384 (55766 C)", cert->curve);
	if (is_longer(cert->qx, P384_LEN) || is_longer(cert->qy, P384_LEN))
		return err_set(
		    err, ERR_MALFORMED, "a coordinate over 384 bits (55766 C)");
	out[0] = POINT_CONVERSION_UNCOMPRESSED;
	reverse(out + 1, cert->qx, P384_LEN);
	reverse(out + 1 + P384_LEN, cert->qy, P384_LEN);
	return 0;
}

static int
from_params(EVP_PKEY **out, const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx;
	int ok;

	ERR_set_mark();
	ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	ok = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, out, EVP_PKEY_PUBLIC_KEY, params) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_pop_to_mark();
	return ok ? 0 : -1;
}

int
sev_key_ec(EVP_PKEY **out, const struct sev_cert *cert, struct err *err)
{
	uint8_t point[SEV_KEY_POINT_LEN];
	char group[] = "P-384";
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(
		    OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group) - 1),
		OSSL_PARAM_octet_string(
		    OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_END,
	};

	*out = NULL;
	if (sev_key_point(point, cert, err) != 0)
		return -1;
	/* Fails unless the point is on the curve; P-384 has cofactor 1, so
	 * that is all there is to check of a public point (SP 800-56A). */
	if (from_params(out, "EC", params) != 0)
		return err_set(err, ERR_MALFORMED,
		    "its public key is no point of P-384 (55766 C)");
	return 0;
}

static int
rsa_params(OSSL_PARAM **out, const struct sev_amd_cert *cert, BIGNUM *n,
    BIGNUM *e, struct err *err)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	int rc = -1;

	if (bld == NULL ||
	    BN_lebin2bn(cert->modulus.ptr, (int)cert->modulus.len, n) == NULL ||
	    BN_lebin2bn(cert->exponent.ptr, (int)cert->exponent.len, e) ==
		NULL) {
		err_set(err, ERR_MEMORY, "no memory for an RSA key");
		goto out;
	}
	if (BN_num_bits(n) != (int)cert->bits || !BN_is_odd(n) ||
	    !BN_is_word(e, RSA_F4)) {
		err_set(err, ERR_MALFORMED,
		    "%s without an odd modulus of %u bits and exponent 65537",
		    sev_usage_name(cert->usage), cert->bits);
		goto out;
	}
	if (OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) != 1 ||
	    (*out = OSSL_PARAM_BLD_to_param(bld)) == NULL) {
		err_set(err, ERR_MEMORY, "no memory for an RSA key");
		goto out;
	}
	rc = 0;
out:
	OSSL_PARAM_BLD_free(bld);
	return rc;
}

int
sev_key_rsa(EVP_PKEY **out, const struct sev_amd_cert *cert, struct err *err)
{
	BIGNUM *n = BN_new(), *e = BN_new();
	OSSL_PARAM *params = NULL;
	int rc = -1;

	*out = NULL;
	if (n == NULL || e == NULL) {
		err_set(err, ERR_MEMORY, "no memory for an RSA key");
		goto out;
	}
	if (rsa_params(&params, cert, n, e, err) != 0)
		goto out;
	if (from_params(out, "RSA", params) != 0) {
		err_set(err, ERR_INTERNAL, "OpenSSL takes no RSA key of AMD's");
		goto out;
	}
	rc = 0;
out:
	OSSL_PARAM_free(params);
	BN_free(n);
	BN_free(e);
	return rc;
}

/* r and s, 72 bytes each, to the DER that OpenSSL reads; the caller frees. */
static int
ec_signature(uint8_t **out, size_t *len, struct span field, struct err *err)
{
	struct reader f = reader_of(field);
	struct span r = reader_take(&f, SEV_EC_NUMBER_LEN);
	struct span s = reader_take(&f, SEV_EC_NUMBER_LEN);
	BIGNUM *rn = BN_lebin2bn(r.ptr, (int)r.len, NULL);
	BIGNUM *sn = BN_lebin2bn(s.ptr, (int)s.len, NULL);
	ECDSA_SIG *sig = ECDSA_SIG_new();
	int der = -1, rc = -1;

	if (!reader_ok(&f) || rn == NULL || sn == NULL || sig == NULL) {
		err_set(err, ERR_MEMORY, "no memory for a signature");
		goto out;
	}
	if (is_longer(r, P384_LEN) || is_longer(s, P384_LEN)) {
		err_set(err, ERR_UNTRUSTED,
		    "its signature has a number over 384 bits (55766 C)");
		goto out;
	}
	if (ECDSA_SIG_set0(sig, rn, sn) == 1) {
		rn = sn = NULL;
		der = i2d_ECDSA_SIG(sig, out);
	}
	if (der < 0) {
		err_set(err, ERR_MEMORY, "no memory for a signature");
		goto out;
	}
	*len = (size_t)der;
	rc = 0;
out:
	ECDSA_SIG_free(sig);
	BN_free(rn);
	BN_free(sn);
	return rc;
}

static int
rsa_signature(uint8_t **out, size_t *len, EVP_PKEY *key, struct span field,
    struct err *err)
{
	size_t want = (size_t)EVP_PKEY_get_size(key);

	if (field.len < want)
		return err_set(err, ERR_UNTRUSTED,
		    "its signature has %zu bytes, want %zu (55766 B)",
		    field.len, want);
	*out = OPENSSL_malloc(want);
	if (*out == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a signature");
	reverse(*out, field, want);
	*len = want;
	return 0;
}

int
sev_key_verify(EVP_PKEY *key, uint32_t algo, struct span text, struct span sig,
    struct err *err)
{
	bool rsa = algo == SEV_ALGO_RSA_SHA256 || algo == SEV_ALGO_RSA_SHA384;
	bool sha384 =
	    algo == SEV_ALGO_RSA_SHA384 || algo == SEV_ALGO_ECDSA_SHA384;
	const EVP_MD *md = sha384 ? EVP_sha384() : EVP_sha256();
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *kctx = NULL; /* borrowed from ctx */
	uint8_t *der = NULL;
	size_t len = 0;
	int rc = -1;

	/* A bad signature is no trouble of the thread's next TLS call. */
	ERR_set_mark();
	if (rsa ? rsa_signature(&der, &len, key, sig, err)
		: ec_signature(&der, &len, sig, err))
		goto out;
	if (ctx == NULL ||
	    EVP_DigestVerifyInit(ctx, &kctx, md, NULL, key) != 1 ||
	    (rsa &&
		(EVP_PKEY_CTX_set_rsa_padding(kctx, RSA_PKCS1_PSS_PADDING) !=
			1 ||
		    EVP_PKEY_CTX_set_rsa_mgf1_md(kctx, md) != 1 ||
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(
			kctx, RSA_PSS_SALTLEN_DIGEST) != 1))) {
		err_set(err, ERR_INTERNAL, "%s is not available",
		    sev_algo_name(algo));
		goto out;
	}
	/* 0 for a bad signature and < 0 for a fault: both refuse. */
	if (EVP_DigestVerify(ctx, der, len, text.ptr, text.len) != 1) {
		err_set(err, ERR_UNTRUSTED, "its %s signature does not verify",
		    sev_algo_name(algo));
		goto out;
	}
	rc = 0;
out:
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	ERR_pop_to_mark();
	return rc;
}
