#ifndef TESTS_UNIT_AGENT_FORM_H
#define TESTS_UNIT_AGENT_FORM_H

#include "tests/unit/agent/lab.h"

/* A registration in the making, from one of the forms an owner may have. */

#define FW "firmware/synthetic-fw-a.bin"
#define SOME_UUID "57f669c2-c427-4132-bc7a-26f56b6a718c"

struct form {
	struct register_plan *plan;
	struct err err;
	struct registration *r;
};

/** Nothing said yet; files are read, and commands say their own line.  A path
 * that begins with '@' is that of a fixture. */
void form_open(struct form *f);
void form_close(struct form *f);
/** What form_open() has read files. */
register_read_fn form_read_file;
/** In a buffer of the exact size, so that no parser may look behind it. */
int form_read(
    struct form *f, register_form_fn *read, const char *text, size_t len);
int form_option(struct form *f, const char *name, const char *value);
int form_finish(struct form *f);
/** ${read} refuses ${text}, in these words. */
void form_refuses(
    register_form_fn *read, const char *text, size_t len, const char *words);
/** It was refused, in these words. */
void form_says(const struct form *f, int rc, const char *words);
bool form_noted(const struct form *f, const char *words);

#endif
