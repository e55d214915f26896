#include "agent/cli/offline_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"

#define CHUNK (64u << 10)

/* Grow ${out} to ${cap} bytes without leaving a copy behind. */
static int
grow(struct secret *out, size_t cap, size_t len, struct err *err)
{
	struct secret more = { NULL, 0 };

	if (secret_alloc(&more, cap, err) != 0)
		return -1;
	if (len > 0)
		memcpy(more.ptr, out->ptr, len);
	secret_free(out);
	*out = more;
	return 0;
}

static int
slurp(struct secret *out, FILE *f, size_t max, struct err *err)
{
	size_t len = 0, got;

	do {
		if (len == out->len &&
		    grow(out, len == 0 ? CHUNK : 2 * len, len, err) != 0)
			return -1;
		got = fread(out->ptr + len, 1, out->len - len, f);
		len += got;
		if (len > max)
			return err_set(
			    err, ERR_LIMIT, "more than %zu bytes", max);
	} while (got > 0);
	if (ferror(f))
		return err_set(err, ERR_IO, "%s", strerror(errno));
	out->len = len;
	return 0;
}

int
offline_file_read(
    struct secret *out, const char *path, size_t max, struct err *err)
{
	FILE *f = fopen(path, "rb");
	int rc = -1;

	if (f == NULL)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	if (slurp(out, f, max, err) != 0) {
		secret_free(out);
		err_wrap(err, "%s", path);
		goto out;
	}
	rc = 0;
out:
	fclose(f);
	return rc;
}

int
offline_file_hash(uint8_t out[SEV_SHA256_LEN], const char *path, uint64_t max,
    struct err *err)
{
	FILE *f = fopen(path, "rb");
	uint8_t *chunk = malloc(CHUNK);
	struct sev_hash *h = NULL;
	uint64_t len = 0;
	size_t got;
	int rc = -1;

	if (f == NULL || chunk == NULL) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (sev_hash_new(&h, err) != 0)
		goto out;
	while ((got = fread(chunk, 1, CHUNK, f)) > 0) {
		len += got;
		if (len > max) {
			err_set(err, ERR_LIMIT, "%s: more than %llu bytes",
			    path, (unsigned long long)max);
			goto out;
		}
		if (sev_hash_add(h, span_of(chunk, got), err) != 0)
			goto out;
	}
	if (ferror(f)) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		goto out;
	}
	rc = sev_hash_peek(out, h, err);
out:
	sev_hash_free(h);
	free(chunk);
	if (f != NULL)
		fclose(f);
	return rc;
}

static bool
is_text(struct span in)
{
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.ptr[i];

		if (c != '\n' && c != '\r' && c != '\t' && (c < ' ' || c > '~'))
			return false;
	}
	return in.len > 0;
}

int
offline_file_decode(struct secret *bytes, struct err *err)
{
	struct secret raw = { NULL, 0 };
	size_t len = 0, raw_len;

	/* No certificate is text: each starts with its version, u32 1. */
	if (!is_text(secret_span(bytes)))
		return 0;
	for (size_t i = 0; i < bytes->len; i++)
		if (strchr("\n\r\t ", bytes->ptr[i]) == NULL)
			bytes->ptr[len++] = bytes->ptr[i];
	if (secret_alloc(&raw, len, err) != 0)
		return -1;
	if (base64_decode(raw.ptr, raw.len, &raw_len, span_of(bytes->ptr, len),
		err) != 0) {
		secret_free(&raw);
		return -1;
	}
	raw.len = raw_len;
	secret_free(bytes);
	*bytes = raw;
	return 0;
}
