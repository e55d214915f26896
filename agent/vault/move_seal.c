#include "agent/vault/move_seal.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>

#include "agent/vault/store_seal.h"
#include "common/base64.h"

#define MOVE_KEY_HEAD "x25519:"
#define LEN(text) (sizeof(text) - 1)

static const char magic[] = "attest-export.v1";
/* With their NUL, so that neither begins the other. */
static const char label_seal[] = "attest-agent export.v1 seal";
static const char label_sign[] = "attest-agent export.v1 sign";

int
move_key_new(uint8_t private[MOVE_KEY_LEN], struct err *err)
{
	/* Any 32 bytes are a key: RFC 7748 5 clears and sets the bits that
	 * must be so. */
	return secret_random(private, MOVE_KEY_LEN, err);
}

int
move_key_public(uint8_t out[MOVE_KEY_LEN], const uint8_t private[MOVE_KEY_LEN],
    struct err *err)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(
	    EVP_PKEY_X25519, NULL, private, MOVE_KEY_LEN);
	size_t len = MOVE_KEY_LEN;
	int rc = -1;

	if (pkey == NULL || EVP_PKEY_get_raw_public_key(pkey, out, &len) != 1 ||
	    len != MOVE_KEY_LEN)
		(void)err_set(err, ERR_INTERNAL, "X25519 is not available");
	else
		rc = 0;
	EVP_PKEY_free(pkey);
	return rc;
}

char *
move_key_format(char out[MOVE_KEY_TEXT_LEN], const uint8_t public[MOVE_KEY_LEN])
{
	memcpy(out, MOVE_KEY_HEAD, LEN(MOVE_KEY_HEAD));
	(void)base64_encode(out + LEN(MOVE_KEY_HEAD),
	    MOVE_KEY_TEXT_LEN - LEN(MOVE_KEY_HEAD),
	    span_of(public, MOVE_KEY_LEN));
	return out;
}

int
move_key_parse(uint8_t out[MOVE_KEY_LEN], const char *text, struct err *err)
{
	size_t len = 0;

	if (strncmp(text, MOVE_KEY_HEAD, LEN(MOVE_KEY_HEAD)) != 0 ||
	    base64_decode(out, MOVE_KEY_LEN, &len,
		span_str(text + LEN(MOVE_KEY_HEAD)), NULL) != 0 ||
	    len != MOVE_KEY_LEN)
		return err_set(err, ERR_USAGE,
		    "want " MOVE_KEY_HEAD " and the base64 of 32 bytes, as "
		    "the other agent's `attest-agent key seal-to` prints it");
	return 0;
}

/* RFC 7748 6.1; OpenSSL refuses points of small order, whose secret would be
 * zeros whatever the private key. */
static int
exchange(uint8_t out[MOVE_KEY_LEN], const uint8_t private[MOVE_KEY_LEN],
    const uint8_t public[MOVE_KEY_LEN])
{
	EVP_PKEY *own = EVP_PKEY_new_raw_private_key(
	    EVP_PKEY_X25519, NULL, private, MOVE_KEY_LEN);
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(
	    EVP_PKEY_X25519, NULL, public, MOVE_KEY_LEN);
	EVP_PKEY_CTX *ctx = own != NULL ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	size_t len = MOVE_KEY_LEN;
	int rc = -1;

	if (ctx != NULL && peer != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
	    EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
	    EVP_PKEY_derive(ctx, out, &len) == 1 && len == MOVE_KEY_LEN)
		rc = 0;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(own);
	return rc;
}

/* HKDF-SHA256 (RFC 5869) without salt; info = label || 0 || head, and the head
 * has every public value of the exchange. */
static int
derive(uint8_t out[STORE_SEAL_KEY_LEN], const uint8_t shared[MOVE_KEY_LEN],
    struct span head)
{
	uint8_t info[sizeof(label_seal) + MOVE_HEAD_LEN];
	uint8_t ikm[MOVE_KEY_LEN];
	char digest[] = "SHA256";
	struct writer w = writer_of(info, sizeof(info));
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[4];
	int rc = -1;

	memcpy(ikm, shared, sizeof(ikm));
	writer_put(&w, span_of(label_seal, sizeof(label_seal)));
	writer_put(&w, head);
	params[0] =
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_octet_string(
	    OSSL_KDF_PARAM_KEY, ikm, sizeof(ikm));
	params[2] =
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, w.len);
	params[3] = OSSL_PARAM_construct_end();
	if (ctx != NULL && writer_ok(&w) &&
	    EVP_KDF_derive(ctx, out, STORE_SEAL_KEY_LEN, params) == 1)
		rc = 0;
	secret_wipe(ikm, sizeof(ikm));
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return rc;
}

/* What Ed25519 signs: label || 0 || the file up to the signature. */
static int
sign_text(struct secret *out, struct span file, struct err *err)
{
	struct writer w;

	if (secret_alloc(out, sizeof(label_sign) + file.len, err) != 0)
		return -1;
	w = writer_of(out->ptr, out->len);
	writer_put(&w, span_of(label_sign, sizeof(label_sign)));
	writer_put(&w, file);
	return 0;
}

/* magic:16 id:16 sender:32 recipient:32 ephemeral:32 time:8 length:4 */
static void
put_head(struct writer *w, const struct move_file *f, size_t sealed_len)
{
	writer_put(w, span_of(magic, LEN(magic)));
	writer_put(w, span_of(f->id, sizeof(f->id)));
	writer_put(w, span_of(f->sender, sizeof(f->sender)));
	writer_put(w, span_of(f->recipient, sizeof(f->recipient)));
	writer_put(w, span_of(f->ephemeral, sizeof(f->ephemeral)));
	writer_be64(w, (uint64_t)f->wall_ms);
	writer_be32(w, (uint32_t)sealed_len);
}

/* The ciphertext of ${text} under a key that is used once. */
static int
seal_text(struct secret *out, struct move_file *f, uint8_t head[MOVE_HEAD_LEN],
    struct span text, struct err *err)
{
	struct writer w = writer_of(head, MOVE_HEAD_LEN);
	uint8_t private[MOVE_KEY_LEN] = { 0 };
	uint8_t shared[MOVE_KEY_LEN] = { 0 };
	uint8_t key[STORE_SEAL_KEY_LEN] = { 0 };
	int rc = -1;

	if (move_key_new(private, err) != 0 ||
	    move_key_public(f->ephemeral, private, err) != 0)
		goto out;
	put_head(&w, f, text.len + STORE_SEAL_OVERHEAD);
	if (exchange(shared, private, f->recipient) != 0) {
		(void)err_set(err, ERR_USAGE,
		    "the recipient's key is none that anybody could hold");
		goto out;
	}
	if (derive(key, shared, writer_span(&w)) != 0) {
		(void)err_set(err, ERR_INTERNAL, "HKDF is not available");
		goto out;
	}
	rc = store_seal(
	    out, span_of(key, sizeof(key)), writer_span(&w), text, err);
out:
	secret_wipe(private, sizeof(private));
	secret_wipe(shared, sizeof(shared));
	secret_wipe(key, sizeof(key));
	return rc;
}

int
move_seal(struct secret *out, const uint8_t id[MOVE_ID_LEN],
    const struct key *key, const uint8_t recipient[MOVE_KEY_LEN],
    int64_t wall_ms, struct span text, struct err *err)
{
	uint8_t signature[KEY_SIG_LEN];
	uint8_t head[MOVE_HEAD_LEN];
	struct move_file f = { .wall_ms = wall_ms };
	struct secret sealed = { 0 };
	struct secret signed_ = { 0 };
	struct writer w;
	int rc = -1;

	if (text.len > MOVE_TEXT_MAX)
		return err_set(err, ERR_LIMIT,
		    "export of %zu bytes, at most %d: fewer VMs at a time",
		    text.len, MOVE_TEXT_MAX);
	memcpy(f.id, id, sizeof(f.id));
	memcpy(f.sender, key_public(key), sizeof(f.sender));
	memcpy(f.recipient, recipient, sizeof(f.recipient));
	if (seal_text(&sealed, &f, head, text, err) != 0 ||
	    secret_alloc(out, sizeof(head) + sealed.len + KEY_SIG_LEN, err) !=
		0)
		goto out;
	w = writer_of(out->ptr, out->len);
	writer_put(&w, span_of(head, sizeof(head)));
	writer_put(&w, secret_span(&sealed));
	if (sign_text(&signed_, writer_span(&w), err) != 0 ||
	    key_sign(signature, key, secret_span(&signed_), err) != 0) {
		secret_free(out);
		goto out;
	}
	writer_put(&w, span_of(signature, sizeof(signature)));
	rc = 0;
out:
	secret_free(&sealed);
	secret_free(&signed_);
	return rc;
}

int
move_read(struct move_file *out, struct span in, struct err *err)
{
	struct reader r = reader_of(in);
	uint32_t len;

	if (in.len > MOVE_FILE_MAX)
		return err_set(err, ERR_LIMIT,
		    "export file of %zu bytes, at most %d", in.len,
		    MOVE_FILE_MAX);
	/* The version is the last character. */
	if (!span_equal(reader_take(&r, LEN(magic) - 1),
		span_of(magic, LEN(magic) - 1)))
		return err_set(err, ERR_MALFORMED, "this is no export file");
	if (reader_u8(&r) != '1')
		return err_set(err, ERR_UNSUPPORTED,
		    "export file of another version, want 1");
	reader_copy(&r, out->id, sizeof(out->id));
	reader_copy(&r, out->sender, sizeof(out->sender));
	reader_copy(&r, out->recipient, sizeof(out->recipient));
	reader_copy(&r, out->ephemeral, sizeof(out->ephemeral));
	out->wall_ms = (int64_t)reader_be64(&r);
	len = reader_be32(&r);
	out->sealed = reader_take(&r, len);
	out->signature = reader_take(&r, KEY_SIG_LEN);
	if (!reader_done(&r) || len < MOVE_SEALED_MIN)
		return err_set(err, ERR_MALFORMED,
		    "export file of %zu bytes is cut short, or longer than it "
		    "says",
		    in.len);
	out->head = span_of(in.ptr, MOVE_HEAD_LEN);
	out->signed_ = span_of(in.ptr, in.len - KEY_SIG_LEN);
	return 0;
}

static int
check_sender(const struct move_file *file, const uint8_t sender[UUID_KEY_LEN],
    struct err *err)
{
	struct secret text = { 0 };
	int rc = -1;

	if (!span_equal(span_of(file->sender, sizeof(file->sender)),
		span_of(sender, UUID_KEY_LEN)))
		return err_set(err, ERR_UNTRUSTED,
		    "the export file is of another agent than --from says");
	if (sign_text(&text, file->signed_, err) == 0 &&
	    key_verify(sender, file->signature, secret_span(&text), err) == 0)
		rc = 0;
	secret_free(&text);
	return rc;
}

int
move_open(struct secret *out, const struct move_file *file,
    const uint8_t private[MOVE_KEY_LEN], const uint8_t sender[UUID_KEY_LEN],
    struct err *err)
{
	uint8_t public[MOVE_KEY_LEN];
	uint8_t shared[MOVE_KEY_LEN] = { 0 };
	uint8_t key[STORE_SEAL_KEY_LEN] = { 0 };
	int rc = -1;

	if (check_sender(file, sender, err) != 0 ||
	    move_key_public(public, private, err) != 0)
		return -1;
	if (!span_equal(span_of(public, sizeof(public)),
		span_of(file->recipient, sizeof(file->recipient))))
		return err_set(err, ERR_UNTRUSTED,
		    "the export file is sealed to another agent's key");
	if (exchange(shared, private, file->ephemeral) != 0 ||
	    derive(key, shared, file->head) != 0)
		(void)err_set(err, ERR_UNTRUSTED,
		    "the export file has no usable key in it");
	else
		rc = store_unseal(out, span_of(key, sizeof(key)), file->head,
		    file->sealed, err);
	secret_wipe(shared, sizeof(shared));
	secret_wipe(key, sizeof(key));
	return rc;
}
