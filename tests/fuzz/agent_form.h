#ifndef FUZZ_AGENT_FORM_H
#define FUZZ_AGENT_FORM_H

#include <stdlib.h>

#include "agent/json.h"
#include "agent/register/register.h"

/* A registration in some form, with files that all hold the same few bytes:
 * what is accepted obeys the rules of every registration. */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline int
form_file(void *arg, struct secret *out, const char *path, size_t max,
    struct err *err)
{
	const struct span *body = arg;

	(void)path;
	return secret_copy(
	    out, span_of(body->ptr, body->len < max ? body->len : max), err);
}

static inline void
form_judge(register_form_fn *form, const uint8_t *data, size_t size)
{
	static const uint8_t key[UUID_KEY_LEN] = { 1 };
	struct register_plan *p = calloc(1, sizeof(*p));
	struct registration *r = NULL;
	struct span body = span_of(data, size);
	struct secret bytes = { 0 };
	struct err err = { 0 };

	if (p == NULL || register_init(p, form_file, &body, &err) != 0)
		abort();
	if (form(p, body, &err) == 0 &&
	    register_finish(&r, p, key, &err) == 0) {
		if (registration_check(r, &err) != 0 ||
		    registration_encode(&bytes, r, &err) != 0)
			__builtin_trap();
		registration_free(r);
		r = NULL;
		if (registration_decode(&r, secret_span(&bytes), &err) != 0)
			__builtin_trap();
	}
	secret_free(&bytes);
	registration_free(r);
	register_free(p);
	free(p);
}

#endif
