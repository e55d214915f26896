#ifndef LAUNCH_JSON_H
#define LAUNCH_JSON_H

#include <jansson.h>

#include "common/err.h"
#include "common/secret.h"
#include "common/span.h"

/* JSON from a service, a manager or QEMU, judged before it is used. */

#define JSON_BODY_MAX 65536 /* docs/protocol.md 3 */

/** json_setup(): once, at the start: names are hashed with a random seed. */
void json_setup(void);

/** json_read(out, in, err): one object of at most JSON_BODY_MAX bytes, as
 * common/json_strict.h reads it. */
int json_read(json_t **out, struct span in, struct err *err);

/** json_write(out, object, err): compact.  errors ERR_MEMORY, ERR_INTERNAL */
int json_write(struct secret *out, const json_t *object, struct err *err);

/*
 * Typed reads of a member that must be there.
 *   errors  ERR_MALFORMED, with the member's name
 */
/** json_get_bytes(out, cap, len, o, name, err): base64, at most ${cap}. */
int json_get_bytes(uint8_t *out, size_t cap, size_t *len, const json_t *o,
    const char *name, struct err *err);
/** json_get_exact(out, len, o, name, err): base64 of ${len} bytes. */
int json_get_exact(uint8_t *out, size_t len, const json_t *o, const char *name,
    struct err *err);
int json_get_uint(uint64_t *out, const json_t *o, const char *name,
    uint64_t max, struct err *err);

/** json_get_text(out, cap, o, name): a member that may be absent, cut to
 * ${cap} - 1 bytes; "" if it is no string. */
void json_get_text(char *out, size_t cap, const json_t *o, const char *name);

/** json_set_bytes(o, name, in, err): add base64.  errors ERR_MEMORY */
int json_set_bytes(
    json_t *o, const char *name, struct span in, struct err *err);

#endif
