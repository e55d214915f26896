#ifndef TESTS_UNIT_COMMON_EXACT_H
#define TESTS_UNIT_COMMON_EXACT_H

#include "common/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A heap copy of exactly the size of ${in}: ASan sees one byte too far. */
static inline uint8_t *
exact(struct span in)
{
	uint8_t *copy = malloc(in.len);

	if (in.len > 0)
		memcpy(copy, in.ptr, in.len);
	return copy;
}

/* ${msg} must tell of ${says}; else say which case it was. */
static inline void
assert_says(const char *name, const char *msg, const char *says)
{
	if (strstr(msg, says) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", name, msg, says);
}

#endif
