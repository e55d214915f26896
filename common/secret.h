#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include "common/err.h"
#include "common/span.h"

/*
 * Owned key bytes: wiped on free, compared in constant time, never printed.
 * Zero-initialise before use; an empty secret has ptr NULL.
 */
struct secret {
	uint8_t *ptr; /* owned */
	size_t len;   /* bytes */
};

/** secret_alloc(out, len, err): ${len} zero bytes.  errors ERR_MEMORY */
int secret_alloc(struct secret *out, size_t len, struct err *err);

/** secret_copy(out, in, err): an owned copy of ${in}.  errors ERR_MEMORY */
int secret_copy(struct secret *out, struct span in, struct err *err);

/** secret_free(s): wipe, release, and leave ${s} empty.  NULL is fine. */
void secret_free(struct secret *s);

struct span secret_span(const struct secret *s);

/** secret_equal(a, b): lengths openly, bytes in constant time. */
bool secret_equal(struct span a, struct span b);

/** secret_wipe(ptr, len): zeros that the compiler may not leave out. */
void secret_wipe(void *ptr, size_t len);

/**
 * secret_random(out, len, err):
 * ${len} bytes from the private generator of OpenSSL.
 *   errors  ERR_INTERNAL: the generator failed; ${out} is then zeros
 */
int secret_random(void *out, size_t len, struct err *err);

#endif
