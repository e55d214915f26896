/* kat/session.json: LAUNCH_START sessions, from fixed randomness. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "agent/sev/key.h"
#include "tests/known_answers/field.h"

/* What a case gives; the session blob tells nonce and IV again. */
struct session_case {
	struct sev_session_seed seed;
	struct secret blob, pdh_raw, godh_raw;
	struct sev_cert pdh, godh;
	uint32_t policy;
	bool has_scalar, has_godh, has_z;
	uint8_t z[SEV_P384_LEN];
};

static int
read_pem(EVP_PKEY **out, const json_t *c, const char *name, struct err *err)
{
	const char *text = field_text(c, name);
	BIO *bio = text == NULL ? NULL : BIO_new_mem_buf(text, -1);
	EVP_PKEY_CTX *ctx;
	bool halves;

	*out =
	    bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (*out == NULL)
		return err_set(err, ERR_MALFORMED, "%s: no private key", name);
	ctx = EVP_PKEY_CTX_new(*out, NULL);
	halves = ctx != NULL && EVP_PKEY_pairwise_check(ctx) == 1;
	EVP_PKEY_CTX_free(ctx);
	if (!halves)
		return err_set(err, ERR_UNTRUSTED,
		    "%s: private and public key are not of one pair", name);
	return 0;
}

/* The GODH scalar: in hex, in PEM, or both alike. */
static int
read_scalar(struct session_case *s, const json_t *c, struct err *err)
{
	uint8_t scalar[SEV_P384_LEN];
	EVP_PKEY *key = NULL;
	BIGNUM *n = NULL;
	int rc = -1;

	if (field_has(c, "godh_private_scalar_hex")) {
		if (field_fixed(s->seed.godh, SEV_P384_LEN, c,
			"godh_private_scalar_hex", err) != 0)
			goto out;
		s->has_scalar = true;
	}
	if (!field_has(c, "godh_private_pem")) {
		rc = 0;
		goto out;
	}
	if (read_pem(&key, c, "godh_private_pem", err) != 0)
		goto out;
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &n) != 1 ||
	    BN_bn2binpad(n, scalar, sizeof(scalar)) < 0) {
		err_set(err, ERR_MALFORMED, "godh_private_pem: no P-384 key");
		goto out;
	}
	if (s->has_scalar &&
	    memcmp(s->seed.godh, scalar, sizeof(scalar)) != 0) {
		err_set(err, ERR_UNTRUSTED, "godh_private_pem differs");
		goto out;
	}
	memcpy(s->seed.godh, scalar, sizeof(scalar));
	s->has_scalar = true;
	rc = 0;
out:
	EVP_PKEY_free(key);
	BN_free(n);
	return rc;
}

static int
read_blob(struct session_case *s, const json_t *c, struct err *err)
{
	struct reader r;

	if (field_b64(&s->blob, c, "session_b64", err) != 0)
		return -1;
	r = reader_of(secret_span(&s->blob));
	reader_copy(&r, s->seed.nonce, SEV_NONCE_LEN);
	reader_take(&r, SEV_WRAP_TK_LEN);
	reader_copy(&r, s->seed.wrap_iv, SEV_IV_LEN);
	reader_take(&r, 2 * SEV_SHA256_LEN);
	if (!reader_done(&r))
		return err_set(err, ERR_MALFORMED,
		    "session_b64: %zu bytes, want %d", s->blob.len,
		    SEV_SESSION_LEN);
	if (field_same(c, "nonce", span_of(s->seed.nonce, SEV_NONCE_LEN), err))
		return -1;
	return field_same(
	    c, "wrap_iv", span_of(s->seed.wrap_iv, SEV_IV_LEN), err);
}

static int
read_case(struct session_case *s, const json_t *c, struct err *err)
{
	static const char *const godhs[] = { "godh_cert_b64_unsigned",
		"godh_cert_b64" };

	if (field_uint(&s->policy, c, "policy", UINT32_MAX, err) != 0 ||
	    field_fixed(s->seed.tek, SEV_TK_LEN, c, "tek", err) != 0 ||
	    field_fixed(s->seed.tik, SEV_TK_LEN, c, "tik", err) != 0 ||
	    read_blob(s, c, err) != 0 || read_scalar(s, c, err) != 0)
		return -1;
	if (field_has(c, "pdh_cert_b64") &&
	    (field_b64(&s->pdh_raw, c, "pdh_cert_b64", err) != 0 ||
		sev_cert_parse(&s->pdh, secret_span(&s->pdh_raw), err) != 0))
		return err_wrap(err, "pdh_cert_b64");
	for (size_t i = 0; i < 2; i++) {
		if (!field_has(c, godhs[i]))
			continue;
		secret_free(&s->godh_raw);
		if (field_b64(&s->godh_raw, c, godhs[i], err) != 0 ||
		    sev_cert_parse(&s->godh, secret_span(&s->godh_raw), err) !=
			0)
			return err_wrap(err, "%s", godhs[i]);
		s->has_godh = true;
		if (s->godh.usage != SEV_USAGE_PDH)
			return err_set(
			    err, ERR_MALFORMED, "%s: no GODH", godhs[i]);
	}
	return 0;
}

/* The owner's way: scalar and PDH, through the function of the product. */
static int
as_owner(struct session_case *s, const json_t *c, struct err *err)
{
	struct sev_session session;
	uint8_t cert[SEV_CERT_LEN];
	struct sev_cert made;

	if (s->pdh_raw.len == 0)
		return err_set(err, ERR_MALFORMED, "a scalar without a PDH");
	if (sev_session_make(&session, &s->pdh, s->policy, &s->seed, err) !=
		0 ||
	    sev_session_agree(s->z, cert, &s->pdh, s->seed.godh, err) != 0)
		return -1;
	s->has_z = true;
	if (memcmp(cert, session.godh_cert, sizeof(cert)) != 0 ||
	    sev_cert_parse(&made, span_of(cert, sizeof(cert)), err) != 0)
		return err_set(err, ERR_INTERNAL, "two GODH certificates");
	if (field_same_b64(c, "godh_cert_b64_unsigned",
		span_of(session.godh_cert, SEV_CERT_LEN), err) != 0 ||
	    field_same_b64(c, "session_b64",
		span_of(session.blob, sizeof(session.blob)), err) != 0)
		return -1;
	/* "godh_cert_b64" may be signed by its maker: compare the key. */
	if (s->has_godh && !sev_cert_same_key(&made, &s->godh))
		return err_set(err, ERR_UNTRUSTED, "GODH key differs");
	return 0;
}

/* The platform's private key is of the PDH that the session was made for. */
static int
check_pdh(const struct session_case *s, EVP_PKEY *own, struct err *err)
{
	EVP_PKEY *pdh = NULL;
	bool same;

	if (s->pdh_raw.len == 0)
		return 0;
	if (sev_key_ec(&pdh, &s->pdh, err) != 0)
		return err_wrap(err, "pdh_cert_b64");
	same = EVP_PKEY_eq(own, pdh) == 1;
	EVP_PKEY_free(pdh);
	if (same)
		return 0;
	return err_set(err, ERR_UNTRUSTED,
	    "pdh_private_pem is not the key of pdh_cert_b64");
}

/* The secure processor's way to the same shared point. */
static int
as_platform(struct session_case *s, const json_t *c, struct err *err)
{
	EVP_PKEY *own = NULL, *peer = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	uint8_t z[SEV_P384_LEN];
	size_t len = sizeof(z);
	int rc = -1;

	if (read_pem(&own, c, "pdh_private_pem", err) != 0 ||
	    check_pdh(s, own, err) != 0 ||
	    sev_key_ec(&peer, &s->godh, err) != 0)
		goto out;
	ctx = EVP_PKEY_CTX_new(own, NULL);
	if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
	    EVP_PKEY_derive(ctx, z, &len) != 1 || len != sizeof(z)) {
		err_set(err, ERR_MALFORMED, "pdh_private_pem: no P-384 key");
		goto out;
	}
	if (s->has_z && memcmp(z, s->z, sizeof(z)) != 0) {
		err_set(err, ERR_UNTRUSTED, "the two sides share no point");
		goto out;
	}
	memcpy(s->z, z, sizeof(z));
	s->has_z = true;
	rc = 0;
out:
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(own);
	EVP_PKEY_free(peer);
	return rc;
}

/* Every intermediate value that the case lists. */
static int
check_steps(const struct session_case *s, const json_t *c, struct err *err)
{
	struct span z = span_of(s->z, sizeof(s->z));
	struct sev_session_keys keys;
	uint8_t blob[SEV_SESSION_LEN];
	struct reader r = reader_of(span_of(blob, sizeof(blob)));

	if (sev_session_derive(&keys, z, s->seed.nonce, err) != 0 ||
	    sev_session_wrap(blob, z, s->policy, &s->seed, err) != 0)
		return -1;
	if (field_same(c, "z", z, err) != 0 ||
	    field_same(c, "master_secret", span_of(keys.master, 16), err) ||
	    field_same(c, "kek", span_of(keys.kek, 16), err) != 0 ||
	    field_same(c, "kik", span_of(keys.kik, 16), err) != 0)
		return -1;
	reader_take(&r, SEV_NONCE_LEN);
	if (field_same(c, "wrap_tk", reader_take(&r, SEV_WRAP_TK_LEN), err))
		return -1;
	reader_take(&r, SEV_IV_LEN);
	if (field_same(c, "wrap_mac", reader_take(&r, SEV_SHA256_LEN), err) ||
	    field_same(c, "policy_mac", reader_take(&r, SEV_SHA256_LEN), err))
		return -1;
	return field_same_b64(
	    c, "session_b64", span_of(blob, sizeof(blob)), err);
}

static enum kat_result
run(const struct kat_file *file, const json_t *c, struct err *say)
{
	struct session_case s = { .policy = 0 };
	enum kat_result result = KAT_FAIL;
	bool platform;

	(void)file;
	if (read_case(&s, c, say) != 0)
		goto out;
	platform = s.has_godh && field_has(c, "pdh_private_pem");
	if (!platform && field_has(c, "pdh_private_pem")) {
		err_set(say, ERR_MALFORMED, "pdh_private_pem without a GODH");
		goto out;
	}
	if ((s.has_scalar && as_owner(&s, c, say) != 0) ||
	    (platform && as_platform(&s, c, say) != 0))
		goto out;
	if (!s.has_z && field_has(c, "z")) {
		if (field_fixed(s.z, sizeof(s.z), c, "z", say) != 0)
			goto out;
		s.has_z = true;
	}
	if (!s.has_z) {
		err_set(say, ERR_MALFORMED, "neither private key nor z");
		goto out;
	}
	if (check_steps(&s, c, say) != 0)
		goto out;
	err_set(say, ERR_NONE, "%s%s%s", s.has_scalar ? "made" : "",
	    s.has_scalar && platform ? ", " : "", platform ? "unwrapped" : "");
	result = KAT_PASS;
out:
	secret_free(&s.blob);
	secret_free(&s.pdh_raw);
	secret_free(&s.godh_raw);
	return result;
}

static const char *const optional[] = { "godh_private_scalar_hex",
	"godh_private_pem", "pdh_cert_b64", "pdh_private_pem", "nonce",
	"wrap_iv", "z", "master_secret", "kek", "kik", "wrap_tk", "wrap_mac",
	"policy_mac", "godh_cert_b64_unsigned", "godh_cert_b64", NULL };

const struct kat_form kat_session_form = { "session",
	{ "policy", "tek", "tik", "session_b64" }, optional, run };
