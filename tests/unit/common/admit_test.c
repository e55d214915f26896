#include "common/admit.h"

#include "common/secret.h"
#include "common/tls_memory.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "tests/unit/relay/check.h"

#define TOKEN "0123456789abcdef"

static struct admit_token token = { .name = "cn-17" };

static const struct {
	const char *name;
	bool mtls, bearer;
	const char *peer; /* SAN, or NULL */
	size_t count;     /* Authorization fields */
	const char *authorization;
	const char *identity; /* NULL: refused */
} cases[] = {
	{ "nothing shown", true, true, NULL, 0, "", NULL },
	{ "certificate", true, true, "cn-21", 0, "", "mtls:cn-21" },
	{ "certificate, mtls off", false, true, "cn-21", 0, "", NULL },
	{ "token", true, true, NULL, 1, "Bearer " TOKEN, "token:cn-17" },
	{ "any case", true, true, NULL, 1, "bEaReR " TOKEN, "token:cn-17" },
	{ "bearer off", true, false, NULL, 1, "Bearer " TOKEN, NULL },
	{ "both off", false, false, "cn-21", 1, "Bearer " TOKEN, NULL },
	{ "wrong token", true, true, NULL, 1, "Bearer 0123456789abcdeg", NULL },
	{ "prefix", true, true, NULL, 1, "Bearer 0123456789abcde", NULL },
	{ "longer", true, true, NULL, 1, "Bearer " TOKEN "0", NULL },
	{ "no token", true, true, NULL, 1, "Bearer ", NULL },
	{ "no scheme", true, true, NULL, 1, TOKEN, NULL },
	{ "other scheme", true, true, NULL, 1, "Basic " TOKEN, NULL },
	{ "two spaces", true, true, NULL, 1, "Bearer  " TOKEN, NULL },
	{ "space behind", true, true, NULL, 1, "Bearer " TOKEN " ", NULL },
	{ "empty", true, true, NULL, 1, "", NULL },
	{ "two fields", true, true, NULL, 2, "Bearer " TOKEN, NULL },
	{ "bad token, good certificate", true, true, "cn-21", 1, "Bearer x",
	    NULL },
};

static void
judge_all(const struct evp_md_st *sha256)
{
	char identity[ADMIT_IDENTITY_MAX + 1];

	EVP_Digest(
	    TOKEN, strlen(TOKEN), token.sha256, NULL, EVP_sha256(), NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t len = strlen(cases[i].authorization);
		uint8_t *exact = malloc(len + 1);
		struct admit_hosts hosts = { cases[i].mtls, cases[i].bearer,
			&token, 1, .sha256 = sha256 };
		struct admit_shown shown = { cases[i].peer, cases[i].count,
			{ exact, len } };
		struct err err;
		int rc;

		memcpy(exact, cases[i].authorization, len);
		exact = realloc(exact, len != 0 ? len : 1);
		shown.authorization.ptr = exact;
		rc = admit_host(identity, &hosts, &shown, &err);
		free(exact);
		if (rc != (cases[i].identity != NULL ? 0 : -1))
			fail_msg("%s: %d", cases[i].name, rc);
		if (rc == 0)
			assert_string_equal(identity, cases[i].identity);
		else
			assert_int_equal(err.code, ERR_UNTRUSTED);
	}
}

static void
hosts_show_who_they_are(void **state)
{
	(void)state;
	judge_all(NULL);
}

static void
a_hash_that_was_looked_up_judges_the_same(void **state)
{
	struct evp_md_st *sha256 = admit_sha256();

	(void)state;
	assert_non_null(sha256);
	judge_all(sha256);
	admit_sha256_free(sha256);
}

/* Each shape as the field's value, in a buffer of its exact size. */
static bool
hashes(uint8_t out[ADMIT_DIGEST_LEN], const char *text, size_t len)
{
	uint8_t *exact = malloc(len != 0 ? len : 1);
	bool good;

	memcpy(exact, text, len);
	good = admit_bearer_hash(out, span_of(exact, len));
	free(exact);
	return good;
}

/* RFC 6750 2.1; the hash of nothing else may be looked up. */
static void
a_bearer_token_is_one_visible_word(void **state)
{
	static const struct {
		const char *value;
		bool good;
	} shapes[] = {
		{ "Bearer x", true },
		{ "bEARER x", true },
		{ "Bearer !~", true },
		{ "", false },
		{ "Bearer", false },
		{ "Bearer ", false },
		{ "Digest x", false },
		{ "Bearer:x", false },
		{ "Bearer x y", false },
		{ "Bearer x\t", false },
		{ "Bearer x\177", false },
		{ "Bearer \303\244", false },
	};
	uint8_t want[ADMIT_DIGEST_LEN], got[ADMIT_DIGEST_LEN];
	static const uint8_t zeros[ADMIT_DIGEST_LEN];
	char longest[7 + 513];

	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		const char *value = shapes[i].value;

		memset(got, 0xff, sizeof(got));
		if (hashes(got, value, strlen(value)) != shapes[i].good)
			fail_msg("\"%s\"", value);
		if (shapes[i].good)
			EVP_Digest(value + 7, strlen(value) - 7, want, NULL,
			    EVP_sha256(), NULL);
		assert_memory_equal(
		    got, shapes[i].good ? want : zeros, sizeof(got));
	}
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "Bearer ", 7);
	assert_true(hashes(got, longest, 7 + 512));
	assert_false(hashes(got, longest, 7 + 513));
}

/* docs/protocol.md 8: who shows nothing may come from a network that is
 * listed; who shows a bad token is refused wherever it comes from. */
static void
networks_admit_who_shows_nothing(void **state)
{
	static const struct {
		size_t count;
		uint8_t from; /* 10.x.0.0 */
		int rc;
	} shown[] = { { 0, 1, 0 }, { 0, 2, 0 }, { 0, 3, -1 }, { 1, 1, -1 } };
	struct source_net nets[2];
	struct admit_hosts hosts = { true, true, &token, 1, nets, 2 };
	char identity[ADMIT_IDENTITY_MAX + 1];
	struct err err;

	(void)state;
	assert_int_equal(source_net_parse(&nets[0], "10.1.0.0/16", NULL), 0);
	assert_int_equal(source_net_parse(&nets[1], "10.2.0.0/16", NULL), 0);
	for (size_t i = 0; i < COUNT(shown); i++) {
		struct admit_shown one = { NULL, shown[i].count,
			span_str("Bearer x"), nets[0].base };

		one.source.addr[13] = shown[i].from;
		assert_int_equal(
		    admit_host(identity, &hosts, &one, &err), shown[i].rc);
		if (shown[i].rc == 0)
			assert_string_equal(identity, "none");
		else
			assert_int_equal(err.code, ERR_UNTRUSTED);
	}
}

static void
nobody_without_a_list(void **state)
{
	char identity[ADMIT_IDENTITY_MAX + 1];
	struct admit_hosts hosts = { true, true, NULL, 0 };
	struct admit_shown shown = { NULL, 1, span_str("Bearer " TOKEN) };

	(void)state;
	assert_int_equal(admit_host(identity, &hosts, &shown, NULL), -1);
}

/* RFC 8032 7.1, test 2. */
static const uint8_t key[32] = { 0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a,
	0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc, 0x9c, 0x98, 0x2c, 0xcf,
	0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66,
	0x0c };
static const uint8_t signature[64] = { 0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca,
	0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25, 0x40, 0xa2, 0xb2, 0x7b,
	0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76, 0x22, 0x23, 0xeb, 0xdb, 0x69,
	0xda, 0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99, 0x6e, 0x45, 0x8f, 0x36,
	0x13, 0xd0, 0xf1, 0x1d, 0x8c, 0x38, 0x7b, 0x2e, 0xae, 0xb4, 0x30, 0x2a,
	0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00 };

static void
signatures_are_judged_bit_by_bit(void **state)
{
	uint8_t text = 0x72, bad[64], other[32];
	struct err err;

	(void)state;
	assert_int_equal(admit_signature(span_of(key, 32),
			     span_of(signature, 64), span_of(&text, 1), &err),
	    0);
	for (size_t bit = 0; bit < 64 * 8; bit++) {
		memcpy(bad, signature, sizeof(bad));
		bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(admit_signature(span_of(key, 32),
				     span_of(bad, 64), span_of(&text, 1), &err),
		    -1);
		assert_int_equal(err.code, ERR_UNTRUSTED);
	}
	for (size_t bit = 0; bit < 32 * 8; bit++) {
		memcpy(other, key, sizeof(other));
		other[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(
		    admit_signature(span_of(other, 32), span_of(signature, 64),
			span_of(&text, 1), &err),
		    -1);
	}
	text = 0x73;
	assert_int_equal(admit_signature(span_of(key, 32),
			     span_of(signature, 64), span_of(&text, 1), &err),
	    -1);
	assert_int_equal(admit_signature(span_of(key, 31),
			     span_of(signature, 64), span_of(&text, 1), &err),
	    -1);
	assert_int_equal(admit_signature(span_of(key, 32),
			     span_of(signature, 63), span_of(&text, 1), &err),
	    -1);
}

/* Agents take a refusal for final, so one for want of memory is none. */
static void
without_memory_nobody_knows(void **state)
{
	uint8_t text = 0x72;
	unsigned missed = 0, good = 0;
	struct err err;

	(void)state;
	for (size_t most = 1; most < 16384; most += 7) {
		int rc;

		tls_memory_most(most);
		rc = admit_signature(span_of(key, 32), span_of(signature, 64),
		    span_of(&text, 1), &err);
		tls_memory_most(0);
		if (rc == 0) {
			good++;
			continue;
		}
		assert_int_equal(err.code, ERR_MEMORY);
		missed++;
	}
	assert_true(good > 0 && missed > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_show_who_they_are),
		cmocka_unit_test(a_hash_that_was_looked_up_judges_the_same),
		cmocka_unit_test(a_bearer_token_is_one_visible_word),
		cmocka_unit_test(networks_admit_who_shows_nothing),
		cmocka_unit_test(nobody_without_a_list),
		cmocka_unit_test(signatures_are_judged_bit_by_bit),
		cmocka_unit_test(without_memory_nobody_knows),
	};

	/* Before OpenSSL has any. */
	if (!tls_memory())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
