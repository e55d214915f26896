#include "common/secret.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

int
secret_alloc(struct secret *out, size_t len, struct err *err)
{
	/* One byte more, so that an empty secret still has an address. */
	out->ptr = OPENSSL_zalloc(len + 1);
	out->len = out->ptr == NULL ? 0 : len;
	if (out->ptr == NULL)
		return err_set(err, ERR_MEMORY, "no memory for %zu bytes", len);
	return 0;
}

int
secret_copy(struct secret *out, struct span in, struct err *err)
{
	if (secret_alloc(out, in.len, err) != 0)
		return -1;
	if (in.len > 0)
		memcpy(out->ptr, in.ptr, in.len);
	return 0;
}

void
secret_free(struct secret *s)
{
	if (s == NULL)
		return;
	if (s->ptr != NULL)
		OPENSSL_clear_free(s->ptr, s->len + 1);
	s->ptr = NULL;
	s->len = 0;
}

struct span
secret_span(const struct secret *s)
{
	return span_of(s->ptr, s->len);
}

bool
secret_equal(struct span a, struct span b)
{
	return a.len == b.len &&
	    (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

void
secret_wipe(void *ptr, size_t len)
{
	if (ptr != NULL)
		OPENSSL_cleanse(ptr, len);
}

int
secret_random(void *out, size_t len, struct err *err)
{
	if (RAND_priv_bytes_ex(NULL, out, len, 0) != 1) {
		memset(out, 0, len);
		return err_set(err, ERR_INTERNAL,
		    "the random generator gave no %zu bytes", len);
	}
	return 0;
}
