#include "common/log.h"

#include "tests/unit/common/exact.h"

#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Everything written to the log since the last call. */
static int pipe_ends[2];

static const char *
logged(void)
{
	static char text[1 << 16];
	ssize_t n = read(pipe_ends[0], text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static int
open_pipe(void **state)
{
	(void)state;
	return pipe2(pipe_ends, O_NONBLOCK);
}

static void
assert_like(const char *text, const char *pattern)
{
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, text, 0, NULL, 0) != 0)
		fail_msg("\"%s\" is not like %s", text, pattern);
	regfree(&re);
}

static void
writes_three_formats(void **state)
{
	struct log_subject s;

	(void)state;
	log_subject_set(&s, "host %s", "10.0.0.7:40112");
	log_open(pipe_ends[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info(&s, "closed: %s", "idle");
	assert_like(logged(),
	    "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:"
	    "[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z info  host 10\\.0\\.0\\.7:40112:"
	    " closed: idle\n$");
	log_error(NULL, "no subject");
	assert_like(logged(), "Z error no subject\n$");
	log_open(pipe_ends[1], LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_warn(&s, "say \"%s\"", "a\\b");
	assert_like(logged(),
	    "^\\{\"time\":\"[^\"]+Z\",\"level\":\"warn\","
	    "\"subject\":\"host 10\\.0\\.0\\.7:40112\","
	    "\"msg\":\"say \\\\\"a\\\\\\\\b\\\\\"\"\\}\n$");
	log_open(pipe_ends[1], LOG_LEVEL_DEBUG, LOG_FORMAT_JOURNAL);
	log_debug(&s, "x");
	assert_string_equal(logged(), "<7>host 10.0.0.7:40112: x\n");
}

static void
escapes_whatever_a_peer_sends(void **state)
{
	struct log_subject s;

	(void)state;
	log_subject_set(&s, "peer %s", "a\nb");
	log_open(pipe_ends[1], LOG_LEVEL_INFO, LOG_FORMAT_JOURNAL);
	log_info(&s, "%s", "x\r\n<3>forged\t\x1b[2J\x7f\xc3\xa4\\n");
	assert_string_equal(logged(),
	    "<6>peer a\\x0ab: x\\x0d\\x0a<3>forged"
	    "\\x09\\x1b[2J\\x7f\\xc3\\xa4\\\\n\n");
	log_open(pipe_ends[1], LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_info(NULL, "%s", "x\n\"\x1b\xff");
	assert_like(logged(),
	    "\"msg\":\"x\\\\u000a\\\\\"\\\\u001b\\\\u00ff\"\\}"
	    "\n$");
}

static void
cuts_long_lines(void **state)
{
	static char big[5000];
	const char *text;

	(void)state;
	memset(big, '\n', sizeof(big) - 1);
	for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JOURNAL;
	     format++) {
		log_open(pipe_ends[1], LOG_LEVEL_INFO, (enum log_format)format);
		log_info(NULL, "%s", big);
		text = logged();
		assert_true(strlen(text) <= LOG_LINE_MAX);
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
		assert_non_null(strstr(text, "..."));
	}
	assert_int_equal(text[0], '<');
}

static void
fields_are_members_in_json_alone(void **state)
{
	static char big[3000];
	struct log_field fields[] = {
		{ "id", "a\"b\n", false },
		{ "status", "200", true },
		{ "big", big, false },
		{ "last", "x", false },
	};
	const char *text;

	(void)state;
	log_open(pipe_ends[1], LOG_LEVEL_INFO, LOG_FORMAT_JOURNAL);
	log_fields(NULL, fields, 2, "words %d", 7);
	assert_string_equal(logged(), "<6>words 7\n");
	log_open(pipe_ends[1], LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_fields(NULL, fields, 2, "words");
	assert_like(logged(),
	    "^\\{\"time\":\"[^\"]+Z\",\"level\":\"info\",\"subject\":\"\","
	    "\"id\":\"a\\\\\"b\\\\u000a\",\"status\":200\\}\n$");
	/* What has no room is left out whole, so that it stays JSON. */
	memset(big, 'x', sizeof(big) - 1);
	log_fields(NULL, fields, 4, "words");
	text = logged();
	assert_null(strstr(text, "big"));
	assert_like(text, ",\"status\":200,\"last\":\"x\"\\}\n$");
	log_open(pipe_ends[1], LOG_LEVEL_WARN, LOG_FORMAT_JSON);
	log_fields(NULL, fields, 4, "words");
	log_warn(NULL, "only this");
	assert_like(logged(), "^[^\n]*only this[^\n]*\n$");
}

static void
keeps_to_its_level(void **state)
{
	(void)state;
	log_open(pipe_ends[1], LOG_LEVEL_WARN, LOG_FORMAT_JOURNAL);
	log_info(NULL, "no");
	log_debug(NULL, "no");
	log_warn(NULL, "yes");
	assert_string_equal(logged(), "<4>yes\n");
	log_set_level(LOG_LEVEL_DEBUG);
	assert_true(log_enabled(LOG_LEVEL_DEBUG));
	log_debug(NULL, "yes");
	assert_string_equal(logged(), "<7>yes\n");
}

static void *
write_many(void *arg)
{
	for (int i = 0; i < 100; i++)
		log_info(NULL, "%s", (const char *)arg);
	return NULL;
}

/* Lines of two threads come whole: one write() each. */
static void
mixes_lines_but_not_bytes(void **state)
{
	static char a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	static char b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
	pthread_t one, two;
	char *copy;

	(void)state;
	log_open(pipe_ends[1], LOG_LEVEL_INFO, LOG_FORMAT_JOURNAL);
	assert_int_equal(pthread_create(&one, NULL, write_many, a), 0);
	assert_int_equal(pthread_create(&two, NULL, write_many, b), 0);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	copy = strdup(logged());
	for (char *line = strtok(copy, "\n"); line != NULL;
	     line = strtok(NULL, "\n"))
		assert_true(
		    strcmp(line + 3, a) == 0 || strcmp(line + 3, b) == 0);
	free(copy);
}

static void
knows_the_journal(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	assert_false(log_at_journal());
	setenv("JOURNAL_STREAM", "1:2", 1);
	assert_false(log_at_journal());
	setenv("JOURNAL_STREAM", "nonsense", 1);
	assert_false(log_at_journal());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_three_formats),
		cmocka_unit_test(escapes_whatever_a_peer_sends),
		cmocka_unit_test(cuts_long_lines),
		cmocka_unit_test(fields_are_members_in_json_alone),
		cmocka_unit_test(keeps_to_its_level),
		cmocka_unit_test(mixes_lines_but_not_bytes),
		cmocka_unit_test(knows_the_journal),
	};

	return cmocka_run_group_tests(tests, open_pipe, NULL);
}
