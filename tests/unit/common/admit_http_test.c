#include "common/admit_http.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "tests/unit/relay/check.h"

#define TOKEN "0123456789abcdef"

/* The head of a request with ${fields}; it borrows ${text}. */
static void
head_of(struct http_head *out, char text[512], const char *fields)
{
	unsigned status;
	struct err err;
	int len = snprintf(text, 512,
	    "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n%s\r\n",
	    fields);

	if (http_head_parse(out, span_of(text, (size_t)len), &status, &err) !=
	    0)
		fail_msg("%s: %s", fields, err.msg);
}

static void
says_what_is_json(void **state)
{
	static const struct {
		const char *fields;
		bool json;
	} cases[] = {
		{ "", true },
		{ "Content-Type: application/json\r\n", true },
		{ "Content-Type: APPLICATION/json\r\n", true },
		{ "Content-Type: application/json;charset=utf-8\r\n", true },
		{ "Content-Type: application/json ; x=y\r\n", true },
		{ "Content-Type: application/json\t; x=y\r\n", true },
		{ "Content-Type: application/jso\r\n", false },
		{ "Content-Type: application/json5\r\n", false },
		{ "Content-Type: application/jsonp; x=y\r\n", false },
		{ "Content-Type: application-json\r\n", false },
		{ "Content-Type: text/plain\r\n", false },
		{ "Content-Type:\r\n", false },
		{ "Content-Encoding: gzip\r\n", false },
		{ "Content-Type: application/json\r\n"
		  "Content-Encoding: gzip\r\n",
		    false },
	};
	struct http_head head;
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		head_of(&head, text, cases[i].fields);
		if (admit_json(&head) != cases[i].json)
			fail_msg("%s", cases[i].fields);
	}
}

static void
sees_what_stands_there_twice(void **state)
{
	static const char *const once[] = { "Content-Type", "Accept",
		"Idempotency-Key", "Cookie", "Request-Id" };
	struct http_head head;
	char text[512], fields[128];

	(void)state;
	for (size_t i = 0; i < COUNT(once); i++) {
		snprintf(fields, sizeof(fields), "%s: x\r\n", once[i]);
		head_of(&head, text, fields);
		assert_false(admit_repeats(&head));
		snprintf(fields, sizeof(fields), "%s: x\r\nA: b\r\n%s: x\r\n",
		    once[i], once[i]);
		head_of(&head, text, fields);
		if (!admit_repeats(&head))
			fail_msg("%s", fields);
	}
	head_of(&head, text, "A: b\r\nA: b\r\n");
	assert_false(admit_repeats(&head));
}

static void
names_who_posts(void **state)
{
	static const struct {
		const char *fields;
		const char *identity; /* "": refused */
	} cases[] = {
		{ "", "" },
		{ "Authorization: Bearer " TOKEN "\r\n", "token:cn-17" },
		{ "Authorization: Bearer x\r\n", "" },
		{ "Authorization: Bearer " TOKEN "\r\n"
		  "authorization: Bearer " TOKEN "\r\n",
		    "" },
	};
	struct admit_token token = { .name = "cn-17" };
	/* Without a connection there is no certificate to ask. */
	struct admit_hosts hosts = { true, true, &token, 1 };
	const struct log_subject subject = { "test" };
	const struct admit_from from = { .subject = &subject };
	char identity[ADMIT_IDENTITY_MAX + 1], text[512];
	struct http_head head;

	(void)state;
	EVP_Digest(
	    TOKEN, strlen(TOKEN), token.sha256, NULL, EVP_sha256(), NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		head_of(&head, text, cases[i].fields);
		snprintf(identity, sizeof(identity), "stale");
		assert_int_equal(admit_http(identity, &hosts, &from, &head),
		    cases[i].identity[0] != '\0');
		assert_string_equal(identity, cases[i].identity);
	}
}

static void
tells_what_hosts_may_show(void **state)
{
	static const struct source_net net;
	static const struct {
		struct admit_hosts hosts;
		const char *words;
	} cases[] = {
		{ { .mtls = false }, "" },
		{ { .mtls = true }, "\"mtls\"" },
		{ { .bearer = true }, "\"bearer\"" },
		{ { .mtls = true, .networks = &net }, "\"mtls\",\"networks\"" },
		{ { true, true, NULL, 0, &net, 1 },
		    "\"mtls\",\"bearer\",\"networks\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[64] = "";
		struct writer w = writer_of((uint8_t *)text, sizeof(text) - 1);

		admit_words(&w, &cases[i].hosts);
		assert_true(writer_ok(&w));
		assert_string_equal(text, cases[i].words);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_is_json),
		cmocka_unit_test(sees_what_stands_there_twice),
		cmocka_unit_test(names_who_posts),
		cmocka_unit_test(tells_what_hosts_may_show),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
