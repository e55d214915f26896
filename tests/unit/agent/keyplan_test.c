#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/net/keyplan.h"
#include "agent/net/keyserver.h"

static const uint8_t one[KEYPLAN_CHIP_LEN] = { 1 };
static const uint8_t two[KEYPLAN_CHIP_LEN] = { 2 };

static void
is_next(const struct keyplan *p, int64_t now_ms, const uint8_t *id)
{
	const struct keyplan_chip *c;
	int64_t wait_ms;

	c = keyplan_next(p, now_ms, &wait_ms);
	if (id == NULL) {
		assert_null(c);
		return;
	}
	assert_non_null(c);
	assert_memory_equal(c->id, id, KEYPLAN_CHIP_LEN);
}

static int64_t
wait_of(const struct keyplan *p, int64_t now_ms)
{
	int64_t wait_ms;

	assert_null(keyplan_next(p, now_ms, &wait_ms));
	return wait_ms;
}

static void
first_come_first_served(void **state)
{
	struct keyplan p = { .gap_ms = 10000 };

	(void)state;
	assert_int_equal(wait_of(&p, 0), -1);
	assert_true(keyplan_want(&p, two));
	assert_true(keyplan_want(&p, one));
	assert_true(keyplan_want(&p, two)); /* once is enough */
	is_next(&p, 0, two);
	keyplan_done(&p, two, KEYPLAN_GOT, 0, 0, 0);
	/* One request in 10 s. */
	assert_int_equal(wait_of(&p, 1), 9999);
	is_next(&p, 10000, one);
	keyplan_done(&p, one, KEYPLAN_GOT, 0, 0, 10000);
	assert_int_equal(wait_of(&p, 99999), -1);
}

static void
back_off(void **state)
{
	struct keyplan p = { .gap_ms = 0 };
	int64_t now = 0;
	int64_t last = 0;
	int i;

	(void)state;
	assert_true(keyplan_want(&p, one));
	for (i = 0; i < 40; i++) {
		int64_t wait;

		is_next(&p, now, one);
		keyplan_done(&p, one, KEYPLAN_BUSY, 0, UINT32_MAX, now);
		wait = wait_of(&p, now);
		assert_true(wait >= last && wait <= KEYPLAN_BACKOFF_MAX_MS);
		last = wait;
		now += wait;
	}
	assert_int_equal(last, KEYPLAN_BACKOFF_MAX_MS);
	/* By chance, but never less than half. */
	keyplan_done(&p, one, KEYPLAN_BUSY, 0, 0, now);
	assert_int_equal(wait_of(&p, now), KEYPLAN_BACKOFF_MAX_MS / 2);
	/* The server's own wish goes first, in reason, and for all chips. */
	keyplan_done(&p, one, KEYPLAN_BUSY, 77, 0, now);
	assert_true(keyplan_want(&p, two));
	assert_int_equal(wait_of(&p, now), 77000);
	keyplan_done(&p, one, KEYPLAN_BUSY, UINT32_MAX, 0, now);
	assert_int_equal(wait_of(&p, now), KEYPLAN_RETRY_AFTER_MAX_S * 1000);
	now += KEYPLAN_RETRY_AFTER_MAX_S * 1000;
	keyplan_done(&p, one, KEYPLAN_GOT, 0, 0, now);
	is_next(&p, now, two);
	keyplan_done(&p, two, KEYPLAN_BUSY, 0, UINT32_MAX, now);
	assert_int_equal(wait_of(&p, now), KEYPLAN_BACKOFF_MS);
}

/* Hosts may want it as often as they like. */
static void
hopeless_chips(void **state)
{
	struct keyplan p = { .gap_ms = 0 };

	(void)state;
	assert_true(keyplan_want(&p, one));
	keyplan_done(&p, one, KEYPLAN_UNKNOWN, 0, 0, 0);
	assert_int_equal(wait_of(&p, 0), -1);
	assert_true(keyplan_want(&p, one));
	assert_int_equal(wait_of(&p, 0), KEYPLAN_UNKNOWN_MS);
	assert_true(keyplan_want(&p, two));
	is_next(&p, 0, two);
	keyplan_done(&p, two, KEYPLAN_LIE, 0, 0, 0);
	assert_true(keyplan_want(&p, two));
	assert_int_equal(wait_of(&p, 0), KEYPLAN_LIE_MS);
	is_next(&p, KEYPLAN_LIE_MS, two);
}

static void
too_many_chips(void **state)
{
	uint8_t id[KEYPLAN_CHIP_LEN] = { 0 };
	struct keyplan p = { .gap_ms = 0 };
	int i;

	(void)state;
	for (i = 0; i < KEYPLAN_CHIPS_MAX; i++) {
		id[1] = (uint8_t)i;
		assert_true(keyplan_want(&p, id));
	}
	assert_false(keyplan_want(&p, one));
	/* A hopeless one makes room. */
	id[1] = 5;
	keyplan_done(&p, id, KEYPLAN_UNKNOWN, 0, 0, 0);
	assert_true(keyplan_want(&p, one));
	assert_false(keyplan_want(&p, two));
}

static void
urls(void **state)
{
	static const char *const good[] = { "https://kdsintf.amd.com",
		"https://localhost:8443/x", "https://[::1]:1/" };
	static const char *const bad[] = { "", "http://kdsintf.amd.com",
		"https://", "https://a@b", "https://a/?b", "https://a/#b",
		"file:///etc/passwd", "kdsintf.amd.com", "HTTPS ://a" };
	struct err err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(keyserver_check_url(good[i], &err), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(keyserver_check_url(bad[i], &err), -1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(first_come_first_served),
	cmocka_unit_test(back_off),
	cmocka_unit_test(hopeless_chips),
	cmocka_unit_test(too_many_chips),
	cmocka_unit_test(urls),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
