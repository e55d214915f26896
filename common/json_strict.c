#include "common/json_strict.h"

#include <stdbool.h>
#include <stdint.h>

#include "common/secret.h"

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
		return json_integer_value(v) <= JSON_STRICT_NUMBER_MAX &&
		    json_integer_value(v) >= -JSON_STRICT_NUMBER_MAX;
	return json_real_value(v) <= (double)JSON_STRICT_NUMBER_MAX &&
	    json_real_value(v) >= -(double)JSON_STRICT_NUMBER_MAX;
}

/* Depth is limited by now. */
static int
check_values(json_t *v, struct err *err)
{
	const char *name;
	json_t *member;
	size_t i;

	if (json_is_object(v)) {
		if (json_object_size(v) > JSON_STRICT_MEMBERS_MAX)
			return err_set(err, ERR_LIMIT,
			    "JSON object of %zu members, at most %d",
			    json_object_size(v), JSON_STRICT_MEMBERS_MAX);
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

int
json_strict_deep(json_t **out, struct span in, int depth, struct err *err)
{
	json_error_t why;
	json_t *v;

	if (check_depth(in, depth, err) != 0)
		return -1;
	v = json_loadb(
	    (const char *)in.ptr, in.len, JSON_REJECT_DUPLICATES, &why);
	/* why.text may quote the input: line and column say enough. */
	if (v == NULL) {
		(void)err_set(err, ERR_MALFORMED, "not JSON at %d:%d", why.line,
		    why.column);
		secret_wipe(&why, sizeof(why));
		return -1;
	}
	if (!json_is_object(v)) {
		json_decref(v);
		return err_set(err, ERR_MALFORMED, "JSON: want an object");
	}
	*out = v;
	return 0;
}

int
json_strict_read(json_t **out, struct span in, size_t max, struct err *err)
{
	json_t *v = NULL;

	if (in.len > max)
		return err_set(err, ERR_LIMIT, "JSON of %zu bytes, at most %zu",
		    in.len, max);
	if (json_strict_deep(&v, in, JSON_STRICT_DEPTH_MAX, err) != 0)
		return -1;
	if (check_values(v, err) != 0) {
		json_decref(v);
		return -1;
	}
	*out = v;
	return 0;
}
