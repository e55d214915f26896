#include "common/tally.h"

#include "relay/slab.h"

#include <arpa/inet.h>
#include <netinet/in.h>

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
		cmocka_unit_test(each_kind_and_source_has_its_own_count),
		cmocka_unit_test(
		    a_handle_finds_nothing_once_its_object_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
