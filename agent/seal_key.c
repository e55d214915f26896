#include "agent/seal_key.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/file.h"
#include "agent/vault/store_seal.h"

#define SEAL_KEY_FILE "seal.key"
#define SEAL_WRAP_FILE "seal.scrypt"
#define SEAL_CREDENTIAL "attest-agent.seal"
#define SEAL_WRAP_MAX 256
#define SEAL_SALT_LEN 16

/* RFC 7914; N 2^17, r 8: 128 MiB and about half a second on a laptop. */
#define SEAL_LOG2_N 17
#define SEAL_R 8
#define SEAL_P 1
/* What a file may ask for: not all memory, and no less than is safe. */
#define SEAL_LOG2_N_MIN 14
#define SEAL_LOG2_N_MAX 20
#define SEAL_R_MAX 16
#define SEAL_P_MAX 4

static const char tag[] = "attest-agent seal.scrypt 1"; /* with its NUL */

static int
right_length(struct secret *out, const char *name, struct err *err)
{
	size_t len = out->len;

	if (len == STORE_SEAL_KEY_LEN)
		return 0;
	secret_free(out);
	return err_set(err, ERR_MALFORMED, "%s: %zu bytes, want %d", name, len,
	    STORE_SEAL_KEY_LEN);
}

static int
load_path(struct secret *out, const char *path, struct err *err)
{
	if (file_read_private(out, path, STORE_SEAL_KEY_LEN, err) != 0)
		return -1;
	return right_length(out, path, err);
}

int
seal_key_load(struct secret *out, const struct state *state, struct err *err)
{
	const char *own = getenv("ATTEST_AGENT_SEAL_FILE");
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char path[STATE_PATH_MAX];
	int n;

	if (own != NULL && own[0] != '\0')
		return load_path(out, own, err);
	if (dir != NULL && dir[0] != '\0') {
		n = snprintf(path, sizeof(path), "%s/" SEAL_CREDENTIAL, dir);
		if (n > 0 && (size_t)n < sizeof(path) &&
		    access(path, F_OK) == 0)
			return load_path(out, path, err);
	}
	if (faccessat(state->dir_fd, SEAL_WRAP_FILE, F_OK, 0) == 0)
		return err_set(err, ERR_CLOSED,
		    "locked: " SEAL_WRAP_FILE
		    " wants its passphrase (attest-agent unlock)");
	if (state_read(out, state, SEAL_KEY_FILE, STORE_SEAL_KEY_LEN, err) != 0)
		return -1;
	return right_length(out, SEAL_KEY_FILE, err);
}

int
seal_key_make(struct secret *out, const struct state *state, struct err *err)
{
	if (secret_alloc(out, STORE_SEAL_KEY_LEN, err) != 0)
		return -1;
	if (secret_random(out->ptr, out->len, err) == 0 &&
	    state_write(state, SEAL_KEY_FILE, secret_span(out), err) == 0)
		return 0;
	secret_free(out);
	return -1;
}

int
seal_key_parse(struct seal_wrap *out, struct span in, struct err *err)
{
	struct reader r = reader_of(in);
	struct span head = reader_take(&r, sizeof(tag));

	out->log2_n = reader_u8(&r);
	out->r = reader_be32(&r);
	out->p = reader_be32(&r);
	out->salt = reader_take(&r, SEAL_SALT_LEN);
	out->sealed = reader_take(&r, STORE_SEAL_KEY_LEN + STORE_SEAL_OVERHEAD);
	if (!reader_done(&r) || !span_equal(head, span_of(tag, sizeof(tag))))
		return err_set(err, ERR_MALFORMED,
		    SEAL_WRAP_FILE ": %zu bytes that are not its form", in.len);
	if (out->log2_n < SEAL_LOG2_N_MIN || out->log2_n > SEAL_LOG2_N_MAX ||
	    out->r < SEAL_R || out->r > SEAL_R_MAX || out->p == 0 ||
	    out->p > SEAL_P_MAX)
		return err_set(err, ERR_MALFORMED,
		    SEAL_WRAP_FILE ": scrypt N 2^%u, r %u, p %u are out of "
				   "bounds",
		    out->log2_n, out->r, out->p);
	return 0;
}

static int
stretch(struct secret *out, const struct seal_wrap *wrap,
    struct span passphrase, struct err *err)
{
	uint64_t n = UINT64_C(1) << wrap->log2_n;
	/* 128 N r, and as OpenSSL counts, a little more. */
	uint64_t most =
	    (n + 32) * wrap->r * 128 + 128 * wrap->r * wrap->p + (1 << 20);

	if (secret_alloc(out, STORE_SEAL_KEY_LEN, err) != 0)
		return -1;
	if (EVP_PBE_scrypt((const char *)passphrase.ptr, passphrase.len,
		wrap->salt.ptr, wrap->salt.len, n, wrap->r, wrap->p, most,
		out->ptr, out->len) == 1)
		return 0;
	secret_free(out);
	return err_set(err, ERR_MEMORY,
	    "scrypt wants %llu MiB that are not there",
	    (unsigned long long)(most >> 20));
}

int
seal_key_unwrap(struct secret *out, const struct state *state,
    struct span passphrase, struct err *err)
{
	struct secret stored = { 0 };
	struct secret clear = { 0 };
	struct secret kek = { 0 };
	struct seal_wrap wrap;
	int rc = -1;

	if (state_read(&stored, state, SEAL_WRAP_FILE, SEAL_WRAP_MAX, err) !=
		0 ||
	    seal_key_parse(&wrap, secret_span(&stored), err) != 0 ||
	    stretch(&kek, &wrap, passphrase, err) != 0)
		goto out;
	/* The head is in the AAD: other parameters would not open it. */
	if (store_unseal(out, secret_span(&kek),
		span_of(stored.ptr, stored.len - wrap.sealed.len), wrap.sealed,
		NULL) != 0) {
		(void)err_set(err, ERR_UNTRUSTED, "wrong passphrase");
		goto out;
	}
	rc = 0;
	/* Left in the clear if seal_key_wrap() was killed half-way. */
	if (state_read(
		&clear, state, SEAL_KEY_FILE, STORE_SEAL_KEY_LEN, NULL) == 0 &&
	    secret_equal(secret_span(&clear), secret_span(out)))
		rc = state_remove(state, SEAL_KEY_FILE, err);
	if (rc != 0)
		secret_free(out);
out:
	secret_free(&kek);
	secret_free(&clear);
	secret_free(&stored);
	return rc;
}

int
seal_key_wrap(const struct state *state, struct span key,
    struct span passphrase, struct err *err)
{
	struct seal_wrap wrap = {
		.log2_n = SEAL_LOG2_N, .r = SEAL_R, .p = SEAL_P
	};
	uint8_t bytes[SEAL_WRAP_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint8_t salt[SEAL_SALT_LEN];
	struct secret sealed = { 0 };
	struct secret kek = { 0 };
	int rc = -1;

	if (secret_random(salt, sizeof(salt), err) != 0)
		return -1;
	wrap.salt = span_of(salt, sizeof(salt));
	writer_put(&w, span_of(tag, sizeof(tag)));
	writer_u8(&w, wrap.log2_n);
	writer_be32(&w, wrap.r);
	writer_be32(&w, wrap.p);
	writer_put(&w, wrap.salt);
	if (stretch(&kek, &wrap, passphrase, err) != 0 ||
	    store_seal(&sealed, secret_span(&kek), writer_span(&w), key, err) !=
		0)
		goto out;
	writer_put(&w, secret_span(&sealed));
	if (state_write(state, SEAL_WRAP_FILE, writer_span(&w), err) != 0 ||
	    state_remove(state, SEAL_KEY_FILE, err) != 0)
		goto out;
	rc = 0;
out:
	secret_free(&kek);
	secret_free(&sealed);
	return rc;
}
