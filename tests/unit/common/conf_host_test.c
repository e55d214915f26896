#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/admit_http.h"
#include "common/conf_host.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HASH "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static void
values_are_judged(void **state)
{
	static const struct {
		int (*check)(const char *text, struct err *err);
		const char *text;
		const char *says; /* NULL: good */
	} cases[] = {
		{ conf_check_base, "/", NULL },
		{ conf_check_base, "/a-b/c_d.e~f", NULL },
		{ conf_check_base, "", "starts with" },
		{ conf_check_base, "sev", "starts with" },
		{ conf_check_base, "/sev/", "does not end" },
		{ conf_check_base, "//sev", "has \"//\"" },
		{ conf_check_base, "/a b", "letters, digits" },
		{ conf_check_base, "/a\nb", "letters, digits" },
		{ conf_check_word, "cn-17", NULL },
		{ conf_check_word, "a b", "letters, digits" },
		{ conf_check_word, "a\r\nx: y", "letters, digits" },
		{ conf_check_listen, "127.0.0.1:0", NULL },
		{ conf_check_listen, "[::1]:65535", NULL },
		{ conf_check_listen, "127.0.0.1", "" },
		{ conf_check_listen, "127.0.0.1:65536", "" },
		{ conf_check_network, "10.0.0.0/8", NULL },
		{ conf_check_network, "fd00::/64", NULL },
		{ conf_check_network, "10.0.0.0/33", "" },
		{ conf_check_network, "10.0.0.1/8", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err;
		int rc = cases[i].check(cases[i].text, &err);

		if (cases[i].says == NULL && rc != 0)
			fail_msg("%s: %s", cases[i].text, err.msg);
		if (cases[i].says == NULL)
			continue;
		if (rc != -1)
			fail_msg("%s: accepted", cases[i].text);
		if (strstr(err.msg, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].text, err.msg);
	}
}

static char one[] = "cn-1", two[] = "cn-2", three[] = "cn-3", again[] = "cn-1";
static char hash[] = HASH, wrong[] = "x", net[] = "10.0.0.0/8";

static void
hosts_are_filled(void **state)
{
	struct conf_host_token tokens[] = { { one, hash }, { NULL, hash },
		{ three, wrong }, { two, hash } };
	char *networks[] = { net, wrong };
	const struct conf_list token_list = { tokens, COUNT(tokens) };
	const struct conf_list network_list = { networks, COUNT(networks) };
	struct conf_host_keys keys = { CONF_HOST_BEARER, &token_list,
		&network_list };
	char where[CONF_HOSTS_WHERE];
	struct conf_hosts own;
	struct admit_hosts hosts;
	struct err err;

	(void)state;
	assert_int_equal(conf_hosts_fill(&hosts, &own, &keys, where, &err), 0);
	assert_true(hosts.bearer && !hosts.mtls);
	assert_int_equal(hosts.token_count, 2);
	assert_string_equal(hosts.tokens[1].name, "cn-2");
	assert_int_equal(hosts.tokens[0].sha256[0], 0x9f);
	/* Listed, but not a way in. */
	assert_null(hosts.networks);
	conf_hosts_free(&own);
	keys.auth = CONF_HOST_MTLS | CONF_HOST_NETWORKS;
	assert_int_equal(conf_hosts_fill(&hosts, &own, &keys, where, &err), 0);
	assert_true(!hosts.bearer && hosts.mtls);
	assert_int_equal(hosts.network_count, 1);
	conf_hosts_free(&own);
	tokens[3].name = again;
	assert_int_equal(conf_hosts_fill(&hosts, &own, &keys, where, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_string_equal(err.msg, "token cn-1 is listed twice");
	assert_string_equal(where, "tokens[3].name");
	conf_hosts_free(&own);
}

static void
words_of_all_ways(void **state)
{
	static const struct source_net any = { 0 };
	static const char *const want[] = { "", "\"mtls\"", "\"bearer\"",
		"\"mtls\",\"bearer\"", "\"networks\"", "\"mtls\",\"networks\"",
		"\"bearer\",\"networks\"", "\"mtls\",\"bearer\",\"networks\"" };

	(void)state;
	for (unsigned i = 0; i < COUNT(want); i++) {
		const struct admit_hosts hosts = { .mtls = (i & 1) != 0,
			.bearer = (i & 2) != 0,
			.networks = (i & 4) != 0 ? &any : NULL };
		char text[ADMIT_WORDS_LEN];
		struct writer w = writer_of(text, sizeof(text));

		admit_words(&w, &hosts);
		assert_true(writer_ok(&w));
		assert_true(span_is(writer_span(&w), want[i]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_judged),
		cmocka_unit_test(hosts_are_filled),
		cmocka_unit_test(words_of_all_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
