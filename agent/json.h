#ifndef AGENT_JSON_H
#define AGENT_JSON_H

#include <jansson.h>

#include "common/err.h"
#include "common/secret.h"
#include "common/span.h"

/*
 * JSON from outside, by the rules of docs/protocol.md 3, and typed reads of
 * its members.  A read that fails names the member as an RFC 6901 pointer.
 */

#define JSON_BODY_MAX 65536
#define JSON_POINTER_MAX 128

/** json_setup(): once, before threads: memory of JSON is wiped when freed. */
void json_setup(void);

/** json_read(out, in, max, err): one object of at most ${max} bytes, as
 * common/json_strict.h reads it. */
int json_read(json_t **out, struct span in, size_t max, struct err *err);

/* A reader of one object's members; the first failure stays. */
struct json_in {
	const json_t *object;
	const char *at; /* pointer of the object: "" or "/host" */
	bool failed;
	bool bad_text; /* it is base64 or hex that breaks its alphabet */
	char pointer[JSON_POINTER_MAX + 1];
	struct err err;
};

struct json_in json_in(const json_t *object, const char *at);

/** json_has(in, name): it is there, and not null. */
bool json_has(const struct json_in *in, const char *name);

/** json_fail(in, name, code, fmt, ...): the member ${name} will not do. */
void json_fail(struct json_in *in, const char *name, enum err_code code,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** json_need(in, name): fail unless it is there. */
void json_need(struct json_in *in, const char *name);

/*
 * Reads of an optional member: false, and nothing written, if it is absent
 * (or the reader has failed before).
 */
/** json_uint(in, name, max, out): 3, "3" or "0x3", at most ${max}. */
bool json_uint(
    struct json_in *in, const char *name, uint64_t max, uint64_t *out);
bool json_flag(struct json_in *in, const char *name, bool *out);
/** json_text(in, name, cap, out): at most ${cap} - 1 bytes, and a NUL. */
bool json_text(struct json_in *in, const char *name, size_t cap, char *out);
/** json_bytes(in, name, min, max, out, len): base64 of min..max bytes. */
bool json_bytes(struct json_in *in, const char *name, size_t min, size_t max,
    uint8_t *out, size_t *len);
/** json_hash(in, name, out): 64 hex digits of any case. */
bool json_hash(struct json_in *in, const char *name, uint8_t out[32]);
/** json_member(in, name, type): borrowed; NULL if absent. */
const json_t *json_member(struct json_in *in, const char *name, json_type type);

/** json_uint_text(out, text, max): "3" or "0x3"; false if it is neither. */
bool json_uint_text(uint64_t *out, const char *text, uint64_t max);

#endif
