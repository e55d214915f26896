#include "common/tls_memory.h"

#include <openssl/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A record's buffer is kept and comes again; what is smaller or larger is not. */
static void
keeps_buffers_of_records_only(void **state)
{
	static const struct {
		size_t given, asked;
		bool same;
	} cases[] = {
		{ 16384, 16384, true },
		{ 16709, 17000, true },
		{ 16384, 18432, true },
		{ 16384, 16383, false },
		{ 16384, 18433, false },
		{ 16383, 16384, false },
		{ 40000, 16384, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		void *first = OPENSSL_malloc(cases[i].given), *second;
		uintptr_t at = (uintptr_t)first;

		assert_non_null(first);
		memset(first, 1, cases[i].given);
		OPENSSL_free(first);
		second = OPENSSL_malloc(cases[i].asked);
		assert_non_null(second);
		memset(second, 2, cases[i].asked);
		if (cases[i].same)
			assert_int_equal(at, (uintptr_t)second);
		OPENSSL_free(second);
		tls_memory_end();
	}
}

static void
keeps_a_few_and_gives_them_back(void **state)
{
	void *all[64];

	(void)state;
	for (size_t i = 0; i < 64; i++)
		assert_non_null(all[i] = OPENSSL_malloc(17000));
	for (size_t i = 0; i < 64; i++)
		OPENSSL_free(all[i]);
	/* What is not given back here, the leak checker finds. */
	tls_memory_end();
	tls_memory_end();
}

/* A thread's own limit; what it has already stays. */
static void
gives_no_more_than_it_may(void **state)
{
	void *small, *large;

	(void)state;
	tls_memory_most(40000);
	small = OPENSSL_malloc(40000);
	assert_non_null(small);
	assert_null(OPENSSL_malloc(40001));
	assert_null(OPENSSL_realloc(small, 40001));
	tls_memory_most(0);
	large = OPENSSL_realloc(small, 200000);
	assert_non_null(large);
	OPENSSL_free(large);
}

/* OpenSSL 3.0 writes a signature into what it got for one of 0 bytes, and 0 is
 * what it takes for its length when it had no memory to find out. */
static void
nothing_is_no_memory(void **state)
{
	unsigned missed = tls_memory_missed();
	void *some = OPENSSL_malloc(5);

	(void)state;
	assert_non_null(some);
	assert_null(OPENSSL_malloc(0));
	assert_null(OPENSSL_zalloc(0));
	assert_null(OPENSSL_realloc(NULL, 0));
	assert_null(OPENSSL_realloc(some, 0));
	assert_int_equal(tls_memory_missed(), missed);
}

static void
counts_what_was_missed(void **state)
{
	unsigned missed = tls_memory_missed();

	(void)state;
	tls_memory_most(8);
	assert_null(OPENSSL_malloc(9));
	assert_null(OPENSSL_realloc(NULL, 9));
	tls_memory_most(0);
	OPENSSL_free(OPENSSL_malloc(9));
	assert_int_equal(tls_memory_missed(), missed + 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_buffers_of_records_only),
		cmocka_unit_test(keeps_a_few_and_gives_them_back),
		cmocka_unit_test(gives_no_more_than_it_may),
		cmocka_unit_test(nothing_is_no_memory),
		cmocka_unit_test(counts_what_was_missed),
	};

	if (!tls_memory())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
