#include "tests/unit/agent/form.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/secret_command.h"
#include "agent/json.h"
#include "agent/near.h"

/* Registration from YAML, kernels in numbers, and secrets from commands. */

/* docs/protocol.md 14, as it stands there. */
static void
yaml(void **state)
{
	static const char text[] =
	    "# a comment\n"
	    "vm: " SOME_UUID "\n"
	    "shared-rank: 3\n"
	    "scheme: amd-sev-es\n"
	    "policy: [nodbg, noks, es]\n"
	    "cloud-certs: ['@certs/synthetic-a/oca.cert']\n"
	    "chips: {deny-generations: [naples, rome]}\n"
	    "firmware: [{file: '@" FW "'}]\n"
	    "kernels:\n"
	    "  - {kernel: '@SOURCES.md', cmdline: 'console=ttyS0'}\n"
	    "  - {kernel: '@" FW "', initrd: '@SOURCES.md'}\n"
	    "digests: []\n"
	    "cpu-count: [2, 4]\n"
	    "cpu-model: EPYC-Rome\n"
	    "min-api: 1.50\n"
	    "min-build: 24\n"
	    "valid-from: 2026-01-01\n"
	    "valid-until: 2026-12-31T23:59:59Z\n"
	    "max-instances: {count: 1, per: 24h, then: refuse}\n"
	    "approve: never\n"
	    "secrets:\n"
	    "  - {type: luks-passphrase, passphrase: 'two words'}\n"
	    "  - {guid: 00000000-0000-0000-0000-000000000001,\n"
	    "     command: pass show web1}\n";
	struct form f;

	(void)state;
	form_open(&f);
	if (form_read(&f, register_yaml, text, sizeof(text) - 1) != 0 ||
	    form_finish(&f) != 0)
		fail_msg("%s", f.err.msg);
	assert_string_equal(f.r->name, SOME_UUID);
	assert_int_equal(f.r->policy, 7);
	assert_int_equal(f.r->digest_count, 4);
	assert_int_equal(f.r->kernel_count, 2);
	assert_non_null(strstr(f.r->digests[0].about, "SOURCES.md, 2 vCPUs"));
	assert_true(f.r->shared);
	assert_int_equal(f.r->rank, 3);
	assert_int_equal(f.r->min.api_minor, 50);
	assert_int_equal(
	    f.r->deny_generations, 1u << SEV_GEN_NAPLES | 1u << SEV_GEN_ROME);
	assert_int_equal(f.r->from_ms, INT64_C(1767225600000));
	assert_int_equal(f.r->until_ms, INT64_C(1798761599000));
	assert_int_equal(f.r->secret_count, 2);
	assert_int_equal(f.r->per_s, 86400);
	form_close(&f);
}

static void
yaml_that_will_not_do(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
		{ "", "empty" },
		{ "- 1\n", "NAME: VALUE" },
		{ "policy: 1\npolicy: 2\n", "2:1: the name is there already" },
		{ "policy: &a 1\nscheme: *a\n", "anchors" },
		{ "policy: !!int 1\n", "anchors" },
		{ "policy: 1\n---\npolicy: 2\n", "more than one document" },
		{ "polcy: 1\n", "unknown member" },
		{ "policy: {a: 1}\n", "wrong type" },
		{ "a: [[[[[[[[[1]]]]]]]]]\n", "too many levels" },
		{ "{policy: 1", "1:" },
		{ "? [a, b]\n: 1\n", "short name" },
		{ "\"policy\\0s\": 7\n", "short name" },
		{ "policy: \"a\\0b\"\n", "NUL" },
		{ "cpu-count: []\n", "allows nothing" },
		{ "allow-hosts: []\n", "allows nothing" },
		{ "chips: {allow: []}\n", "allows nothing" },
		{ "cloud-certs: []\n", "empty list" },
		/* Each entry commented out: no rule, and nobody said so. */
		{ "allow-hosts:\n  # - cn-17\n", "\"allow-hosts\": has no" },
		{ "max-instances: ~\n", "has no value" },
		{ "cpu-count: ''\n", "want N" },
		{ "secret-address: 0x80c008\n", "a multiple of 16" },
		{ "kernels: [{initrd: '@SOURCES.md'}]\n", "want a kernel" },
		{ "kernels: [{kernel: '@SOURCES.md', root: x}]\n",
		    "want kernel, initrd" },
		{ "kernels: {}\n", "want a list" },
		{ "valid-until: 2026-02-30\n", "valid-until" },
		{ "valid-until: tomorrow\n", "want a time" },
		{ "cek-blocklist: /nonexistent\n", "nonexistent" },
		{ "secrets: [{type: luks-passphrase, file: a, command: b}]\n",
		    "one of" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		form_refuses(register_yaml, bad[i].text, strlen(bad[i].text),
		    bad[i].says);
	}
}

/* Initrds and command lines: one for all kernels, or one for each. */
static void
kernels_in_step(void **state)
{
	static const char *const lines[] = { "a", "b" };
	struct form f;
	size_t i;

	(void)state;
	form_open(&f);
	assert_int_equal(form_option(&f, "name", "web1"), 0);
	assert_int_equal(form_option(&f, "policy", "1"), 0);
	assert_int_equal(form_option(&f, "any-platform", NULL), 0);
	assert_int_equal(form_option(&f, "no-secret", NULL), 0);
	assert_int_equal(form_option(&f, "firmware", "@" FW), 0);
	assert_int_equal(
	    form_option(&f, "firmware", "@firmware/synthetic-fw-b.bin"), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(form_option(&f, "cmdline", lines[i]), 0);
	assert_int_equal(form_option(&f, "kernel", "@SOURCES.md"), 0);
	assert_int_equal(form_option(&f, "initrd", "@SOURCES.md"), 0);
	form_says(&f, register_check(f.plan, &f.err), "2 command lines for 1");
	assert_int_equal(form_option(&f, "kernel", "@" FW), 0);
	if (form_finish(&f) != 0)
		fail_msg("%s", f.err.msg);
	/* Two images, two kernels. */
	assert_int_equal(f.r->digest_count, 4);
	assert_memory_equal(f.r->kernels[0].hashes.initrd,
	    f.r->kernels[1].hashes.initrd, SEV_SHA256_LEN);
	assert_memory_not_equal(f.r->kernels[0].hashes.cmdline,
	    f.r->kernels[1].hashes.cmdline, SEV_SHA256_LEN);
	form_close(&f);
}

/* The pre-flight against every image of Debian's `ovmf`: none of them has an
 * area for a launch secret, and the owner is told what to do. */
static void
debian_firmware(void **state)
{
	static const char *const globs[] = { "/usr/share/OVMF/*CODE*.fd",
		"/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/*.ms.fd" };
	struct form f;
	size_t seen = 0;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(globs) / sizeof(globs[0]); i++) {
		glob_t found;

		if (glob(globs[i], 0, NULL, &found) != 0)
			continue;
		for (k = 0; k < found.gl_pathc; k++) {
			if (strstr(found.gl_pathv[k], "VARS") != NULL)
				continue;
			form_open(&f);
			assert_int_equal(form_option(&f, "name", "web1"), 0);
			assert_int_equal(form_option(&f, "policy", "1"), 0);
			assert_int_equal(
			    form_option(&f, "any-platform", NULL), 0);
			assert_int_equal(
			    form_option(&f, "firmware", found.gl_pathv[k]), 0);
			form_says(&f, register_check(f.plan, &f.err),
			    "use the AmdSev build");
			form_close(&f);
			seen++;
		}
		globfree(&found);
	}
	if (seen == 0)
		skip(); /* the package is not there */
}

static bool
near_has(const struct registration *r, const char *words)
{
	struct reader in = reader_of(secret_span(&r->near));
	uint8_t digest[SEV_SHA256_LEN];
	char text[NEAR_WORDS_MAX + 1];
	bool found = false;

	while (near_next(&in, digest, text))
		found = found || strstr(text, words) != NULL;
	assert_true(reader_done(&in));
	return found;
}

static void
near_misses(void **state)
{
	static const char *const words[] = { "fw-a.bin and 4 vCPUs",
		"the init2 form", "debug_swap", "CPU model EPYC-Rome",
		"kernel hashes are off", "no initrd", "no command line",
		"a newline behind", "a space behind", "without the white" };
	struct form f;
	size_t i;

	(void)state;
	form_open(&f);
	assert_int_equal(form_option(&f, "name", "web1"), 0);
	assert_int_equal(form_option(&f, "policy", "7"), 0);
	assert_int_equal(form_option(&f, "any-platform", NULL), 0);
	assert_int_equal(form_option(&f, "no-secret", NULL), 0);
	assert_int_equal(form_option(&f, "firmware", "@" FW), 0);
	assert_int_equal(form_option(&f, "kernel", "@SOURCES.md"), 0);
	assert_int_equal(form_option(&f, "initrd", "@SOURCES.md"), 0);
	assert_int_equal(form_option(&f, "cmdline", "quiet "), 0);
	assert_int_equal(form_option(&f, "cpus", "2"), 0);
	assert_int_equal(form_option(&f, "cpu-model", "EPYC-Milan"), 0);
	if (form_finish(&f) != 0)
		fail_msg("%s", f.err.msg);
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!near_has(f.r, words[i]))
			fail_msg("nothing about \"%s\"", words[i]);
	assert_false(near_has(f.r, "CPU model EPYC-Milan"));
	form_close(&f);
}

static int
read_a_page(void *arg, struct secret *out, const char *path, size_t max,
    struct err *err)
{
	(void)arg;
	(void)path;
	(void)max;
	return secret_alloc(out, SEV_VMSA_LEN, err);
}

/* A copy that failed, and the digest of a guest that has nothing in it: its
 * host could let anything run there, and get the secret. */
static void
nothing_in_it(void **state)
{
	static const char *const files[] = { "firmware", "kernel", "initrd",
		"vmsa-cpu0", "secret-file" };
	static const char *const hashes[] = { "digest", "firmware-hash" };
	struct form f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		form_open(&f);
		form_says(&f, form_option(&f, files[i], "/dev/null"),
		    "/dev/null: is empty");
		form_close(&f);
	}
	for (i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		form_open(&f);
		assert_int_equal(form_option(&f, "name", "web1"), 0);
		assert_int_equal(form_option(&f, "policy", "1"), 0);
		assert_int_equal(form_option(&f, "any-platform", NULL), 0);
		assert_int_equal(form_option(&f, hashes[i],
				     "e3b0c44298fc1c149afbf4c8996fb924"
				     "27ae41e4649b934ca495991b7852b855"),
		    0);
		form_says(&f, register_check(f.plan, &f.err), "of nothing");
		form_close(&f);
	}
}

/* What would silently not count is refused. */
static void
vcpus_told_twice(void **state)
{
	static const struct {
		const char *option[2], *value[2];
		const char *says;
	} cases[] = {
		{ { "cpu-sig", "cpu-family" }, { "0x800f12", "25" },
		    "exclude" },
		{ { "cpu-model", "cpu-stepping" }, { "EPYC", "1" }, "exclude" },
		{ { "cpu-model", "vmsa-cpu0" }, { "EPYC", "@SOURCES.md" },
		    "exclude" },
		{ { "vmsa-cpu1", "min-build" }, { "@SOURCES.md", "1" },
		    "needs --vmsa-cpu0" },
		{ { "cpu-family", "cpu-model" }, { "25", "1" },
		    "give --cpu-model" },
	};
	struct form f;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		form_open(&f);
		assert_int_equal(form_option(&f, "name", "web1"), 0);
		assert_int_equal(form_option(&f, "policy", "5"), 0);
		assert_int_equal(form_option(&f, "cpus", "2"), 0);
		assert_int_equal(form_option(&f, "any-platform", NULL), 0);
		assert_int_equal(form_option(&f, "firmware", "@" FW), 0);
		f.plan->read = read_a_page;
		for (k = 0; k < 2; k++)
			assert_int_equal(form_option(&f, cases[i].option[k],
					     cases[i].value[k]),
			    0);
		form_says(&f, register_check(f.plan, &f.err), cases[i].says);
		form_close(&f);
	}
}

static void
time_that_is_over(void **state)
{
	struct form f;

	(void)state;
	form_open(&f);
	assert_int_equal(form_option(&f, "name", "web1"), 0);
	assert_int_equal(form_option(&f, "policy", "1"), 0);
	assert_int_equal(form_option(&f, "any-platform", NULL), 0);
	assert_int_equal(form_option(&f, "firmware", "@" FW), 0);
	assert_int_equal(form_option(&f, "valid-until", "2020-01-01"), 0);
	assert_int_equal(register_check(f.plan, &f.err), 0);
	assert_true(form_noted(&f, "--valid-until is over"));
	form_close(&f);
}

static void
command_lines(void **state)
{
	static const struct {
		const char *line;
		size_t count;
		const char *last;
		const char *says;
	} cases[] = {
		{ "pass show web1", 3, "web1", NULL },
		{ "  a\t'b c' ", 2, "b c", NULL },
		{ "a \"it's\"x", 2, "it'sx", NULL },
		{ "a ''", 2, "", NULL },
		{ "a $HOME;b", 2, "$HOME;b", NULL },
		{ "", 0, NULL, "want a command" },
		{ "''", 0, NULL, "want a command" },
		{ "a 'b", 0, NULL, "quote" },
		{ "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 "
		  "0 1 2 3",
		    0, NULL, "words" },
	};
	struct secret_command c;
	struct err err = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = secret_command_parse(&c, cases[i].line, &err);

		if (cases[i].says != NULL) {
			assert_int_equal(rc, -1);
			assert_non_null(strstr(err.msg, cases[i].says));
			continue;
		}
		assert_int_equal(rc, 0);
		assert_int_equal(c.count, cases[i].count);
		assert_string_equal(c.words[c.count - 1], cases[i].last);
		assert_null(c.words[c.count]);
	}
}

static void
commands(void **state)
{
	static const struct {
		const char *line;
		unsigned wait_ms;
		const char *gives, *says;
	} cases[] = {
		{ "printf 'a b\\n'", 60000, "a b", NULL },
		{ "printf 'a\\n\\n'", 60000, "a\n", NULL },
		{ "cat", 60000, NULL, "wrote nothing" }, /* stdin is empty */
		{ "false", 60000, NULL, "status 1" },
		{ "sh -c 'printf x; exit 3'", 60000, NULL, "status 3" },
		{ "/nonexistent/x", 60000, NULL, "cannot be run" },
		{ "yes", 60000, NULL, "more than 16 bytes" },
		{ "sleep 600", 50, NULL, "too long" },
		{ "sh -c 'exec >&-; sleep 600'", 50, NULL, "too long" },
	};
	struct secret_command c;
	struct err err = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct secret out = { 0 };
		int rc;

		assert_int_equal(
		    secret_command_parse(&c, cases[i].line, &err), 0);
		rc = secret_command_run(&out, &c, 16, cases[i].wait_ms, &err);
		if (cases[i].gives != NULL) {
			if (rc != 0)
				fail_msg("%s", err.msg);
			assert_true(span_is(secret_span(&out), cases[i].gives));
		} else {
			assert_int_equal(rc, -1);
			if (strstr(err.msg, cases[i].says) == NULL)
				fail_msg("%s: %s", cases[i].line, err.msg);
		}
		secret_free(&out);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(yaml),
	cmocka_unit_test(yaml_that_will_not_do),
	cmocka_unit_test(kernels_in_step),
	cmocka_unit_test(debian_firmware),
	cmocka_unit_test(near_misses),
	cmocka_unit_test(nothing_in_it),
	cmocka_unit_test(vcpus_told_twice),
	cmocka_unit_test(time_that_is_over),
	cmocka_unit_test(command_lines),
	cmocka_unit_test(commands),
};

int
main(void)
{
	json_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
