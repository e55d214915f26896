#include "tests/unit/agent/form.h"

#include <stdlib.h>
#include <string.h>

#include "agent/file.h"

static const uint8_t agent_key[UUID_KEY_LEN] = { 7 };

int
form_read_file(void *arg, struct secret *out, const char *path, size_t max,
    struct err *err)
{
	(void)arg;
	/* Names of fixtures stand for themselves. */
	if (path[0] == '@')
		path = lab_fixture(path + 1);
	return file_read(out, path, max, err);
}

static int
run_command(void *arg, struct secret *out, const char *line, size_t max,
    struct err *err)
{
	(void)arg;
	(void)max;
	(void)err;
	return secret_copy(out, span_str(line), err);
}

void
form_open(struct form *f)
{
	memset(f, 0, sizeof(*f));
	f->plan = calloc(1, sizeof(*f->plan));
	assert_non_null(f->plan);
	assert_int_equal(
	    register_init(f->plan, form_read_file, NULL, &f->err), 0);
	f->plan->run = run_command;
}

void
form_close(struct form *f)
{
	registration_free(f->r);
	register_free(f->plan);
	free(f->plan);
}

int
form_read(struct form *f, register_form_fn *read, const char *text, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);
	int rc;

	assert_non_null(exact);
	if (len > 0)
		memcpy(exact, text, len);
	rc = read(f->plan, span_of(exact, len), &f->err);
	free(exact);
	return rc;
}

int
form_option(struct form *f, const char *name, const char *value)
{
	return register_option(f->plan, name, value, &f->err);
}

int
form_finish(struct form *f)
{
	return register_finish(&f->r, f->plan, agent_key, &f->err);
}

void
form_says(const struct form *f, int rc, const char *words)
{
	if (rc == 0)
		fail_msg("accepted; want \"%s\"", words);
	if (strstr(f->err.msg, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", f->err.msg, words);
}

bool
form_noted(const struct form *f, const char *words)
{
	size_t i;

	for (i = 0; i < f->plan->note_count; i++)
		if (strstr(f->plan->note[i], words) != NULL)
			return true;
	return false;
}

void
form_refuses(
    register_form_fn *read, const char *text, size_t len, const char *words)
{
	struct form f;

	form_open(&f);
	form_says(&f, form_read(&f, read, text, len), words);
	form_close(&f);
}
