#include "launch/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"

void
json_setup(void)
{
	json_object_seed(0);
}

/* jansson recurses, so depth is judged before it sees the bytes. */
static int
check_depth(struct span in, int max, struct err *err)
{
	bool text = false;
	int depth = 0;

	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.ptr[i];

		if (text) {
			if (c == '\\')
				i++;
			else if (c == '"')
				text = false;
		} else if (c == '"') {
			text = true;
		} else if (c == '{' || c == '[') {
			if (++depth > max)
				return err_set(
				    err, ERR_LIMIT, "JSON deeper than %d", max);
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return 0;
}

/* An integer is compared as one: a double would round 2^53 + 1 down. */
static bool
is_interoperable(const json_t *v)
{
	if (json_is_integer(v))
		return json_integer_value(v) <= JSON_NUMBER_MAX &&
		    json_integer_value(v) >= -JSON_NUMBER_MAX;
	return json_real_value(v) <= (double)JSON_NUMBER_MAX &&
	    json_real_value(v) >= -(double)JSON_NUMBER_MAX;
}

/* Depth is limited by now. */
static int
check_values(json_t *v, struct err *err)
{
	const char *name;
	json_t *member;
	size_t i;

	if (json_is_object(v)) {
		if (json_object_size(v) > JSON_MEMBERS_MAX)
			return err_set(err, ERR_LIMIT,
			    "JSON object of %zu members, at most %d",
			    json_object_size(v), JSON_MEMBERS_MAX);
		json_object_foreach(v, name,
		    member) if (check_values(member, err) != 0) return -1;
	} else if (json_is_array(v)) {
		json_array_foreach(
		    v, i, member) if (check_values(member, err) != 0) return -1;
	} else if (json_is_number(v) && !is_interoperable(v)) {
		return err_set(err, ERR_LIMIT,
		    "JSON number outside +-2^53 (RFC 7493 2.2)");
	}
	return 0;
}

static int
load(json_t **out, struct span in, struct err *err)
{
	json_error_t why;
	json_t *v = json_loadb(
	    (const char *)in.ptr, in.len, JSON_REJECT_DUPLICATES, &why);

	if (v == NULL)
		return err_set(err, ERR_MALFORMED, "not JSON at %d:%d",
		    why.line, why.column);
	if (!json_is_object(v)) {
		json_decref(v);
		return err_set(err, ERR_MALFORMED, "JSON: want an object");
	}
	*out = v;
	return 0;
}

int
json_read(json_t **out, struct span in, struct err *err)
{
	json_t *v = NULL;

	if (in.len > JSON_BODY_MAX)
		return err_set(err, ERR_LIMIT, "JSON of %zu bytes, at most %d",
		    in.len, JSON_BODY_MAX);
	if (check_depth(in, JSON_DEPTH_MAX, err) != 0 || load(&v, in, err) != 0)
		return -1;
	if (check_values(v, err) != 0) {
		json_decref(v);
		return -1;
	}
	*out = v;
	return 0;
}

int
json_read_line(json_t **out, struct span in, int depth, struct err *err)
{
	if (check_depth(in, depth, err) != 0)
		return -1;
	return load(out, in, err);
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
