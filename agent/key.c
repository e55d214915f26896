#include "agent/key.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"

#define KEY_FILE "agent.key"
#define KEY_FILE_MAX 4096
#define KEY_HEAD "ed25519:"

struct key {
	EVP_PKEY *pkey; /* NULL: ${signer} has it */
	key_signer *signer;
	void *arg;
	uint8_t public[UUID_KEY_LEN];
};

static int
key_wrap(struct key **out, EVP_PKEY *pkey, struct err *err)
{
	struct key *k = calloc(1, sizeof(*k));
	size_t len = sizeof(k->public);

	if (k == NULL) {
		EVP_PKEY_free(pkey);
		return err_set(err, ERR_MEMORY, "no memory for a key");
	}
	k->pkey = pkey;
	if (EVP_PKEY_get_id(pkey) != EVP_PKEY_ED25519 ||
	    EVP_PKEY_get_raw_public_key(pkey, k->public, &len) != 1 ||
	    len != sizeof(k->public)) {
		key_free(k);
		return err_set(
		    err, ERR_MALFORMED, KEY_FILE ": not an Ed25519 key");
	}
	*out = k;
	return 0;
}

int
key_new(struct key **out, const struct state *state, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	char *pem = NULL;
	long pem_len = 0;
	int rc = -1;

	if (bio == NULL || pkey == NULL ||
	    PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) !=
		1) {
		(void)err_set(err, ERR_INTERNAL, "Ed25519 key cannot be made");
		goto out;
	}
	pem_len = BIO_get_mem_data(bio, &pem);
	if (pem_len <= 0 ||
	    state_write(state, KEY_FILE, span_of(pem, (size_t)pem_len), err) !=
		0)
		goto out;
	if (key_wrap(out, pkey, err) != 0) {
		pkey = NULL;
		goto out;
	}
	pkey = NULL;
	rc = 0;
out:
	BIO_free(bio);
	EVP_PKEY_free(pkey);
	return rc;
}

/* No passphrase is ever asked for: a locked key file is an error. */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

int
key_load(struct key **out, const struct state *state, struct err *err)
{
	struct secret pem = { 0 };
	EVP_PKEY *pkey = NULL;
	BIO *bio = NULL;
	int rc = -1;

	if (state_read(&pem, state, KEY_FILE, KEY_FILE_MAX, err) != 0)
		goto out;
	bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	if (bio != NULL)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (pkey == NULL) {
		(void)err_set(
		    err, ERR_MALFORMED, KEY_FILE ": not a private key in PEM");
		goto out;
	}
	rc = key_wrap(out, pkey, err);
out:
	BIO_free(bio);
	secret_free(&pem);
	return rc;
}

int
key_remote(struct key **out, const uint8_t *public, key_signer *signer,
    void *arg, struct err *err)
{
	struct key *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a key");
	k->signer = signer;
	k->arg = arg;
	memcpy(k->public, public, sizeof(k->public));
	*out = k;
	return 0;
}

void
key_free(struct key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

const uint8_t *
key_public(const struct key *k)
{
	return k->public;
}

char *
key_format(char out[KEY_TEXT_LEN], const struct key *k)
{
	char text[KEY_TEXT_LEN];

	(void)snprintf(out, KEY_TEXT_LEN, KEY_HEAD "%s",
	    base64_encode(text, 48, span_of(k->public, sizeof(k->public))));
	return out;
}

int
key_sign(uint8_t out[KEY_SIG_LEN], const struct key *k, struct span in,
    struct err *err)
{
	EVP_MD_CTX *ctx = NULL;
	size_t len = KEY_SIG_LEN;
	int rc = -1;

	if (k->signer != NULL)
		return k->signer(out, k->arg, in, err);
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL ||
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) != 1 ||
	    EVP_DigestSign(ctx, out, &len, in.ptr, in.len) != 1 ||
	    len != KEY_SIG_LEN) {
		(void)err_set(err, ERR_INTERNAL, "Ed25519 cannot sign");
		goto out;
	}
	rc = 0;
out:
	EVP_MD_CTX_free(ctx);
	return rc;
}

int
key_parse(uint8_t public[UUID_KEY_LEN], const char *text, struct err *err)
{
	const size_t head = sizeof(KEY_HEAD) - 1;
	size_t len = 0;

	if (strncmp(text, KEY_HEAD, head) != 0 ||
	    base64_decode(
		public, UUID_KEY_LEN, &len, span_str(text + head), NULL) != 0 ||
	    len != UUID_KEY_LEN)
		return err_set(err, ERR_USAGE,
		    "want " KEY_HEAD " and the base64 of 32 bytes, as the "
		    "other agent's `attest-agent key show` prints it");
	return 0;
}

int
key_verify(const uint8_t public[UUID_KEY_LEN], struct span signature,
    struct span in, struct err *err)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(
	    EVP_PKEY_ED25519, NULL, public, UUID_KEY_LEN);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int rc = -1;

	/* EVP_DigestVerify() gives 0 for a bad signature and < 0 for a fault:
	 * both refuse. */
	if (pkey != NULL && ctx != NULL &&
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestVerify(
		ctx, signature.ptr, signature.len, in.ptr, in.len) == 1)
		rc = 0;
	else
		(void)err_set(
		    err, ERR_UNTRUSTED, "the signature is not that of its key");
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return rc;
}
