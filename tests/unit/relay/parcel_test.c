#include "relay/parcel.h"

#include "tests/unit/relay/check.h"

#include "common/problem.h"
#include "relay/inherit.h"
#include "relay/job.h"

#include <stdlib.h>

static uint8_t bytes[PARCEL_MAX];
static uint8_t big[JOB_BODY_MAX + 1];

static struct span
put(const struct parcel *p)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	parcel_put(&w, p);
	assert_true(writer_ok(&w));
	return writer_span(&w);
}

static const struct parcel job = { .kind = PARCEL_JOB,
	.slot = 7,
	.generation = UINT64_C(1) << 40,
	.due_ms = 60000,
	.post = true };

static void
every_kind_comes_back(void **state)
{
	static const uint8_t kinds[] = { INHERIT_PUBLIC, INHERIT_INTERNAL };
	struct parcel list[] = {
		{ .kind = PARCEL_HELLO, .version = PARCEL_VERSION },
		{ .kind = PARCEL_OFFER,
		    .ticket_keys = span_of(big, TLS_TICKET_KEYS_LEN),
		    .session = 99,
		    .kinds = span_of(kinds, sizeof(kinds)) },
		{ .kind = PARCEL_GO },
		{ .kind = PARCEL_HANDED },
		job,
		{ .kind = PARCEL_CANCEL, .slot = 1, .generation = 2 },
		{ .kind = PARCEL_ANSWER,
		    .problem = PARCEL_ANSWERED,
		    .status = 200,
		    .headers = span_of(big, PARCEL_ANSWER_HEADERS_MAX),
		    .body = span_of(big, JOB_BODY_MAX) },
		{ .kind = PARCEL_ANSWER, .problem = PROBLEM_OVERLOADED },
		{ .kind = PARCEL_CHANGED, .change = PARCEL_REGISTRY },
		{ .kind = PARCEL_CHANGED, .change = PARCEL_SETUP },
	};
	struct parcel got;
	struct err err;

	(void)state;
	list[4].path = span_str("/vm/x/launch");
	list[4].headers = span_of(big, JOB_HEADERS_MAX);
	list[4].body = span_of(big, JOB_BODY_MAX);
	memset(list[4].source.addr, 9, sizeof(list[4].source.addr));
	for (size_t i = 0; i < COUNT(list); i++) {
		const struct parcel *p = &list[i];

		if (parcel_parse(&got, put(p), &err) != 0)
			fail_msg("%zu: %s", i, err.msg);
		assert_int_equal(got.kind, p->kind);
		assert_int_equal(got.version, p->version);
		assert_int_equal(got.session, p->session);
		assert_int_equal(got.slot, p->slot);
		assert_int_equal(got.generation, p->generation);
		assert_int_equal(got.due_ms, p->due_ms);
		assert_int_equal(got.post, p->post);
		assert_int_equal(got.problem, p->problem);
		assert_int_equal(got.status, p->status);
		assert_int_equal(got.change, p->change);
		assert_memory_equal(&got.source, &p->source, sizeof(p->source));
		assert_true(span_equal(got.ticket_keys, p->ticket_keys));
		assert_true(span_equal(got.kinds, p->kinds));
		assert_true(span_equal(got.path, p->path));
		assert_true(span_equal(got.headers, p->headers));
		assert_true(span_equal(got.body, p->body));
	}
}

static void
cut_and_longer_ones_are_refused(void **state)
{
	struct parcel p = job, got;
	struct span whole;
	struct err err;

	(void)state;
	p.path = span_str("/vm/x/launch");
	p.headers = span_str("headers");
	p.body = span_str("body");
	whole = put(&p);
	for (size_t len = 0; len <= whole.len + 1; len++) {
		uint8_t *exact = malloc(len > 0 ? len : 1);

		assert_non_null(exact);
		memcpy(exact, bytes, len);
		if (len == whole.len)
			assert_int_equal(
			    parcel_parse(&got, span_of(exact, len), &err), 0);
		else if (parcel_parse(&got, span_of(exact, len), &err) != -1)
			fail_msg("%zu of %zu bytes: accepted", len, whole.len);
		else
			expect_words("cut", err.msg, "parcel of kind");
		free(exact);
	}
}

static void
what_is_over_a_limit_is_refused(void **state)
{
	static const uint8_t strange[] = { INHERIT_KINDS };
	struct parcel list[] = { job, job, job,
		{ .kind = PARCEL_ANSWER, .problem = PROBLEM_COUNT },
		{ .kind = PARCEL_ANSWER,
		    .problem = PARCEL_ANSWERED,
		    .headers = span_of(big, PARCEL_ANSWER_HEADERS_MAX + 1) },
		{ .kind = PARCEL_OFFER,
		    .ticket_keys = span_of(big, TLS_TICKET_KEYS_LEN),
		    .kinds = span_of(strange, sizeof(strange)) },
		{ .kind = PARCEL_OFFER,
		    .ticket_keys = span_of(big, TLS_TICKET_KEYS_LEN),
		    .kinds = span_of(big, INHERIT_MAX + 1) },
		{ .kind = (enum parcel_kind)99 }, { .kind = PARCEL_CHANGED },
		{ .kind = PARCEL_CHANGED,
		    .change = (enum parcel_change)(PARCEL_SETUP + 1) } };
	static const char *const says[] = { "over a limit", "over a limit",
		"over a limit", "is none", "over a limit", "socket of kind 4",
		"at most 64", "parcel of kind 99", "change 0 is none",
		"change 3 is none" };
	struct parcel got;
	struct err err;

	(void)state;
	list[0].path = span_of(big, FRAME_PATH_MAX + 1);
	list[1].headers = span_of(big, JOB_HEADERS_MAX + 1);
	list[2].body = span_of(big, JOB_BODY_MAX + 1);
	for (size_t i = 0; i < COUNT(list); i++) {
		if (parcel_parse(&got, put(&list[i]), &err) != -1)
			fail_msg("%zu: accepted", i);
		expect_words(says[i], err.msg, says[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_comes_back),
		cmocka_unit_test(cut_and_longer_ones_are_refused),
		cmocka_unit_test(what_is_over_a_limit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
