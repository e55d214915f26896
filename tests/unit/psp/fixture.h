#ifndef PSP_FIXTURE_H
#define PSP_FIXTURE_H

#include <jansson.h>

#include "common/secret.h"
#include "tests/psp/psp.h"

/* Test data of tests/fixtures; whatever is missing or broken aborts. */

/** fixture_file(path): a whole file, owned by the caller. */
struct secret fixture_file(const char *path);

/** fixture_json(path): a parsed file, owned by the caller. */
json_t *fixture_json(const char *path);

/** fixture_hex(object, name): a member's bytes, owned; empty if absent. */
struct secret fixture_hex(const json_t *object, const char *name);

/** fixture_base64(object, name): the same, of base64. */
struct secret fixture_base64(const json_t *object, const char *name);

/** fixture_number(object, name): 0 if absent; also "0x..." strings. */
uint32_t fixture_number(const json_t *object, const char *name);

/** fixture_case(root, name): the member of "cases" of that name. */
json_t *fixture_case(const json_t *root, const char *name);

/** fixture_platform(out): certs/synthetic-a. */
void fixture_platform(struct psp_platform *out);

/** fixture_exact(in): ${in} in a heap buffer of its exact size; free(). */
uint8_t *fixture_exact(struct span in);

#endif
