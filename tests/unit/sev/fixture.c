#include "tests/unit/sev/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture
fixture_of(const void *bytes, size_t len)
{
	struct fixture f = { malloc(len), len };

	assert_true(f.ptr != NULL || len == 0);
	if (len > 0)
		memcpy(f.ptr, bytes, len);
	return f;
}

struct fixture
fixture_load(const char *path)
{
	char whole[1024];
	struct fixture f = { NULL, 0 };
	FILE *in;
	long len;

	snprintf(whole, sizeof(whole), "%s/%s", FIXTURES, path);
	in = fopen(whole, "rb");
	if (in == NULL)
		fail_msg("%s: cannot be opened", whole);
	assert_int_equal(fseek(in, 0, SEEK_END), 0);
	len = ftell(in);
	assert_int_equal(fseek(in, 0, SEEK_SET), 0);
	f.len = (size_t)len;
	f.ptr = malloc(f.len);
	assert_int_equal(fread(f.ptr, 1, f.len, in), f.len);
	fclose(in);
	return f;
}

struct fixture
fixture_join(struct fixture a, struct fixture b)
{
	struct fixture f = { malloc(a.len + b.len), a.len + b.len };

	assert_non_null(f.ptr);
	memcpy(f.ptr, a.ptr, a.len);
	memcpy(f.ptr + a.len, b.ptr, b.len);
	fixture_free(&a);
	fixture_free(&b);
	return f;
}

void
fixture_free(struct fixture *f)
{
	free(f->ptr);
	f->ptr = NULL;
	f->len = 0;
}

struct span
fixture_span(const struct fixture *f)
{
	return span_of(f->ptr, f->len);
}

void
fixture_says(const char *name, const struct err *err, const char *says)
{
	if (strstr(err->msg, says) == NULL)
		fail_msg("%s: says \"%s\", want \"%s\"", name, err->msg, says);
}
