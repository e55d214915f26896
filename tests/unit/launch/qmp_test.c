#include "launch/qmp.h"
#include "launch/qmp_sev.h"

#include "tests/unit/common/exact.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void
lines(void **state)
{
	static const struct {
		const char *line;
		int kind; /* -1: refused */
		const char *says;
	} cases[] = {
		{ "{\"QMP\": {\"version\": {}}}", QMP_GREETING, "" },
		{ "{\"return\": {}, \"id\": 4}\r", QMP_RETURN, "" },
		{ "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}",
		    QMP_ERROR, "no" },
		{ "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1}}",
		    QMP_EVENT, "STOP" },
		{ "", -1, "not JSON" },
		{ "{", -1, "not JSON" },
		{ "[]", -1, "want an object" },
		{ "{}", -1, "neither" },
		{ "{\"return\": {}} x", -1, "not JSON" },
		{ "{\"return\": {}, \"return\": {}}", -1, "not JSON" },
		{ "{\"return\": {}, \"event\": \"STOP\"}", -1,
		    "both return and event" },
		{ "{\"error\": {}}", -1, "without a description" },
		{ "{\"error\": \"no\"}", -1, "without a description" },
		{ "{\"event\": 3}", -1, "without a name" },
		{ "{\"return\": {}, \"id\": \"4\"}", -1, "id is not ours" },
		{ "{\"return\": {}, \"id\": -4}", -1, "id is not ours" },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", -1, "deeper" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span in = span_str(cases[i].line);
		uint8_t *copy = exact(in);
		struct qmp_message m;
		struct err err = { 0 };
		int rc = qmp_decode(&m, span_of(copy, in.len), &err);

		free(copy);
		assert_int_equal(rc, cases[i].kind < 0 ? -1 : 0);
		if (rc != 0) {
			assert_null(m.object);
			assert_says(cases[i].line, err.msg, cases[i].says);
			continue;
		}
		assert_int_equal(m.kind, cases[i].kind);
		assert_string_equal(m.words, cases[i].says);
		qmp_message_free(&m);
	}
}

/* QEMU's side is written ahead: the socket holds it. */
static int
peer(const char *text)
{
	int pair[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(
	    write(pair[1], text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
	/* Left open, so that our writes are taken. */
	assert_true(dup2(pair[1], 100) == 100);
	(void)close(pair[1]);
	return pair[0];
}

static void
talk(void **state)
{
	struct err err = { 0 };
	struct qmp *q = NULL;
	json_t *v = NULL;
	char words[160];

	(void)state;
	assert_int_equal(qmp_open(&q,
			     peer("{\"QMP\": {}}\n{\"event\": \"A\"}\n"
				  "{\"return\": {}, \"id\": 1}\n"
				  "{\"event\": \"B\"}\n"
				  "{\"return\": {\"x\": 7}, \"id\": 2}\n"
				  "{\"error\": {\"desc\": \"no\"}, \"id\": 3}\n"
				  "{\"return\": {}, \"id\": 2}\n"),
			     1000, &err),
	    0);
	assert_int_equal(qmp_call(&v, words, q, "a", NULL, 1000, &err), 0);
	assert_int_equal(json_integer_value(json_object_get(v, "x")), 7);
	json_decref(v);
	assert_int_equal(
	    qmp_call(&v, words, q, "b", json_object(), 1000, &err), -1);
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	assert_string_equal(words, "no");
	assert_int_equal(qmp_call(&v, words, q, "c", NULL, 1000, &err), -1);
	assert_int_equal(err.code, ERR_MALFORMED);
	assert_string_equal(words, "");
	assert_int_equal(qmp_call(&v, words, q, "d", NULL, 1000, &err), -1);
	assert_int_equal(err.code, ERR_CLOSED);
	qmp_free(q);
	(void)close(100);
}

static void
greetings_that_will_not_do(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "closed the connection" },
		{ "{\"QMP\": {}}", "closed the connection" },
		{ "{\"return\": {}}\n", "no greeting" },
		{ "{\"QMP\": {}}\n{\"return\": {}}\n", "another command" },
		{ "{\"QMP\": {}}\n{\"QMP\": {}}\n", "another command" },
		{ "{\"QMP\": {}}\n{\"error\": {\"desc\": \"x\"}, \"id\": 1}\n",
		    "qmp_capabilities: x" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err err = { 0 };
		struct qmp *q = NULL;

		assert_int_equal(
		    qmp_open(&q, peer(bad[i].text), 1000, &err), -1);
		assert_null(q);
		assert_says(bad[i].text, err.msg, bad[i].says);
		(void)close(100);
	}
}

static void
a_line_has_an_end(void **state)
{
	struct err err = { 0 };
	struct qmp *q = NULL;
	char *text = malloc(QMP_LINE_MAX + 9000);

	(void)state;
	memset(text, ' ', QMP_LINE_MAX + 8999);
	text[QMP_LINE_MAX + 8999] = '\0';
	assert_int_equal(qmp_open(&q, peer(text), 1000, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_says("long", err.msg, "line of over");
	free(text);
	(void)close(100);
}

static void
refusals_and_what_they_mean(void **state)
{
	static const struct {
		const char *command, *words;
		enum outcome want;
	} cases[] = {
		{ "query-sev-capabilities", "KVM not enabled", OUTCOME_NO_SEV },
		{ "query-sev-capabilities", "anything", OUTCOME_NO_SEV },
		{ "query-sev-launch-measure",
		    "SEV launch measurement is not available", OUTCOME_NO_SEV },
		{ "query-sev-launch-measure", "anything", OUTCOME_CONFIG },
		{ "sev-inject-launch-secret", "SEV not enabled for guest",
		    OUTCOME_NO_SEV },
		{ "sev-inject-launch-secret",
		    "SEV: failed to inject secret ret=1 fw_error=10 'x'",
		    OUTCOME_REFUSED },
		{ "sev-inject-launch-secret", "SEV: no secret area found",
		    OUTCOME_CONFIG },
		{ "cont", "KVM not enabled", OUTCOME_CONFIG },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(
		    qmp_sev_judge(cases[i].command, cases[i].words),
		    cases[i].want);
}

#define GUEST                                                                  \
	"\"enabled\":true,\"state\":\"launch-secret\",\"api-major\":1,"        \
	"\"api-minor\":55,\"build-id\":21,\"policy\":5"

static void
guests(void **state)
{
	static const struct {
		const char *text, *says; /* NULL: good */
	} cases[] = {
		{ "{" GUEST "}", NULL },
		{ "{" GUEST ",\"sev-type\":\"sev\",\"handle\":1}", NULL },
		{ "{}", "not enabled" },
		{ "{\"enabled\":false}", "not enabled" },
		{ "{\"enabled\":true,\"state\":\"running\"}", "'running'" },
		{ "{" GUEST ",\"sev-type\":\"sev-snp\"}", "type sev-snp" },
		{ "{\"enabled\":true,\"state\":\"launch-secret\"}",
		    "api-major" },
		{ "{\"enabled\":true,\"state\":\"launch-secret\","
		  "\"api-major\":256}",
		    "0 to 255" },
	};
	struct measured g;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *v = json_loads(cases[i].text, 0, NULL);
		struct err err = { 0 };
		int rc = qmp_sev_guest_read(&g, v, &err);

		json_decref(v);
		assert_int_equal(rc, cases[i].says == NULL ? 0 : -1);
		if (rc != 0)
			assert_says(cases[i].text, err.msg, cases[i].says);
		else
			assert_int_equal(g.policy, 5);
	}
}

static void
hosts(void **state)
{
	static const struct {
		const char *text, *says; /* NULL: good */
	} cases[] = {
		{ "{\"pdh\":\"A\",\"cert-chain\":\"B\",\"cbitpos\":51,"
		  "\"reduced-phys-bits\":1}",
		    NULL },
		{ "{\"cert-chain\":\"B\"}", "no pdh" },
		{ "{\"pdh\":\"A\",\"cert-chain\":\"B\"}", "cbitpos" },
		{ "{\"pdh\":\"A\",\"cert-chain\":\"B\",\"cbitpos\":64}",
		    "0 to 63" },
		{ "{\"pdh\":\"A\",\"cert-chain\":\"B\",\"cbitpos\":51}",
		    "reduced-phys-bits" },
	};
	struct qmp_sev_host h;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *v = json_loads(cases[i].text, 0, NULL);
		struct err err = { 0 };
		int rc = qmp_sev_host_read(&h, v, &err);

		json_decref(v);
		assert_int_equal(rc, cases[i].says == NULL ? 0 : -1);
		if (rc != 0)
			assert_says(cases[i].text, err.msg, cases[i].says);
		else
			assert_null(json_object_get(h.facts, "cpu-id"));
		qmp_sev_host_free(&h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(talk),
		cmocka_unit_test(greetings_that_will_not_do),
		cmocka_unit_test(a_line_has_an_end),
		cmocka_unit_test(refusals_and_what_they_mean),
		cmocka_unit_test(guests),
		cmocka_unit_test(hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
