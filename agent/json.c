#include "agent/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/hex.h"
#include "common/json_strict.h"

/* Bodies carry measurements and registrations carry passphrases: what JSON
 * was parsed into is zeroed when it is given back.  The size lies in front. */
union block {
	size_t len;
	max_align_t align;
};

static void *
wiping_malloc(size_t len)
{
	union block *b;

	if (len > SIZE_MAX - sizeof(*b))
		return NULL;
	b = malloc(sizeof(*b) + len);
	if (b == NULL)
		return NULL;
	b->len = len;
	return b + 1;
}

static void
wiping_free(void *ptr)
{
	union block *b = ptr;

	if (b == NULL)
		return;
	b--;
	secret_wipe(b, sizeof(*b) + b->len);
	free(b);
}

void
json_setup(void)
{
	json_set_alloc_funcs(wiping_malloc, wiping_free);
	/* Names are hashed with a random seed: hosts choose them. */
	json_object_seed(0);
}

int
json_read(json_t **out, struct span in, size_t max, struct err *err)
{
	return json_strict_read(out, in, max, err);
}

struct json_in
json_in(const json_t *object, const char *at)
{
	return (struct json_in){ .object = object, .at = at };
}

void
json_fail(struct json_in *in, const char *name, enum err_code code,
    const char *fmt, ...)
{
	char words[128];
	va_list ap;

	if (in->failed)
		return;
	in->failed = true;
	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	(void)snprintf(in->pointer, sizeof(in->pointer), "%s/%s", in->at, name);
	(void)err_set(&in->err, code, "%s: %s", in->pointer, words);
}

/* The member, if the reader may go on and it is there; null is absent. */
static const json_t *
get(const struct json_in *in, const char *name)
{
	const json_t *v;

	if (in->failed)
		return NULL;
	v = json_object_get(in->object, name);
	return v == NULL || json_is_null(v) ? NULL : v;
}

bool
json_has(const struct json_in *in, const char *name)
{
	return get(in, name) != NULL;
}

void
json_need(struct json_in *in, const char *name)
{
	if (!in->failed && get(in, name) == NULL)
		json_fail(in, name, ERR_USAGE, "is missing");
}

bool
json_uint_text(uint64_t *out, const char *text, uint64_t max)
{
	static const char digits[] = "0123456789abcdef";
	unsigned base = 10;
	uint64_t v = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (text[0] == '\0')
		return false;
	for (; *text != '\0'; text++) {
		char low = *text >= 'A' && *text <= 'F'
		    ? (char)(*text + ('a' - 'A'))
		    : *text;
		const char *at = strchr(digits, low);
		uint64_t digit;

		if (at == NULL || (uint64_t)(at - digits) >= base)
			return false;
		digit = (uint64_t)(at - digits);
		if (v > (max - digit) / base || digit > max)
			return false;
		v = v * base + digit;
	}
	*out = v;
	return true;
}

bool
json_uint(struct json_in *in, const char *name, uint64_t max, uint64_t *out)
{
	const json_t *v = get(in, name);

	if (v == NULL)
		return false;
	if (json_is_integer(v) && json_integer_value(v) >= 0 &&
	    (uint64_t)json_integer_value(v) <= max) {
		*out = (uint64_t)json_integer_value(v);
		return true;
	}
	if (json_is_string(v) && json_uint_text(out, json_string_value(v), max))
		return true;
	json_fail(in, name, ERR_USAGE, "want a number of 0 to %llu",
	    (unsigned long long)max);
	return false;
}

bool
json_flag(struct json_in *in, const char *name, bool *out)
{
	const json_t *v = get(in, name);

	if (v == NULL)
		return false;
	if (!json_is_boolean(v)) {
		json_fail(in, name, ERR_USAGE, "want true or false");
		return false;
	}
	*out = json_is_true(v);
	return true;
}

bool
json_text(struct json_in *in, const char *name, size_t cap, char *out)
{
	const json_t *v = get(in, name);

	if (v == NULL)
		return false;
	if (!json_is_string(v) || json_string_length(v) >= cap) {
		json_fail(in, name, ERR_USAGE,
		    "want a string of at most %zu bytes", cap - 1);
		return false;
	}
	memcpy(out, json_string_value(v), json_string_length(v) + 1);
	return true;
}

bool
json_bytes(struct json_in *in, const char *name, size_t min, size_t max,
    uint8_t *out, size_t *len)
{
	const json_t *v = get(in, name);
	struct err why = { 0 };

	if (v == NULL)
		return false;
	if (!json_is_string(v)) {
		json_fail(in, name, ERR_USAGE, "want a string of base64");
		return false;
	}
	if (base64_decode(out, max, len,
		span_of(json_string_value(v), json_string_length(v)),
		&why) != 0) {
		in->bad_text = !in->failed && why.code == ERR_MALFORMED;
		json_fail(in, name, why.code, "%s", why.msg);
		return false;
	}
	if (*len < min) {
		json_fail(in, name, ERR_USAGE, "%zu bytes, want %zu to %zu",
		    *len, min, max);
		return false;
	}
	return true;
}

bool
json_hash(struct json_in *in, const char *name, uint8_t out[32])
{
	const json_t *v = get(in, name);

	if (v == NULL)
		return false;
	if (!json_is_string(v) ||
	    hex_decode(out, 32,
		span_of(json_string_value(v), json_string_length(v)),
		NULL) != 0) {
		json_fail(in, name, ERR_USAGE, "want 64 hex digits");
		return false;
	}
	return true;
}

const json_t *
json_member(struct json_in *in, const char *name, json_type type)
{
	const json_t *v = get(in, name);

	if (v == NULL)
		return NULL;
	if (json_typeof(v) != type) {
		json_fail(in, name, ERR_USAGE, "want %s",
		    type == JSON_ARRAY ? "a list" : "an object");
		return NULL;
	}
	return v;
}
