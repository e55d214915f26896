#include "tests/unit/psp/fixture.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/hex.h"
#include "tests/psp/platform_file.h"

/* Broken test data is our own bug: say it and stop. */
static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "fixture %s: missing or broken\n", what);
	abort();
}

struct secret
fixture_file(const char *path)
{
	struct secret out = { 0 };
	char full[512];
	FILE *f;
	long len;

	(void)snprintf(full, sizeof(full), "%s/%s", FIXTURES, path);
	f = fopen(full, "re");
	must(f != NULL && fseek(f, 0, SEEK_END) == 0, path);
	len = ftell(f);
	rewind(f);
	must(len >= 0 && secret_alloc(&out, (size_t)len, NULL) == 0, path);
	must(fread(out.ptr, 1, out.len, f) == out.len, path);
	(void)fclose(f);
	return out;
}

json_t *
fixture_json(const char *path)
{
	struct secret text = fixture_file(path);
	json_t *out = json_loadb((const char *)text.ptr, text.len, 0, NULL);

	must(out != NULL, path);
	secret_free(&text);
	return out;
}

static struct span
text_of(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	return span_of(json_string_value(v), json_string_length(v));
}

struct secret
fixture_hex(const json_t *object, const char *name)
{
	struct span text = text_of(object, name);
	struct secret out = { 0 };

	must(secret_alloc(&out, text.len / 2, NULL) == 0 &&
		hex_decode(out.ptr, out.len, text, NULL) == 0,
	    name);
	return out;
}

struct secret
fixture_base64(const json_t *object, const char *name)
{
	struct span text = text_of(object, name);
	struct secret out = { 0 };
	size_t len = 0;

	must(secret_alloc(&out, text.len, NULL) == 0 &&
		base64_decode(out.ptr, out.len, &len, text, NULL) == 0,
	    name);
	out.len = len;
	return out;
}

uint32_t
fixture_number(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	if (json_is_string(v))
		return (uint32_t)strtoul(json_string_value(v), NULL, 0);
	return (uint32_t)json_integer_value(v);
}

json_t *
fixture_case(const json_t *root, const char *name)
{
	json_t *cases = json_object_get(root, "cases"), *one;
	size_t i;

	json_array_foreach(cases, i, one)
	{
		if (strcmp(json_string_value(json_object_get(one, "name")),
			name) == 0)
			return one;
	}
	must(false, name);
	return NULL;
}

void
fixture_platform(struct psp_platform *out)
{
	struct err err = { 0 };

	if (psp_platform_file_load(out, FIXTURES "/certs/synthetic-a", &err) !=
	    0)
		must(false, err.msg);
}

uint8_t *
fixture_exact(struct span in)
{
	uint8_t *out = malloc(in.len == 0 ? 1 : in.len);

	assert(out != NULL);
	if (in.len > 0)
		memcpy(out, in.ptr, in.len);
	return out;
}
