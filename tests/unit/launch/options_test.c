#include "launch/options.h"

#include "tests/unit/common/exact.h"

#define ARGS_MAX 8
#define START (OPT_SERVICE | OPT_UUID | OPT_JSON | OPT_DOMAIN | OPT_CONNECT)

static int
parse(struct options *out, unsigned allowed, const char *const *words,
    struct err *err)
{
	char *argv[ARGS_MAX + 1];
	int argc = 0;

	for (; words[argc] != NULL; argc++)
		argv[argc] = strdup(words[argc]);
	argv[argc] = NULL;
	if (options_parse(out, allowed, argc, argv, err) == 0) {
		/* What points into argv is not looked at afterwards. */
		out->rest = NULL;
		for (int i = 0; i < argc; i++)
			free(argv[i]);
		return 0;
	}
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	return -1;
}

#define WORDS(...)                                                             \
	{                                                                      \
		"start", __VA_ARGS__, NULL                                     \
	}

static void
words_that_cannot_be(void **state)
{
	static const struct {
		unsigned allowed;
		const char *words[ARGS_MAX];
		const char *says;
	} bad[] = {
		{ START, WORDS("--bogus"), "unknown word --bogus" },
		{ START, WORDS("-domain", "x"), "unknown word -domain" },
		{ START, WORDS("--doma", "x"), "unknown word --doma" },
		{ START, WORDS("--domains", "x"), "unknown word --domains" },
		{ START, WORDS("--domain"), "--domain wants a value" },
		{ START, WORDS("a.xml", "b.xml"), "unknown word b.xml" },
		{ START, WORDS("--transient=yes"), "takes no value" },
		{ START, WORDS("--json=1"), "takes no value" },
		{ START, WORDS("--policy", "1"), "unknown word --policy" },
		{ START, WORDS("--uuid", "x"), "--uuid" },
		{ START, WORDS("--timeout", "0"), "a second or more" },
		{ START, WORDS("--timeout", "-1"), "want a number" },
		{ START, WORDS("--timeout", "1s"), "want a number" },
		{ START, WORDS("--timeout", "86401"), "want a number" },
		{ OPT_STATE, WORDS("--libvirt-timeout", "0"), "a second or" },
		{ OPT_STATE, WORDS("--timeout", "1"), "unknown word" },
		{ START, WORDS("--tls-min", "1.1"), "want 1.2 or 1.3" },
		{ OPT_SERVICE, WORDS("--json"), "unknown word --json" },
		{ OPT_SERVICE, WORDS("--ca", "x"), "--service URL is needed" },
		{ OPT_SERVICE, WORDS("a.xml"), "unknown word a.xml" },
		{ OPT_KEY, WORDS("--idempotency-key", ""), "1 to 64" },
		{ OPT_KEY, WORDS("--idempotency-key", "a\"b"), "without" },
		{ OPT_KEY, WORDS("--idempotency-key", "a\nb"), "visible" },
		{ OPT_POLICY, WORDS("--policy", "0x100000000"), "at most" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct options o;
		struct err err = { 0 };

		if (parse(&o, bad[i].allowed, bad[i].words, &err) == 0)
			fail_msg("%s: taken", bad[i].words[1]);
		assert_int_equal(err.code, ERR_USAGE);
		assert_says(bad[i].words[1], err.msg, bad[i].says);
	}
}

static void
what_is_meant(void **state)
{
	static const char *const words[] =
	    WORDS("a.xml", "--transient", "--timeout=7", "--uuid",
		"57F669C2-c427-4132-bc7a-26f56b6a718c", "--json");
	static const char *const least[] = WORDS("--domain", "web1");
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, START, words, NULL), 0);
	assert_non_null(o.file);
	assert_null(o.domain);
	assert_true(o.transient && o.json && o.has_uuid);
	assert_false(o.autodestroy);
	assert_int_equal(o.service.timeout_s, 7);
	assert_int_equal(o.libvirt_s, 120);
	assert_int_equal(parse(&o, START, least, NULL), 0);
	assert_null(o.file);
	assert_non_null(o.domain);
	assert_null(o.connect);
	assert_int_equal(o.service.timeout_s, SERVICE_TIMEOUT_S);
}

static void
behind_the_dashes_nothing_is_ours(void **state)
{
	char *argv[] = { strdup("qemu"), strdup("--service"),
		strdup("https://x"), strdup("--"), strdup("--service"), NULL };
	struct options o;

	(void)state;
	assert_int_equal(
	    options_parse(&o, OPT_SERVICE | OPT_REST, 5, argv, NULL), 0);
	assert_string_equal(o.service.url, "https://x");
	assert_int_equal(o.rest_count, 1);
	assert_string_equal(o.rest[0], "--service");
	for (size_t i = 0; i < 5; i++)
		free(argv[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_that_cannot_be),
		cmocka_unit_test(what_is_meant),
		cmocka_unit_test(behind_the_dashes_nothing_is_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
