#include "launch/record.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/common/exact.h"

#define GUEST "{\"domain\":\"web1\",\"connect\":\"qemu:///system\"}\n"

static int
decode(struct record_view *out, const char *text, struct err *err)
{
	uint8_t *copy = exact(span_str(text));
	int rc = record_decode(out, span_of(copy, strlen(text)), err);

	free(copy);
	return rc;
}

static void
what_is_no_record(void **state)
{
	static char longest[RECORD_LEN_MAX + 2];
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "\n", "not JSON" },
		{ "failed\n", "not JSON" },
		{ "[]\n", "want an object" },
		{ "{\"domain\":\"a\",\"domain\":\"b\"}\n", "not JSON" },
		{ "{}\n", "no domain" },
		{ "{\"domain\":1}\n", "no domain" },
		{ "{\"domain\":\"a\"}\n", "no connect" },
		{ "{\"domain\":\"a\",\"connect\":1}\n", "no connect" },
		{ GUEST "answered\nelse\n", "none of ours" },
		{ GUEST "\n", "none of ours" },
		{ longest, "over 8192 bytes" },
	};

	(void)state;
	memset(longest, ' ', sizeof(longest) - 1);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct record_view v;
		struct err err = { 0 };

		if (decode(&v, bad[i].text, &err) == 0)
			fail_msg("%s: taken", bad[i].says);
		assert_false(v.asked);
		assert_says(bad[i].text, err.msg, bad[i].says);
	}
}

/* However much of a line a kill left. */
static void
what_was_cut_short(void **state)
{
	static const char all[] = GUEST "answered\nresuming\n";
	char text[sizeof(all)];
	struct record_view v;

	(void)state;
	for (size_t len = 0; len < sizeof(all); len++) {
		(void)snprintf(text, sizeof(text), "%.*s", (int)len, all);
		assert_int_equal(decode(&v, text, NULL), 0);
		assert_int_equal(v.asked, len >= strlen(GUEST));
		assert_int_equal(v.words,
		    (len >= strlen(GUEST "answered\n") ? RECORD_ANSWERED : 0) |
			(len == strlen(all) ? RECORD_RESUMING : 0));
	}
	assert_string_equal(v.domain, "web1");
	assert_string_equal(v.connect, "qemu:///system");
}

struct place {
	char path[64];
	int folder;
};

static void
open_place(struct place *p)
{
	(void)snprintf(p->path, sizeof(p->path), "/tmp/attest-record-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	assert_int_equal(record_folder(&p->folder, p->path, NULL), 0);
}

static void
close_place(struct place *p)
{
	(void)close(p->folder);
	assert_int_equal(rmdir(p->path), 0);
}

static void
who_holds_it(void **state)
{
	struct record r, other;
	struct record_view v;
	struct place p;

	(void)state;
	open_place(&p);
	assert_int_equal(record_new(&r, p.folder, NULL), 0);
	assert_int_equal(record_read(&v, &r, NULL), 0);
	assert_false(v.asked);
	assert_int_equal(
	    record_ask(&r, "qemu:///system", "a \"name\" of \xc3\xa4", NULL),
	    0);
	assert_int_equal(record_say(&r, RECORD_ANSWERED, NULL), 0);
	/* Not as long as somebody has it open. */
	assert_int_equal(record_take(&other, p.folder, r.id, NULL), 0);
	assert_int_equal(other.fd, -1);
	record_leave(&r);
	assert_int_equal(record_take(&other, p.folder, r.id, NULL), 0);
	assert_int_not_equal(other.fd, -1);
	assert_int_equal(record_read(&v, &other, NULL), 0);
	assert_string_equal(v.domain, "a \"name\" of \xc3\xa4");
	assert_string_equal(v.connect, "qemu:///system");
	assert_int_equal(v.words, RECORD_ANSWERED);
	record_end(&other);
	record_end(&other);
	assert_int_equal(record_take(&other, p.folder, r.id, NULL), 0);
	assert_int_equal(other.fd, -1);
	close_place(&p);
}

static void
folders_that_are_not_ours(void **state)
{
	static const mode_t modes[] = { 0720, 0702, 0777 };
	struct record r;
	struct place p;
	char deep[96];
	int fd;

	(void)state;
	open_place(&p);
	for (size_t i = 0; i < COUNT(modes); i++) {
		struct err err = { 0 };

		assert_int_equal(chmod(p.path, modes[i]), 0);
		assert_int_equal(record_folder(&fd, p.path, &err), -1);
		assert_int_equal(err.code, ERR_USAGE);
		assert_says(p.path, err.msg, "nobody else may write");
	}
	assert_int_equal(chmod(p.path, 0755), 0);
	(void)snprintf(deep, sizeof(deep), "%s/a/b", p.path);
	assert_int_equal(record_folder(&fd, deep, NULL), 0);
	(void)close(fd);
	assert_int_equal(rmdir(deep), 0);
	deep[strlen(p.path) + 2] = '\0';
	assert_int_equal(rmdir(deep), 0);
	(void)snprintf(deep, sizeof(deep), "%s/link", p.path);
	assert_int_equal(symlink(".", deep), 0);
	assert_int_equal(record_folder(&fd, deep, NULL), -1);
	assert_int_equal(unlink(deep), 0);
	assert_int_equal(record_folder(&fd, "", NULL), -1);
	/* What is no file of ours is not waited for. */
	assert_int_equal(mkfifoat(p.folder, "fifo", 0600), 0);
	assert_int_equal(record_take(&r, p.folder, "fifo", NULL), -1);
	assert_int_equal(unlinkat(p.folder, "fifo", 0), 0);
	close_place(&p);
}

/* A word that is not on the disk was not said: the hypervisor is not asked
 * behind it. */
static void
what_cannot_be_written_is_told(void **state)
{
	static char longest[RECORD_LEN_MAX + 1];
	struct rlimit before, few;
	struct record r, full;
	struct stat st;
	struct place p;
	int pipes[2];

	(void)state;
	open_place(&p);
	assert_int_equal(record_new(&r, p.folder, NULL), 0);
	memset(longest, 'a', sizeof(longest) - 1);
	assert_int_equal(record_ask(&r, "qemu:///system", longest, NULL), -1);
	longest[RECORD_URI_MAX + 1] = '\0';
	assert_int_equal(record_ask(&r, longest, "web1", NULL), -1);
	/* Part of a line, as on a disk that fills up. */
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	few = (struct rlimit){ .rlim_cur = 5, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
	assert_int_equal(record_say(&r, RECORD_ANSWERED, NULL), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(fstat(r.fd, &st), 0);
	assert_int_equal(st.st_size, 5);
	/* Written, and cannot be synced: no pipe can. */
	assert_int_equal(pipe(pipes), 0);
	full = r;
	full.fd = pipes[1];
	assert_int_equal(record_say(&full, RECORD_ANSWERED, NULL), -1);
	/* Nor can the name. */
	full = r;
	full.folder = pipes[0];
	assert_int_equal(record_ask(&full, "qemu:///system", "web1", NULL), -1);
	assert_int_equal(record_ask(&r, "qemu:///system", "web1", NULL), 0);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	/* A name that leads elsewhere is no record, and not one that went. */
	assert_int_equal(symlinkat(r.id, p.folder, "link"), 0);
	assert_int_equal(record_take(&full, p.folder, "link", NULL), -1);
	assert_int_equal(unlinkat(p.folder, "link", 0), 0);
	record_end(&r);
	close_place(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_record),
		cmocka_unit_test(what_was_cut_short),
		cmocka_unit_test(who_holds_it),
		cmocka_unit_test(folders_that_are_not_ours),
		cmocka_unit_test(what_cannot_be_written_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
