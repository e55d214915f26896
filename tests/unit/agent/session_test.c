#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/vault/session.h"

/* Launch sessions as they are stored, ended and found again. */

#define BOOT_MS INT64_C(5000000)
#define WALL_MS INT64_C(1790000000000)
#define YEAR_MS (INT64_C(365) * 24 * 3600 * 1000)
#define TIME_MAX (INT64_C(1) << 53)

/* Of the stored form. */
enum {
	STATE_AT = 1 + 16 + 16,
	BOOT_TIME_AT = STATE_AT + 2 + 2 * SEV_TK_LEN + 4,
	WALL_TIME_AT = BOOT_TIME_AT + 8,
};

static const uint8_t this_boot[TIMES_BOOT_ID_LEN] = { 1 };
static const uint8_t other_boot[TIMES_BOOT_ID_LEN] = { 2 };
static const uint8_t no_boot[TIMES_BOOT_ID_LEN];

static int64_t
boot_ms(void *arg)
{
	(void)arg;
	return BOOT_MS;
}

static int64_t
wall_ms(void *arg)
{
	(void)arg;
	return WALL_MS;
}

static const struct times clock_ = { boot_ms, wall_ms, NULL };

static void
fill(struct session *s)
{
	memset(s, 0, sizeof(*s));
	memset(s->id.bytes, 1, sizeof(s->id.bytes));
	memset(s->vm.bytes, 2, sizeof(s->vm.bytes));
	s->state = SESSION_RELEASED;
	s->failures = 3;
	memset(s->tik, 4, sizeof(s->tik));
	memset(s->tek, 5, sizeof(s->tek));
	s->policy = 0x01020304;
	s->since_boot_ms = BOOT_MS - 70;
	s->since_wall_ms = WALL_MS - 90;
	memset(&s->measure, 6, sizeof(s->measure));
	s->has_key = true;
	memset(s->key, 7, sizeof(s->key));
	memset(s->body, 8, sizeof(s->body));
}

/* The stored form, in a buffer of its exact size. */
static uint8_t *
stored(size_t *len, const struct session *s, const uint8_t *boot)
{
	uint8_t bytes[SESSION_BYTES_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint8_t *copy;

	session_encode(&w, s, boot);
	assert_true(writer_ok(&w));
	copy = malloc(w.len);
	assert_non_null(copy);
	memcpy(copy, bytes, w.len);
	*len = w.len;
	return copy;
}

static void
comes_back_as_it_was(void **state)
{
	struct session s, got;
	uint8_t *bytes;
	size_t len;

	(void)state;
	fill(&s);
	bytes = stored(&len, &s, this_boot);
	assert_int_equal(
	    session_decode(&got, span_of(bytes, len), &clock_, this_boot, NULL),
	    0);
	assert_memory_equal(&got, &s, sizeof(s));
	free(bytes);
}

/* The clock of another boot says nothing; nor does that of one without a
 * name. */
static void
ages_outlive_a_boot(void **state)
{
	static const struct {
		int64_t wall_ago;
		int64_t age;
		const uint8_t *then, *now;
	} cases[] = {
		{ 90, 70, this_boot, this_boot },
		{ 90, 90, other_boot, this_boot },
		{ 90, 90, no_boot, this_boot },
		{ 90, 90, no_boot, no_boot },
		{ 0, 0, other_boot, this_boot },
		{ -1, YEAR_MS, other_boot, this_boot },
		{ YEAR_MS, YEAR_MS, other_boot, this_boot },
		{ YEAR_MS + 1, YEAR_MS, other_boot, this_boot },
		{ WALL_MS + TIME_MAX, YEAR_MS, other_boot, this_boot },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct session s, got;
		uint8_t *bytes;
		size_t len;

		fill(&s);
		s.since_wall_ms = WALL_MS - cases[i].wall_ago;
		bytes = stored(&len, &s, cases[i].then);
		assert_int_equal(session_decode(&got, span_of(bytes, len),
				     &clock_, cases[i].now, NULL),
		    0);
		assert_int_equal(BOOT_MS - got.since_boot_ms, cases[i].age);
		free(bytes);
	}
}

static void
put_time(uint8_t *bytes, int64_t ms)
{
	struct writer w = writer_of(bytes, 8);

	writer_be64(&w, (uint64_t)ms);
}

static void
refuses_what_is_no_session(void **state)
{
	static const struct {
		const char *name;
		int more; /* bytes */
		size_t at;
		uint8_t to;
		size_t time_at;
		int64_t ms;
	} bad[] = {
		{ "one short", -1, 0, 1, 0, 0 },
		{ "one long", 1, 0, 1, 0, 0 },
		{ "format 2", 0, 0, 2, 0, 0 },
		{ "state 0", 0, STATE_AT, 0, 0, 0 },
		{ "state 5", 0, STATE_AT, 5, 0, 0 },
		{ "boot time", 0, 0, 1, BOOT_TIME_AT, TIME_MAX + 1 },
		{ "boot time before", 0, 0, 1, BOOT_TIME_AT, -TIME_MAX - 1 },
		{ "wall time", 0, 0, 1, WALL_TIME_AT, TIME_MAX + 1 },
		{ "wall time before", 0, 0, 1, WALL_TIME_AT, -TIME_MAX - 1 },
	};
	static const struct session zeros;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct session s, got;
		struct err err = { 0 };
		uint8_t *bytes;
		size_t len;

		fill(&s);
		bytes = stored(&len, &s, this_boot);
		bytes = realloc(bytes, len + (size_t)bad[i].more);
		assert_non_null(bytes);
		if (bad[i].more > 0)
			bytes[len] = 0;
		bytes[bad[i].at] = bad[i].to;
		if (bad[i].time_at != 0)
			put_time(bytes + bad[i].time_at, bad[i].ms);
		if (session_decode(&got,
			span_of(bytes, len + (size_t)bad[i].more), &clock_,
			this_boot, &err) != -1)
			fail_msg("%s: taken", bad[i].name);
		assert_int_equal(err.code, ERR_MALFORMED);
		assert_memory_equal(&got, &zeros, sizeof(got));
		free(bytes);
	}
}

/* T24: with the session its keys end. */
static void
closing_wipes_the_keys(void **state)
{
	static const uint8_t none[SEV_TK_LEN];
	struct session s;

	(void)state;
	fill(&s);
	session_close(&s, 11, 12);
	assert_int_equal(s.state, SESSION_CLOSED);
	assert_memory_equal(s.tik, none, sizeof(none));
	assert_memory_equal(s.tek, none, sizeof(none));
	assert_int_equal(s.since_boot_ms, 11);
	assert_int_equal(s.since_wall_ms, 12);
}

static struct uuid
id_of(uint32_t n)
{
	struct uuid id = { { 0 } };
	struct writer w = writer_of(id.bytes, sizeof(id.bytes));

	/* Many share a bucket, however many there are. */
	writer_be64(&w, n);
	writer_be64(&w, n % 2);
	return id;
}

static void
every_session_is_found(void **state)
{
	enum { SESSIONS = 2000 };
	struct session_table t;
	struct session twice = { .id = id_of(7) };
	struct uuid id;
	uint32_t i;

	(void)state;
	assert_int_equal(session_table_init(&t, NULL), 0);
	for (i = 0; i < SESSIONS; i++) {
		struct session *s = calloc(1, sizeof(*s));

		assert_non_null(s);
		s->id = id_of(i);
		assert_int_equal(session_table_add(&t, s, NULL), 0);
	}
	assert_int_equal(session_table_add(&t, &twice, NULL), -1);
	assert_int_equal(t.count, SESSIONS);
	assert_true(t.size >= SESSIONS / 2);
	for (i = 0; i < SESSIONS; i += 3) {
		id = id_of(i);
		session_table_remove(&t, session_table_find(&t, &id));
	}
	for (i = 0; i < SESSIONS; i++) {
		const struct session *s;

		id = id_of(i);
		s = session_table_find(&t, &id);
		assert_int_equal(s != NULL, i % 3 != 0);
		if (s != NULL)
			assert_true(uuid_equal(&s->id, &id));
	}
	session_table_free(&t);
	assert_null(session_table_find(&t, &id));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_as_it_was),
		cmocka_unit_test(ages_outlive_a_boot),
		cmocka_unit_test(refuses_what_is_no_session),
		cmocka_unit_test(closing_wipes_the_keys),
		cmocka_unit_test(every_session_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
