#include "agent/sev/session.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <string.h>

#include "agent/sev/key.h"
#include "agent/sev/wrap.h"
#include "common/secret.h"

/* Longest HMAC text of the KDF: LE32, label, 0, context, LE32. */
#define KDF_TEXT_MAX 128

int
sev_session_kdf(uint8_t *out, size_t out_len, struct span key,
    const char *label, struct span context, struct err *err)
{
	uint8_t text[KDF_TEXT_MAX], block[SEV_SHA256_LEN];
	int rc = -1;

	if (out_len > UINT32_MAX / 8)
		return err_set(err, ERR_USAGE, "KDF of %zu bytes", out_len);
	for (uint32_t i = 1; out_len > 0; i++) {
		size_t part = out_len < sizeof(block) ? out_len : sizeof(block);
		struct writer w = writer_of(text, sizeof(text));

		/* SP 800-108 leaves the byte order open; 55766 2.2.2 takes
		 * little-endian. */
		writer_le32(&w, i);
		writer_put(&w, span_str(label));
		writer_u8(&w, 0);
		writer_put(&w, context);
		writer_le32(
		    &w, 8 * (uint32_t)(out_len + (i - 1) * sizeof(block)));
		if (!writer_ok(&w)) {
			err_set(err, ERR_USAGE,
			    "KDF label and context of %zu bytes, at most %d",
			    strlen(label) + context.len, KDF_TEXT_MAX - 9);
			goto out;
		}
		if (sev_hash_hmac(block, key, writer_span(&w), err) != 0)
			goto out;
		memcpy(out, block, part);
		out += part;
		out_len -= part;
	}
	rc = 0;
out:
	secret_wipe(block, sizeof(block));
	secret_wipe(text, sizeof(text));
	return rc;
}

int
sev_session_derive(struct sev_session_keys *out, struct span z,
    const uint8_t nonce[SEV_NONCE_LEN], struct err *err)
{
	struct span none = span_of(NULL, 0);
	struct span master = span_of(out->master, sizeof(out->master));

	if (sev_session_kdf(out->master, sizeof(out->master), z,
		SEV_KDF_LABEL_MASTER, span_of(nonce, SEV_NONCE_LEN),
		err) != 0 ||
	    sev_session_kdf(out->kek, sizeof(out->kek), master,
		SEV_KDF_LABEL_KEK, none, err) != 0 ||
	    sev_session_kdf(out->kik, sizeof(out->kik), master,
		SEV_KDF_LABEL_KIK, none, err) != 0) {
		secret_wipe(out, sizeof(*out));
		return -1;
	}
	return 0;
}

int
sev_session_wrap(uint8_t out[SEV_SESSION_LEN], struct span z, uint32_t policy,
    const struct sev_session_seed *seed, struct err *err)
{
	struct span tik = span_of(seed->tik, SEV_TK_LEN);
	struct sev_session_keys keys;
	struct writer w = writer_of(out, SEV_SESSION_LEN);
	uint8_t tk[SEV_WRAP_TK_LEN], wrapped[SEV_WRAP_TK_LEN], le[4];
	uint8_t wrap_mac[SEV_SHA256_LEN], policy_mac[SEV_SHA256_LEN];
	struct writer pw = writer_of(le, sizeof(le));
	int rc = -1;

	memcpy(tk, seed->tek, SEV_TK_LEN);
	memcpy(tk + SEV_TK_LEN, seed->tik, SEV_TK_LEN);
	writer_le32(&pw, policy);
	if (sev_session_derive(&keys, z, seed->nonce, err) != 0 ||
	    sev_wrap_ctr(wrapped, span_of(tk, sizeof(tk)), keys.kek,
		seed->wrap_iv, err) != 0 ||
	    sev_hash_hmac(wrap_mac, span_of(keys.kik, sizeof(keys.kik)),
		span_of(wrapped, sizeof(wrapped)), err) != 0 ||
	    sev_hash_hmac(policy_mac, tik, writer_span(&pw), err) != 0)
		goto out;
	/* 55766 6.2, table 45. */
	writer_put(&w, span_of(seed->nonce, SEV_NONCE_LEN));
	writer_put(&w, span_of(wrapped, sizeof(wrapped)));
	writer_put(&w, span_of(seed->wrap_iv, SEV_IV_LEN));
	writer_put(&w, span_of(wrap_mac, sizeof(wrap_mac)));
	writer_put(&w, span_of(policy_mac, sizeof(policy_mac)));
	rc = 0;
out:
	if (rc != 0)
		memset(out, 0, SEV_SESSION_LEN);
	secret_wipe(&keys, sizeof(keys));
	secret_wipe(tk, sizeof(tk));
	return rc;
}

/* A certificate of the point (x, y), unsigned: the firmware looks at neither
 * slot (55766 6.2). */
static int
write_godh(uint8_t out[SEV_CERT_LEN], const BIGNUM *x, const BIGNUM *y,
    struct err *err)
{
	struct writer w = writer_of(out, SEV_CERT_LEN);
	uint8_t qx[SEV_EC_NUMBER_LEN], qy[SEV_EC_NUMBER_LEN];

	if (BN_bn2lebinpad(x, qx, sizeof(qx)) < 0 ||
	    BN_bn2lebinpad(y, qy, sizeof(qy)) < 0)
		return err_set(err, ERR_INTERNAL, "a point that is too long");
	writer_le32(&w, 1); /* version */
	writer_le32(&w, 0); /* API 0.0, reserved */
	writer_le32(&w, SEV_USAGE_PDH);
	writer_le32(&w, SEV_ALGO_ECDH_SHA256);
	writer_le32(&w, SEV_CURVE_P384);
	writer_put(&w, span_of(qx, sizeof(qx)));
	writer_put(&w, span_of(qy, sizeof(qy)));
	writer_zeros(&w, SEV_CERT_SIGNED_LEN - w.len);
	for (size_t i = 0; i < 2; i++) {
		writer_le32(&w, SEV_USAGE_NONE);
		writer_le32(&w, SEV_ALGO_NONE);
		writer_zeros(&w, SEV_CERT_SIG_LEN);
	}
	return 0;
}

/* scalar * G, and the X of scalar * PDH: two multiplications, no more. */
static int
multiply(uint8_t z[SEV_P384_LEN], uint8_t godh_cert[SEV_CERT_LEN],
    const EC_GROUP *group, const uint8_t pdh[SEV_KEY_POINT_LEN],
    const BIGNUM *scalar, BN_CTX *bn, struct err *err)
{
	EC_POINT *peer = EC_POINT_new(group), *q = EC_POINT_new(group);
	BIGNUM *x = BN_CTX_get(bn), *y = BN_CTX_get(bn);
	int rc = -1;

	if (peer == NULL || q == NULL || y == NULL) {
		err_set(err, ERR_MEMORY, "no memory for a key exchange");
		goto out;
	}
	/* Refuses what is not on the curve; P-384 has cofactor 1. */
	if (EC_POINT_oct2point(group, peer, pdh, SEV_KEY_POINT_LEN, bn) != 1) {
		err_set(err, ERR_MALFORMED,
		    "the PDH is no point of P-384 (55766 C)");
		goto out;
	}
	if (EC_POINT_mul(group, q, scalar, NULL, NULL, bn) != 1 ||
	    EC_POINT_get_affine_coordinates(group, q, x, y, bn) != 1) {
		err_set(err, ERR_INTERNAL, "P-384 is not available");
		goto out;
	}
	if (write_godh(godh_cert, x, y, err) != 0)
		goto out;
	if (EC_POINT_mul(group, q, NULL, peer, scalar, bn) != 1 ||
	    EC_POINT_get_affine_coordinates(group, q, x, NULL, bn) != 1 ||
	    BN_bn2binpad(x, z, SEV_P384_LEN) != SEV_P384_LEN) {
		err_set(err, ERR_INTERNAL, "P-384 is not available");
		goto out;
	}
	rc = 0;
out:
	if (x != NULL)
		BN_clear(x);
	EC_POINT_free(peer);
	EC_POINT_clear_free(q);
	return rc;
}

int
sev_session_agree(uint8_t z[SEV_P384_LEN], uint8_t godh_cert[SEV_CERT_LEN],
    const struct sev_cert *pdh, const uint8_t scalar[SEV_P384_LEN],
    struct err *err)
{
	EC_GROUP *group = NULL;
	BN_CTX *bn = NULL;
	BIGNUM *k = NULL;
	uint8_t point[SEV_KEY_POINT_LEN];
	int rc = -1;

	if (pdh->usage != SEV_USAGE_PDH ||
	    (pdh->algo != SEV_ALGO_ECDH_SHA256 &&
		pdh->algo != SEV_ALGO_ECDH_SHA384)) {
		err_set(err, ERR_MALFORMED,
		    "usage 0x%04x with key algorithm 0x%04x, want a PDH with "
		    "ECDH (55766 C)",
		    pdh->usage, pdh->algo);
		goto out;
	}
	if (sev_key_point(point, pdh, err) != 0) {
		err_wrap(err, "PDH");
		goto out;
	}
	group = EC_GROUP_new_by_curve_name(NID_secp384r1);
	bn = BN_CTX_secure_new();
	k = BN_secure_new();
	if (group == NULL || bn == NULL || k == NULL ||
	    BN_bin2bn(scalar, SEV_P384_LEN, k) == NULL) {
		err_set(err, ERR_MEMORY, "no memory for a key exchange");
		goto out;
	}
	BN_set_flags(k, BN_FLG_CONSTTIME);
	BN_CTX_start(bn);
	ERR_set_mark();
	if (BN_is_zero(k) || BN_cmp(k, EC_GROUP_get0_order(group)) >= 0)
		err_set(err, ERR_USAGE,
		    "a private scalar outside 1..n-1: draw another");
	else
		rc = multiply(z, godh_cert, group, point, k, bn, err);
	ERR_pop_to_mark();
	BN_CTX_end(bn);
out:
	BN_clear_free(k);
	BN_CTX_free(bn);
	EC_GROUP_free(group);
	return rc;
}

int
sev_session_make(struct sev_session *out, const struct sev_cert *pdh,
    uint32_t policy, const struct sev_session_seed *seed, struct err *err)
{
	uint8_t z[SEV_P384_LEN];
	int rc = -1;

	if (sev_session_agree(z, out->godh_cert, pdh, seed->godh, err) != 0 ||
	    sev_session_wrap(
		out->blob, span_of(z, sizeof(z)), policy, seed, err) != 0)
		goto out;
	rc = 0;
out:
	if (rc != 0)
		memset(out, 0, sizeof(*out));
	secret_wipe(z, sizeof(z));
	return rc;
}
