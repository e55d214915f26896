#ifndef TESTS_UNIT_SEV_FIXTURE_H
#define TESTS_UNIT_SEV_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above before it. */
#include <cmocka.h>

#include "agent/sev/sev.h"

/*
 * Bytes of tests/fixtures, each in a heap buffer of exactly its size, so that
 * a sanitizer sees one byte too far.
 */
struct fixture {
	uint8_t *ptr;
	size_t len;
};

/** fixture_load(path): relative to tests/fixtures; free with fixture_free() */
struct fixture fixture_load(const char *path);

/** fixture_of(bytes, len): a copy of exactly ${len} bytes. */
struct fixture fixture_of(const void *bytes, size_t len);

/** fixture_join(a, b): a new one; both arguments are freed. */
struct fixture fixture_join(struct fixture a, struct fixture b);

void fixture_free(struct fixture *f);
struct span fixture_span(const struct fixture *f);

/** fixture_says(name, err, says): ${says} must be in the message. */
void fixture_says(const char *name, const struct err *err, const char *says);

#endif
