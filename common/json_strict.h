#ifndef COMMON_JSON_STRICT_H
#define COMMON_JSON_STRICT_H

#include <jansson.h>

#include "common/err.h"
#include "common/span.h"

/* JSON from outside, judged before it is used: what jansson takes is more than
 * docs/protocol.md 3 allows. */

#define JSON_STRICT_DEPTH_MAX 8
#define JSON_STRICT_MEMBERS_MAX 64
#define JSON_STRICT_NUMBER_MAX (INT64_C(1) << 53)

/**
 * json_strict_read(out, in, max, err):
 * One object by the rules of docs/protocol.md 3: UTF-8, no BOM, no duplicate
 * names, I-JSON numbers, at most JSON_STRICT_DEPTH_MAX deep,
 * JSON_STRICT_MEMBERS_MAX members an object, ${max} bytes.
 *   lifetime  caller: json_decref()
 *   errors    ERR_MALFORMED; ERR_LIMIT: size, depth, members, numbers; ${out}
 *             is then unchanged
 */
int json_strict_read(json_t **out, struct span in, size_t max, struct err *err);

/** json_strict_deep(out, in, depth, err): one object of another protocol, at
 * most ${depth} deep; no duplicate names, and no other limit.  As above. */
int json_strict_deep(json_t **out, struct span in, int depth, struct err *err);

#endif
