#include "tests/unit/sev/fixture.h"

#include <stdio.h>
#include <string.h>

/* The arrays in the program are the published files, and rightly signed. */
static void
pins_the_published_certificates(void **state)
{
	struct sev_root roots[SEV_ROOTS_PINNED];

	(void)state;
	assert_int_equal(sev_roots_pinned(roots, NULL), 0);
	for (size_t i = 0; i < SEV_ROOTS_PINNED; i++) {
		const char *gen = sev_generation_name(roots[i].generation);
		char path[64];
		struct fixture ask, ark, both;
		struct sev_root parsed;

		snprintf(path, sizeof(path), "certs/roots/%s/ask.cert", gen);
		ask = fixture_load(path);
		snprintf(path, sizeof(path), "certs/roots/%s/ark.cert", gen);
		ark = fixture_load(path);
		assert_true(span_equal(fixture_span(&ask), roots[i].ask.raw));
		assert_true(span_equal(fixture_span(&ark), roots[i].ark.raw));
		both = fixture_join(ask, ark);
		assert_int_equal(
		    sev_root_parse(&parsed, fixture_span(&both), NULL), 0);
		assert_true(parsed.has_ask);
		fixture_free(&both);
	}
}

static struct fixture
load(const char *list)
{
	struct fixture out = fixture_of("", 0);
	char copy[200], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", list);
	for (char *f = strtok_r(copy, "+", &save); f != NULL;
	     f = strtok_r(NULL, "+", &save)) {
		char path[300];

		snprintf(path, sizeof(path), "certs/%s.cert", f);
		out = fixture_join(out, fixture_load(path));
	}
	return out;
}

static void
takes_an_operators_root(void **state)
{
	static const char *const good[] = { "synthetic-a/ark",
		"synthetic-a/ask+synthetic-a/ark",
		"synthetic-a/ark+synthetic-a/ask",
		"naples/ask_ark_naples-as-published", "naples/ark",
		"naples/ark-published-576" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct fixture f;
		struct sev_root root;
		struct err err = { ERR_NONE, "" };

		/* One of them is stored as .cert too. */
		f = load(good[i]);
		if (sev_root_parse(&root, fixture_span(&f), &err) != 0)
			fail_msg("%s: %s", good[i], err.msg);
		assert_int_equal(root.generation, SEV_GEN_OPERATOR);
		fixture_free(&f);
	}
}

static void
refuses_roots_that_are_none(void **state)
{
	static const struct {
		const char *files;
		size_t flip; /* this byte, unless 0 */
		const char *says;
	} bad[] = {
		{ "synthetic-a/ask", 0, "ASK alone" },
		{ "synthetic-a/ark+synthetic-a/ark", 0, "two certificates" },
		{ "synthetic-a/ask+synthetic-a/ask", 0, "two certificates" },
		{ "synthetic-a/ark", 1500, "ARK by itself" },
		{ "synthetic-a/ark", 700, "ARK by itself" },
		{ "synthetic-a/ask+synthetic-a/ark", 700, "ASK by the ARK" },
		{ "roots/rome/ask+synthetic-a/ark", 0, "ASK by the ARK" },
		{ "naples/ark-published-576", 70, "not the one of Naples" },
		{ "synthetic-a/cek", 0, "usage" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fixture f = load(bad[i].files);
		struct sev_root root;
		struct err err = { ERR_NONE, "" };

		if (bad[i].flip != 0)
			f.ptr[bad[i].flip] ^= 1;
		if (sev_root_parse(&root, fixture_span(&f), &err) == 0)
			fail_msg("%s: accepted", bad[i].files);
		fixture_says(bad[i].files, &err, bad[i].says);
		fixture_free(&f);
	}
}

/* An ASK that came apart goes to the ARK that signed it, and to no other. */
static void
puts_an_ask_to_its_ark(void **state)
{
	static const char *const arks[] = { "roots/rome/ark", "synthetic-a/ark",
		"synthetic-a/ark" };
	struct fixture f[3], own = load("synthetic-a/ask");
	struct fixture other = load("roots/milan/ask");
	struct sev_root roots[3];
	struct sev_amd_cert ask;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		f[i] = load(arks[i]);
		assert_int_equal(
		    sev_root_parse(&roots[i], fixture_span(&f[i]), NULL), 0);
	}
	assert_int_equal(sev_amd_cert_parse(&ask, fixture_span(&own), NULL), 0);
	for (size_t i = 1; i < 3; i++) {
		assert_int_equal(sev_root_add_ask(roots, 3, &ask, NULL), 0);
		assert_false(roots[0].has_ask);
		assert_true(roots[i].has_ask);
		assert_true(span_equal(roots[i].ask.raw, fixture_span(&own)));
		assert_int_equal(roots[2].has_ask, i == 2);
	}
	assert_int_equal(sev_root_add_ask(roots, 3, &ask, NULL), -1);
	assert_int_equal(
	    sev_amd_cert_parse(&ask, fixture_span(&other), NULL), 0);
	assert_int_equal(sev_root_add_ask(roots, 3, &ask, NULL), -1);
	assert_false(roots[0].has_ask);
	for (size_t i = 0; i < 3; i++)
		fixture_free(&f[i]);
	fixture_free(&own);
	fixture_free(&other);
}

static void
finds_generations_by_name(void **state)
{
	enum sev_generation g;

	(void)state;
	assert_int_equal(sev_generation_find(&g, span_str("milan"), NULL), 0);
	assert_int_equal(g, SEV_GEN_MILAN);
	assert_int_equal(sev_generation_find(&g, span_str("Milan"), NULL), -1);
	assert_string_equal(sev_generation_name(SEV_GENERATIONS), "?");
}

/* 55766 B: the exponent is 65537, the modulus as long as it says, and odd. */
static void
refuses_keys_that_are_none(void **state)
{
	static const struct {
		const char *name;
		size_t at;
		uint8_t byte;
	} bad[] = {
		{ "exponent 3", 64, 3 },
		{ "a longer exponent", 64 + 511, 1 },
		{ "a shorter modulus", 64 + 512 + 511, 0 },
		{ "an even modulus", 64 + 512, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fixture f = fixture_load("certs/roots/milan/ark.cert");
		struct err err = { ERR_NONE, "" };
		struct sev_root root;

		f.ptr[bad[i].at] = bad[i].byte;
		assert_int_equal(
		    sev_root_parse(&root, fixture_span(&f), &err), -1);
		fixture_says(bad[i].name, &err,
		    "ARK without an odd modulus of 4096 bits and exponent "
		    "65537");
		fixture_free(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pins_the_published_certificates),
		cmocka_unit_test(takes_an_operators_root),
		cmocka_unit_test(refuses_roots_that_are_none),
		cmocka_unit_test(refuses_keys_that_are_none),
		cmocka_unit_test(puts_an_ask_to_its_ark),
		cmocka_unit_test(finds_generations_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
