#include "launch/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/json_strict.h"

void
json_setup(void)
{
	json_object_seed(0);
}

int
json_read(json_t **out, struct span in, struct err *err)
{
	return json_strict_read(out, in, JSON_BODY_MAX, err);
}

int
json_write(struct secret *out, const json_t *object, struct err *err)
{
	size_t len = json_dumpb(object, NULL, 0, JSON_COMPACT);

	if (len == 0)
		return err_set(err, ERR_INTERNAL, "JSON was not written");
	if (secret_alloc(out, len, err) != 0)
		return -1;
	(void)json_dumpb(object, (char *)out->ptr, len, JSON_COMPACT);
	return 0;
}

int
json_get_bytes(uint8_t *out, size_t cap, size_t *len, const json_t *o,
    const char *name, struct err *err)
{
	const json_t *v = json_object_get(o, name);

	if (!json_is_string(v))
		return err_set(
		    err, ERR_MALFORMED, "%s: want a string of base64", name);
	if (base64_decode(out, cap, len,
		span_of(json_string_value(v), json_string_length(v)), err) != 0)
		return err_wrap(err, "%s", name);
	return 0;
}

int
json_get_exact(uint8_t *out, size_t len, const json_t *o, const char *name,
    struct err *err)
{
	size_t got = 0;

	if (json_get_bytes(out, len, &got, o, name, err) != 0)
		return -1;
	if (got != len)
		return err_set(err, ERR_MALFORMED, "%s: %zu bytes, want %zu",
		    name, got, len);
	return 0;
}

int
json_get_uint(uint64_t *out, const json_t *o, const char *name, uint64_t max,
    struct err *err)
{
	const json_t *v = json_object_get(o, name);

	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) > max)
		return err_set(err, ERR_MALFORMED,
		    "%s: want an integer of 0 to %llu", name,
		    (unsigned long long)max);
	*out = (uint64_t)json_integer_value(v);
	return 0;
}

void
json_get_text(char *out, size_t cap, const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	(void)snprintf(out, cap, "%s", text == NULL ? "" : text);
}

int
json_set_bytes(json_t *o, const char *name, struct span in, struct err *err)
{
	size_t cap = base64_len(in.len) + 1;
	char *text = malloc(cap);
	int rc;

	if (text == NULL)
		return err_set(err, ERR_MEMORY, "no memory for %s", name);
	base64_encode(text, cap, in);
	rc = json_object_set_new(o, name, json_string(text));
	free(text);
	if (rc != 0)
		return err_set(err, ERR_MEMORY, "no memory for %s", name);
	return 0;
}
