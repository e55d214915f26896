#include "agent/cli/enrol.h"

#include <stdlib.h>

#include "tests/unit/relay/check.h"

#define PIN "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define TOKEN "7Q2K-x_9"
#define X16 "xxxxxxxxxxxxxxxx"
#define X128 X16 X16 X16 X16 X16 X16 X16 X16

/* The text lies in a buffer of its own size. */
static int
parse(struct enrol_link *out, const char *text, struct err *err)
{
	char *exact = strdup(text);
	int rc;

	assert_non_null(exact);
	rc = enrol_link_parse(out, exact, err);
	free(exact);
	return rc;
}

static const struct {
	const char *text, *base, *token, *relay;
} good[] = {
	{ "https://a.example/e/" TOKEN "#" PIN, "https://a.example", TOKEN,
	    "wss://a.example#" PIN },
	{ "https://a.example:8443/sev/e/" TOKEN "#" PIN,
	    "https://a.example:8443/sev", TOKEN,
	    "wss://a.example:8443/sev#" PIN },
	{ "https://[2001:db8::7]:8443/e/" TOKEN "#" PIN,
	    "https://[2001:db8::7]:8443", TOKEN,
	    "wss://[2001:db8::7]:8443#" PIN },
	/* The last /e/ is ours; a base may have one of its own. */
	{ "https://a.example/e/e/" TOKEN "#" PIN, "https://a.example/e", TOKEN,
	    "wss://a.example/e#" PIN },
	{ "https://a.example/e/b/e/" TOKEN "#" PIN, "https://a.example/e/b",
	    TOKEN, "wss://a.example/e/b#" PIN },
	{ "https://a.example/e/" X128 "#" PIN, "https://a.example", X128,
	    "wss://a.example#" PIN },
	{ "https://a.example/e/x#" PIN, "https://a.example", "x",
	    "wss://a.example#" PIN },
};

static void
links_name_relay_token_and_pin(void **state)
{
	struct enrol_link link;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		if (parse(&link, good[i].text, &err) != 0)
			fail_msg("%s: %s", good[i].text, err.msg);
		assert_string_equal(link.base, good[i].base);
		assert_string_equal(link.token, good[i].token);
		assert_string_equal(link.pin, PIN);
		assert_string_equal(link.relay, good[i].relay);
	}
}

static const struct {
	const char *name, *text;
} bad[] = {
	{ "empty", "" },
	{ "scheme alone", "https://" },
	{ "no TLS", "http://a.example/e/" TOKEN "#" PIN },
	{ "a tunnel's URL", "wss://a.example/e/" TOKEN "#" PIN },
	{ "scheme in capitals", "HTTPS://a.example/e/" TOKEN "#" PIN },
	{ "a space before", " https://a.example/e/" TOKEN "#" PIN },
	{ "no pin", "https://a.example/e/" TOKEN },
	{ "an empty pin", "https://a.example/e/" TOKEN "#" },
	{ "another hash",
	    "https://a.example/e/" TOKEN
	    "#sha1/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
	{ "more than a pin",
	    "https://a.example/e/" TOKEN "#" PIN ",no-binding" },
	{ "no pin, but more", "https://a.example/e/" TOKEN "#no-binding" },
	{ "a pin too short", "https://a.example/e/" TOKEN "#sha256/47DE" },
	{ "a pin of another length",
	    "https://a.example/e/" TOKEN "#" PIN "AAAA" },
	{ "a pin that is no base64",
	    "https://a.example/e/" TOKEN
	    "#sha256/!7DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
	{ "a pin for a book", "https://a.example/e/" TOKEN "#" X128 },
	{ "two fragments", "https://a.example/e/" TOKEN "#" PIN "#" PIN },
	{ "a line behind it", "https://a.example/e/" TOKEN "#" PIN "\n" },
	{ "no /e/", "https://a.example/f/" TOKEN "#" PIN },
	{ "/e/ in the fragment only", "https://a.example#/e/" PIN },
	{ "no token", "https://a.example/e/#" PIN },
	{ "a token with a path", "https://a.example/e/a/b#" PIN },
	{ "a token with a query", "https://a.example/e/a?b#" PIN },
	{ "a token with an escape", "https://a.example/e/a%2e#" PIN },
	{ "a token with a space", "https://a.example/e/a b#" PIN },
	{ "a token with quotes", "https://a.example/e/a\"b#" PIN },
	{ "a token too long", "https://a.example/e/" X128 "x#" PIN },
	{ "no host", "https:///e/" TOKEN "#" PIN },
	{ "a user", "https://u@a.example/e/" TOKEN "#" PIN },
	{ "port 0", "https://a.example:0/e/" TOKEN "#" PIN },
	{ "port 65536", "https://a.example:65536/e/" TOKEN "#" PIN },
	{ "a query before", "https://a.example/?b/e/" TOKEN "#" PIN },
	{ "a host too long", "https://" X128 X128 X128 "/e/" TOKEN "#" PIN },
	{ "a base too long",
	    "https://a.example/" X128 X128 X128 X128 "/e/" TOKEN "#" PIN },
};

static void
links_that_are_none(void **state)
{
	struct enrol_link link;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (parse(&link, bad[i].text, &err) != -1)
			fail_msg("%s: accepted", bad[i].name);
		assert_int_equal(err.code, ERR_USAGE);
		expect_words(bad[i].name, err.msg,
		    "want https://HOST[:PORT][/BASE]/e/TOKEN#sha256/PIN");
	}
}

/* Wherever one ends early, it is none; and nothing behind it is read. */
static void
no_part_of_a_link_is_one(void **state)
{
	struct enrol_link link;
	char text[256];

	(void)state;
	for (size_t len = 0; len < strlen(good[1].text); len++) {
		snprintf(text, sizeof(text), "%.*s", (int)len, good[1].text);
		assert_int_equal(parse(&link, text, NULL), -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_name_relay_token_and_pin),
		cmocka_unit_test(links_that_are_none),
		cmocka_unit_test(no_part_of_a_link_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
