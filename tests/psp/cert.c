#include "tests/psp/cert.h"

#include <openssl/evp.h>
#include <string.h>

#define CURVE_P384 2
#define SLOT_AT 1044
#define SLOT_LEN 520 /* usage 4, algorithm 4, signature 512 */
#define EC_RESERVED (PSP_CERT_SIGNED_LEN - 20 - 2 * PSP_EC_FIELD)

int
psp_cert_make(uint8_t out[PSP_CERT_LEN], enum psp_usage usage,
    enum psp_algo algo, const uint8_t api[2], EVP_PKEY *key, struct err *err)
{
	struct writer w = writer_of(out, PSP_CERT_LEN);
	uint8_t qx[PSP_EC_FIELD], qy[PSP_EC_FIELD];

	if (psp_key_point(qx, qy, key, err) != 0)
		return -1;
	writer_le32(&w, 1);
	writer_u8(&w, api[0]);
	writer_u8(&w, api[1]);
	writer_le16(&w, 0);
	writer_le32(&w, usage);
	writer_le32(&w, algo);
	writer_le32(&w, CURVE_P384);
	writer_put(&w, span_of(qx, sizeof(qx)));
	writer_put(&w, span_of(qy, sizeof(qy)));
	writer_zeros(&w, EC_RESERVED);
	if (!writer_ok(&w) || w.len != PSP_CERT_SIGNED_LEN)
		return err_set(
		    err, ERR_INTERNAL, "certificate body of %zu bytes", w.len);
	psp_cert_strip(out);
	return 0;
}

/* The usage and algorithm words of an otherwise zero slot. */
static struct writer
open_slot(uint8_t cert[PSP_CERT_LEN], unsigned slot, enum psp_usage usage,
    enum psp_algo algo)
{
	uint8_t *at = cert + SLOT_AT + slot * SLOT_LEN;
	struct writer w = writer_of(at, SLOT_LEN);

	memset(at, 0, SLOT_LEN);
	writer_le32(&w, usage);
	writer_le32(&w, algo);
	return w;
}

int
psp_cert_sign(uint8_t cert[PSP_CERT_LEN], unsigned slot, enum psp_usage usage,
    EVP_PKEY *key, struct err *err)
{
	struct span body = span_of(cert, PSP_CERT_SIGNED_LEN);
	uint8_t sig[PSP_RSA_MAX] = { 0 };
	size_t len = psp_key_bits(key) / 8;
	enum psp_algo algo;
	struct writer w;

	if (EVP_PKEY_is_a(key, "RSA")) {
		algo = len == PSP_RSA_MAX ? PSP_ALGO_RSA_SHA384
					  : PSP_ALGO_RSA_SHA256;
		if (psp_key_sign_rsa(sig, len, key, body, err) != 0)
			return -1;
	} else {
		algo = PSP_ALGO_ECDSA_SHA256;
		len = (size_t)2 * PSP_EC_FIELD;
		if (psp_key_sign_ec(
			sig, sig + PSP_EC_FIELD, key, false, body, err) != 0)
			return -1;
	}
	w = open_slot(cert, slot, usage, algo);
	writer_put(&w, span_of(sig, len));
	return 0;
}

void
psp_cert_strip(uint8_t cert[PSP_CERT_LEN])
{
	for (unsigned slot = 0; slot < 2; slot++)
		(void)open_slot(cert, slot, PSP_USAGE_NONE, PSP_ALGO_NONE);
}

int
psp_cert_key(
    EVP_PKEY **out, struct span cert, enum psp_usage usage, struct err *err)
{
	struct reader r = reader_of(cert);
	uint32_t version, got_usage, algo, curve;
	struct span qx, qy;

	if (cert.len != PSP_CERT_LEN)
		return err_set(err, ERR_MALFORMED,
		    "certificate of %zu bytes, want %d (55766 C)", cert.len,
		    PSP_CERT_LEN);
	version = reader_le32(&r);
	(void)reader_take(&r, 4);
	got_usage = reader_le32(&r);
	algo = reader_le32(&r);
	curve = reader_le32(&r);
	qx = reader_take(&r, PSP_EC_FIELD);
	qy = reader_take(&r, PSP_EC_FIELD);
	if (version != 1 || got_usage != usage ||
	    (algo != PSP_ALGO_ECDH_SHA256 && algo != PSP_ALGO_ECDH_SHA384) ||
	    curve != CURVE_P384)
		return err_set(err, ERR_MALFORMED,
		    "certificate of version %u, usage 0x%x, algorithm 0x%x, "
		    "curve %u (55766 C)",
		    version, got_usage, algo, curve);
	return psp_key_from_point(out, qx, qy, err);
}

struct span
psp_cert_api(const uint8_t cert[PSP_CERT_LEN])
{
	return span_of(cert + 4, 2);
}

int
psp_cert_make_amd(uint8_t out[PSP_AMD_CERT_MAX], size_t *len,
    enum psp_usage usage, EVP_PKEY *key, const uint8_t key_id[PSP_KEY_ID_LEN],
    EVP_PKEY *signer, const uint8_t signer_id[PSP_KEY_ID_LEN], struct err *err)
{
	struct writer w = writer_of(out, PSP_AMD_CERT_MAX);
	uint8_t number[PSP_RSA_MAX];
	size_t size = psp_key_bits(key) / 8;

	if (size > sizeof(number) || psp_key_bits(signer) / 8 != size)
		return err_set(err, ERR_USAGE,
		    "ARK and ASK of different or too large sizes");
	writer_le32(&w, 1);
	writer_put(&w, span_of(key_id, PSP_KEY_ID_LEN));
	writer_put(&w, span_of(signer_id, PSP_KEY_ID_LEN));
	writer_le32(&w, usage);
	writer_zeros(&w, 16);
	writer_le32(&w, (uint32_t)size * 8);
	writer_le32(&w, (uint32_t)size * 8);
	writer_le32(&w, 65537);
	writer_zeros(&w, size - 4);
	if (psp_key_modulus(number, size, key, err) != 0)
		return -1;
	writer_put(&w, span_of(number, size));
	if (!writer_ok(&w) ||
	    psp_key_sign_rsa(number, size, signer, writer_span(&w), err) != 0)
		return err_wrap(err, "AMD certificate");
	writer_put(&w, span_of(number, size));
	*len = w.len;
	return 0;
}
