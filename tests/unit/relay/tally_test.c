#include "common/tally.h"

#include "relay/slab.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "tests/unit/relay/check.h"

static struct source
source(const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return source_of((const struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return source_of((const struct sockaddr *)&v6);
}

static void
sources_and_their_blocks(void **state)
{
	static const struct {
		const char *from, *one, *block;
	} cases[] = {
		{ "10.1.2.3", "10.1.2.3", "10.1.2.0" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", "2001:db8:1::" },
		{ "::1", "::", "::" },
		{ "::ffff:10.1.2.3", "10.1.2.3", "10.1.2.0" },
	};
	char text[SOURCE_TEXT_LEN];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct source s = source(cases[i].from);

		assert_string_equal(
		    source_text(text, source_one(s)), cases[i].one);
		assert_string_equal(
		    source_text(text, source_block(s)), cases[i].block);
	}
}

/* Every text in a buffer of its own size. */
static int
parse(struct source_net *out, const char *text, struct err *err)
{
	char *exact = strdup(text);
	int rc;

	assert_non_null(exact);
	rc = source_net_parse(out, exact, err);
	free(exact);
	return rc;
}

static void
networks_have_their_hosts(void **state)
{
	static const struct {
		const char *net, *in, *out; /* NULL: there is none outside */
	} cases[] = {
		{ "127.0.0.0/8", "127.255.255.255", "128.0.0.0" },
		{ "10.0.0.0/8", "10.0.0.0", "9.255.255.255" },
		{ "10.1.2.3", "10.1.2.3", "10.1.2.2" },
		{ "10.1.2.3/32", "10.1.2.3", "10.1.2.4" },
		{ "10.1.2.2/31", "10.1.2.3", "10.1.2.4" },
		{ "192.168.16.0/21", "192.168.23.255", "192.168.24.0" },
		{ "128.0.0.0/1", "255.1.1.1", "127.1.1.1" },
		/* IPv4 is all of IPv4, and nothing of IPv6. */
		{ "0.0.0.0/0", "255.255.255.255", "2001:db8::1" },
		{ "0.0.0.0/0", "::ffff:1.2.3.4", "::1.2.3.4" },
		/* A host of a socket for both: the same host. */
		{ "10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3" },
		{ "::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3" },
		{ "::/0", "2001:db8::1", NULL },
		{ "::/0", "10.1.2.3", NULL },
		{ "::1", "::1", "::2" },
		{ "::1/128", "::1", "::" },
		{ "2001:db8::/32", "2001:db8:ffff::1", "2001:db9::" },
		{ "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1" },
		{ "2001:db8::2/127", "2001:db8::3", "2001:db8::4" },
		{ "fe80::/10", "febf::1", "fec0::1" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct source_net net;

		if (parse(&net, cases[i].net, NULL) != 0 ||
		    !source_in(source(cases[i].in), &net))
			fail_msg("%s has no %s", cases[i].net, cases[i].in);
		if (cases[i].out != NULL &&
		    source_in(source(cases[i].out), &net))
			fail_msg("%s has %s", cases[i].net, cases[i].out);
	}
}

static void
what_is_no_network(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "want ADDRESS/BITS" },
		{ "/8", "want ADDRESS/BITS" },
		{ "localhost", "want ADDRESS/BITS" },
		{ "10.0.0/8", "want ADDRESS/BITS" },
		{ "10.0.0.256", "want ADDRESS/BITS" },
		{ " 10.0.0.0/8", "want ADDRESS/BITS" },
		{ "[::1]", "want ADDRESS/BITS" },
		{ "2001:db8::%eth0", "want ADDRESS/BITS" },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa",
		    "want ADDRESS/BITS" },
		{ "10.0.0.0/", "prefix of  bits, want 0 to 32" },
		{ "10.0.0.0/33", "prefix of 33 bits, want 0 to 32" },
		{ "10.0.0.0/-1", "prefix of -1 bits" },
		{ "10.0.0.0/+8", "prefix of +8 bits" },
		{ "10.0.0.0/ 8", "prefix of  8 bits" },
		{ "10.0.0.0/8 ", "prefix of 8  bits" },
		{ "10.0.0.0/8/8", "prefix of 8/8 bits" },
		{ "10.0.0.0/99999999999999999999", "want 0 to 32" },
		{ "::/129", "prefix of 129 bits, want 0 to 128" },
		{ "10.0.0.1/8", "10.0.0.1/8 has bits behind" },
		{ "10.0.0.0/4", "has bits behind" },
		{ "0.0.0.1/0", "has bits behind" },
		{ "2001:db8::/28", "has bits behind" },
		{ "::1/127", "has bits behind" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct source_net net;
		struct err err;

		if (parse(&net, cases[i].text, &err) != -1)
			fail_msg("\"%s\" is a network", cases[i].text);
		assert_int_equal(err.code, ERR_MALFORMED);
		expect_words(cases[i].text, err.msg, cases[i].says);
	}
}

static void
each_kind_and_source_has_its_own_count(void **state)
{
	struct source a = source("10.0.0.1"), b = source("10.0.0.2");
	struct tally *t;

	(void)state;
	assert_int_equal(tally_new(&t, NULL), 0);
	assert_true(tally_take(t, TALLY_HELD, a, 2));
	assert_true(tally_take(t, TALLY_HELD, a, 2));
	assert_false(tally_take(t, TALLY_HELD, a, 2));
	assert_true(tally_take(t, TALLY_HELD, b, 2));
	assert_true(tally_take(t, TALLY_CONNECTIONS, a, 2));
	assert_false(tally_take(t, TALLY_HANDSHAKES, a, 0));
	assert_int_equal(tally_count(t, TALLY_HELD, a), 2);
	tally_give(t, TALLY_HELD, a);
	assert_true(tally_take(t, TALLY_HELD, a, 2));
	tally_give(t, TALLY_HELD, a);
	tally_give(t, TALLY_HELD, a);
	assert_int_equal(tally_count(t, TALLY_HELD, a), 0);
	for (unsigned i = 1; i < 50000; i++) {
		memcpy(a.addr, &i, sizeof(i));
		assert_true(tally_take(t, TALLY_CONNECTIONS, a, 1));
	}
	tally_free(t);
}

static void
a_handle_finds_nothing_once_its_object_is_gone(void **state)
{
	struct handle first, h, other = { 0 };
	int things[300];
	struct slab s;
	size_t at = 0, n = 0;

	(void)state;
	slab_init(&s, 3);
	assert_null(slab_get(&s, other));
	assert_int_equal(slab_add(&first, &s, &things[0], NULL), 0);
	assert_ptr_equal(slab_get(&s, first), &things[0]);
	other = first;
	other.worker = 2;
	assert_null(slab_get(&s, other));
	slab_remove(&s, first);
	slab_remove(&s, first);
	assert_null(slab_get(&s, first));
	for (size_t i = 0; i < COUNT(things); i++) {
		assert_int_equal(slab_add(&h, &s, &things[i], NULL), 0);
		assert_true(h.generation != first.generation);
	}
	assert_null(slab_get(&s, first));
	while (slab_next(&s, &at) != NULL)
		n++;
	assert_int_equal(n, COUNT(things));
	slab_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources_and_their_blocks),
		cmocka_unit_test(networks_have_their_hosts),
		cmocka_unit_test(what_is_no_network),
		cmocka_unit_test(each_kind_and_source_has_its_own_count),
		cmocka_unit_test(
		    a_handle_finds_nothing_once_its_object_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
