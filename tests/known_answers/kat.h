#ifndef TESTS_KNOWN_ANSWERS_KAT_H
#define TESTS_KNOWN_ANSWERS_KAT_H

#include <jansson.h>

#include "common/err.h"
#include "common/span.h"

/* One known-answer file. */
struct kat_file {
	const char *path;
	char dir[4096];       /* of ${path}: companions lie relative to it */
	const json_t *whole;  /* its members apply to every case */
	const json_t *hashes; /* "firmware_sha256", or NULL */
};

enum kat_result {
	KAT_PASS,
	KAT_FAIL,    /* another answer, or a case that cannot be understood */
	KAT_REFUSED, /* the product refused the input */
	KAT_SKIP
};

/*
 * A form of case: it is the form if all of ${required} are there, and then no
 * member outside ${required} and ${optional} may be (lists end with NULL).
 * run() writes the reason of anything but KAT_PASS, or a remark, to ${say}.
 */
struct kat_form {
	const char *name;
	const char *required[12];
	const char *const *optional;
	enum kat_result (*run)(
	    const struct kat_file *file, const json_t *c, struct err *say);
};

extern const struct kat_form kat_chain_form;
extern const struct kat_form kat_launch_form;
extern const struct kat_form kat_session_form;
extern const struct kat_form kat_public_forms[];
extern const size_t kat_public_form_count;

#endif
