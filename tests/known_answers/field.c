#include "tests/known_answers/field.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/hex.h"

#define DEBIAN "debian-bookworm-ovmf:"
#define FILE_MAX (64u << 20)

bool
field_has(const json_t *c, const char *name)
{
	return json_object_get(c, name) != NULL;
}

const char *
field_text(const json_t *c, const char *name)
{
	return json_string_value(json_object_get(c, name));
}

static int
want(const json_t *c, const char *name, const char *what, struct err *err)
{
	return err_set(err, ERR_MALFORMED, "%s: %s, want %s", name,
	    field_has(c, name) ? "of another type or value" : "absent", what);
}

int
field_uint(uint32_t *out, const json_t *c, const char *name, uint32_t max,
    struct err *err)
{
	const json_t *v = json_object_get(c, name);
	const char *text = json_string_value(v);
	unsigned long long n;
	char *end;

	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		n = (unsigned long long)json_integer_value(v);
	} else if (text != NULL && strncmp(text, "0x", 2) == 0) {
		errno = 0;
		n = strtoull(text, &end, 16);
		if (errno != 0 || *end != '\0' || end == text + 2)
			return want(c, name, "a number", err);
	} else {
		return want(c, name, "a number", err);
	}
	if (n > max)
		return err_set(
		    err, ERR_LIMIT, "%s: %llu, at most %u", name, n, max);
	*out = (uint32_t)n;
	return 0;
}

int
field_hex_text(struct secret *out, const char *text, struct err *err)
{
	size_t len = strlen(text);

	if (secret_alloc(out, len / 2, err) != 0)
		return -1;
	if (hex_decode(out->ptr, out->len, span_str(text), err) != 0) {
		secret_free(out);
		return -1;
	}
	return 0;
}

int
field_hex(
    struct secret *out, const json_t *c, const char *name, struct err *err)
{
	const char *text = field_text(c, name);

	if (text == NULL)
		return want(c, name, "hex", err);
	if (field_hex_text(out, text, err) != 0)
		return err_wrap(err, "%s", name);
	return 0;
}

int
field_b64(
    struct secret *out, const json_t *c, const char *name, struct err *err)
{
	const char *text = field_text(c, name);
	size_t len;

	if (text == NULL)
		return want(c, name, "base64", err);
	if (secret_alloc(out, strlen(text), err) != 0)
		return -1;
	if (base64_decode(out->ptr, out->len, &len, span_str(text), err) != 0) {
		secret_free(out);
		return err_wrap(err, "%s", name);
	}
	out->len = len;
	return 0;
}

int
field_fixed(uint8_t *out, size_t len, const json_t *c, const char *name,
    struct err *err)
{
	const char *text = field_text(c, name);

	if (text == NULL)
		return want(c, name, "hex", err);
	if (hex_decode(out, len, span_str(text), err) != 0)
		return err_wrap(err, "%s", name);
	return 0;
}

static int
same(struct secret *wanted, const char *name, struct span got, struct err *err)
{
	bool equal = span_equal(secret_span(wanted), got);

	secret_free(wanted);
	if (equal)
		return 0;
	return err_set(err, ERR_UNTRUSTED, "%s differs", name);
}

int
field_same(const json_t *c, const char *name, struct span got, struct err *err)
{
	struct secret wanted = { NULL, 0 };

	if (!field_has(c, name))
		return 0;
	if (field_hex(&wanted, c, name, err) != 0)
		return -1;
	return same(&wanted, name, got, err);
}

int
field_same_b64(
    const json_t *c, const char *name, struct span got, struct err *err)
{
	struct secret wanted = { NULL, 0 };

	if (!field_has(c, name))
		return 0;
	if (field_b64(&wanted, c, name, err) != 0)
		return -1;
	return same(&wanted, name, got, err);
}

int
field_file(struct secret *out, const char *path, struct err *err)
{
	FILE *f = fopen(path, "rb");
	long len = -1;
	int rc = -1;

	if (f != NULL && fseek(f, 0, SEEK_END) == 0)
		len = ftell(f);
	if (len < 0 || len > (long)FILE_MAX || fseek(f, 0, SEEK_SET) != 0) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (secret_alloc(out, (size_t)len, err) != 0)
		goto out;
	if (fread(out->ptr, 1, out->len, f) != out->len) {
		secret_free(out);
		err_set(err, ERR_IO, "%s: cannot be read", path);
		goto out;
	}
	rc = 0;
out:
	if (f != NULL)
		fclose(f);
	return rc;
}

enum kat_result
field_secrets(struct sev_secret_entry *entries, struct secret *data, size_t cap,
    size_t *count, const json_t *c, struct err *err)
{
	const json_t *list = json_object_get(c, "secrets");

	*count = 0;
	if (!json_is_array(list) || json_array_size(list) > cap) {
		want(c, "secrets", "a list of pairs", err);
		return KAT_FAIL;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *pair = json_array_get(list, i);
		const char *guid = json_string_value(json_array_get(pair, 0));
		const char *hex = json_string_value(json_array_get(pair, 1));

		if (json_array_size(pair) != 2 || guid == NULL || hex == NULL) {
			want(c, "secrets", "pairs of GUID and hex", err);
			return KAT_FAIL;
		}
		if (field_hex_text(&data[i], hex, err) != 0) {
			err_wrap(err, "secrets");
			return KAT_FAIL;
		}
		entries[i].data = secret_span(&data[i]);
		(*count)++;
		if (sev_guid_parse(&entries[i].guid, span_str(guid), err) !=
		    0) {
			err_wrap(err, "secrets");
			return KAT_REFUSED;
		}
	}
	return KAT_PASS;
}

void
field_secrets_free(struct secret *data, size_t count)
{
	for (size_t i = 0; i < count; i++)
		secret_free(&data[i]);
}

/* Is ${image} the file that the answers were made with? */
static int
same_hash(const struct kat_file *file, const char *name, struct span image,
    struct err *err)
{
	const char *wanted = field_text(file->hashes, name);
	uint8_t digest[SEV_SHA256_LEN], listed[SEV_SHA256_LEN];

	if (wanted == NULL)
		return 0;
	if (hex_decode(listed, sizeof(listed), span_str(wanted), err) != 0 ||
	    sev_hash_sha256(digest, image, err) != 0)
		return -1;
	if (!span_equal(span_of(digest, sizeof(digest)),
		span_of(listed, sizeof(listed))))
		return err_set(err, ERR_CONFLICT,
		    "%s has another SHA-256 than the answers were made with",
		    name);
	return 0;
}

enum kat_result
field_firmware(struct secret *out, const struct kat_file *file, const json_t *c,
    struct err *err)
{
	const char *name = field_text(c, "firmware");
	char path[8192];
	bool foreign;

	if (name == NULL || *name == '\0') {
		want(c, "firmware", "the name of a file", err);
		return KAT_FAIL;
	}
	foreign = strncmp(name, DEBIAN, strlen(DEBIAN)) == 0;
	if (foreign)
		snprintf(path, sizeof(path), "%s", name + strlen(DEBIAN));
	else
		snprintf(
		    path, sizeof(path), "%s/../firmware/%s", file->dir, name);
	if (field_file(out, path, err) != 0)
		return foreign ? KAT_SKIP : KAT_FAIL;
	if (same_hash(file, name, secret_span(out), err) != 0) {
		secret_free(out);
		return foreign && err->code == ERR_CONFLICT ? KAT_SKIP
							    : KAT_FAIL;
	}
	return KAT_PASS;
}
