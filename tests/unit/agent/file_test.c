#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/file.h"

static const struct {
	mode_t mode;
	const char *says; /* NULL: it may be used */
} cases[] = {
	{ 0400, NULL },
	{ 0600, NULL },
	{ 0640, NULL },
	{ 0440, NULL },
	{ 0750, NULL },
	{ 0644, "mode 0644" },
	{ 0604, "mode 0604" },
	{ 0602, "mode 0602" },
	{ 0601, "mode 0601" },
	{ 0660, "mode 0660" },
	{ 0620, "mode 0620" },
	{ 0777, "want 0640 or less" },
};

static void
says(const struct err *err, const char *path, const char *words)
{
	assert_int_equal(err->code, ERR_USAGE);
	if (strstr(err->msg, words) == NULL || strstr(err->msg, path) == NULL)
		fail_msg("\"%s\", want \"%s\"", err->msg, words);
}

static void
who_may_read_a_secret(void **state)
{
	char path[] = "/tmp/agent-file-XXXXXX";
	int fd = mkstemp(path);
	size_t i;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "word", 4), 4);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct secret got = { 0 };
		struct err read_err = { 0 };
		struct err err = { 0 };
		int rc;

		assert_int_equal(fchmod(fd, cases[i].mode), 0);
		rc = file_read_private(&got, path, 4, &read_err);
		assert_int_equal(file_check_private(path, &err), rc);
		assert_int_equal(rc, cases[i].says == NULL ? 0 : -1);
		if (rc == 0) {
			assert_int_equal(got.len, 4);
			assert_memory_equal(got.ptr, "word", 4);
		} else {
			says(&err, path, cases[i].says);
			says(&read_err, path, cases[i].says);
			assert_null(got.ptr);
		}
		secret_free(&got);
	}
	(void)close(fd);
	(void)unlink(path);
}

static void
none_and_too_much(void **state)
{
	char path[] = "/tmp/agent-file-XXXXXX";
	struct secret got = { 0 };
	struct err err = { 0 };
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "words", 5), 5);
	assert_int_equal(file_read_private(&got, path, 4, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.msg, path));
	(void)close(fd);
	(void)unlink(path);
	assert_int_equal(file_read_private(&got, path, 4, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_int_equal(file_check_private(path, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_null(got.ptr);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_may_read_a_secret),
		cmocka_unit_test(none_and_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
