/* The commands: what each refuses, with which firmware status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/psp/bench.h"

static void
start_refuses(void **state)
{
	static const struct {
		const char *name;
		bool in_godh;
		size_t at;
		size_t len; /* of the changed input; 0: as it was */
		enum psp_status want;
	} bad[] = {
		{ "nonce", false, 0, 0, PSP_BAD_MEASUREMENT },
		{ "TEK", false, 16, 0, PSP_BAD_MEASUREMENT },
		{ "TIK", false, 47, 0, PSP_BAD_MEASUREMENT },
		{ "wrap IV", false, 48, 0, PSP_BAD_MEASUREMENT },
		{ "WRAP_MAC", false, 64, 0, PSP_BAD_MEASUREMENT },
		{ "POLICY_MAC", false, 127, 0, PSP_BAD_MEASUREMENT },
		{ "session one short", false, 0, 127, PSP_INVALID_LEN },
		{ "session one long", false, 0, 129, PSP_INVALID_LEN },
		{ "version", true, 0, 0, PSP_INVALID_CERTIFICATE },
		{ "usage", true, 8, 0, PSP_INVALID_CERTIFICATE },
		{ "algorithm", true, 12, 0, PSP_INVALID_CERTIFICATE },
		{ "curve", true, 16, 0, PSP_INVALID_CERTIFICATE },
		{ "point", true, 20, 0, PSP_INVALID_CERTIFICATE },
		{ "x of 2^384", true, 68, 0, PSP_INVALID_CERTIFICATE },
		{ "y of 2^384", true, 163, 0, PSP_INVALID_CERTIFICATE },
		{ "GODH one short", true, 0, 2083, PSP_INVALID_LEN },
		{ "GODH one long", true, 0, 2085, PSP_INVALID_LEN },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct secret *in = bad[i].in_godh ? &b->godh : &b->session;
		size_t len = bad[i].len == 0 ? in->len : bad[i].len;
		struct span good = secret_span(in);
		uint8_t *copy = calloc(1, len);
		enum psp_status got;
		uint32_t handle = 77;

		memcpy(copy, good.ptr, len < good.len ? len : good.len);
		copy[bad[i].at] ^= 4;
		got = psp_launch_start(&handle, b->psp, b->policy,
		    bad[i].in_godh ? span_of(copy, len) : secret_span(&b->godh),
		    bad[i].in_godh ? secret_span(&b->session)
				   : span_of(copy, len));
		if (got != bad[i].want || handle != 77)
			fail_msg("%s: %s, want %s", bad[i].name,
			    psp_status_name(got), psp_status_name(bad[i].want));
		free(copy);
	}
}

static void
start_judges_the_policy(void **state)
{
	struct bench *b = *state;
	uint32_t handle = 0;

	assert_int_equal(
	    bench_start(b, &handle, b->policy ^ 2), PSP_BAD_MEASUREMENT);
	assert_int_equal(
	    bench_start(b, &handle, b->policy | 2U << 16), PSP_POLICY_FAILURE);
	bench_session(b, "session-synthetic-minapi");
	assert_int_equal(bench_start(b, &handle, b->policy), PSP_SUCCESS);
	b->platform.api.major = (uint8_t)(b->policy >> 16);
	b->platform.api.minor = (uint8_t)((b->policy >> 24) - 1);
	assert_int_equal(
	    bench_start(b, &handle, b->policy), PSP_POLICY_FAILURE);
	b->platform.api.minor++;
	assert_int_equal(bench_start(b, &handle, b->policy), PSP_SUCCESS);
	bench_session(b, "session-synthetic-policy-7");
	b->platform.no_es = true;
	assert_int_equal(
	    bench_start(b, &handle, b->policy), PSP_POLICY_FAILURE);
	b->platform.no_es = false;
	assert_int_equal(bench_start(b, &handle, b->policy), PSP_SUCCESS);
}

static void
start_without_an_owner(void **state)
{
	struct span none = span_of(NULL, 0);
	struct bench *b = *state;
	uint32_t handle = 0;

	assert_int_equal(
	    psp_launch_start(&handle, b->psp, 1, none, none), PSP_SUCCESS);
	assert_int_equal(psp_launch_start(&handle, b->psp, 1, none,
			     secret_span(&b->session)),
	    PSP_INVALID_LEN);
}

static void
a_rotated_pdh_ends_old_sessions(void **state)
{
	struct bench *b = *state;
	uint32_t handle = 0;

	assert_int_equal(bench_start(b, &handle, b->policy), PSP_SUCCESS);
	assert_int_equal(psp_pdh_gen(b->psp), PSP_SUCCESS);
	assert_int_equal(
	    bench_start(b, &handle, b->policy), PSP_BAD_MEASUREMENT);
}

static void
commands_before_init(void **state)
{
	uint8_t pdh[PSP_CERT_LEN], chain[PSP_CHAIN_LEN], out[48];
	struct psp_platform_status status;
	struct psp_guest_state guest;
	struct bench *b = *state;
	enum psp_guest_phase phase;
	uint32_t handle = bench_measured(b, &guest), policy;

	assert_int_equal(psp_init(b->psp), PSP_INVALID_PLATFORM_STATE);
	assert_int_equal(psp_shutdown(b->psp), PSP_SUCCESS);
	assert_int_equal(psp_platform_status(&status, b->psp), PSP_SUCCESS);
	assert_int_equal(status.state, PSP_UNINIT);
	assert_int_equal(status.guest_count, 0);
	assert_int_equal(
	    bench_start(b, &handle, b->policy), PSP_INVALID_PLATFORM_STATE);
	assert_int_equal(psp_launch_measure(out, sizeof(out), b->psp, handle),
	    PSP_INVALID_PLATFORM_STATE);
	assert_int_equal(psp_pdh_cert_export(pdh, chain, b->psp),
	    PSP_INVALID_PLATFORM_STATE);
	assert_int_equal(psp_pdh_gen(b->psp), PSP_INVALID_PLATFORM_STATE);
	assert_int_equal(psp_guest_status(&phase, &policy, b->psp, handle),
	    PSP_INVALID_PLATFORM_STATE);
	assert_int_equal(psp_guest_restore(&handle, b->psp, &guest),
	    PSP_INVALID_PLATFORM_STATE);
}

static void
commands_to_no_guest(void **state)
{
	static const uint32_t handles[] = { 0, 1, PSP_GUESTS_MAX,
		PSP_GUESTS_MAX + 1, UINT32_MAX };
	uint8_t page[PSP_VMSA_LEN] = { 0 };
	struct span data = span_of(page, sizeof(page));
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++) {
		uint32_t h = handles[i];

		assert_int_equal(
		    psp_launch_update_data(b->psp, h, data), PSP_INVALID_GUEST);
		assert_int_equal(
		    psp_launch_update_vmsa(b->psp, h, data), PSP_INVALID_GUEST);
		assert_int_equal(
		    psp_launch_measure(page, 48, b->psp, h), PSP_INVALID_GUEST);
		assert_int_equal(
		    psp_launch_secret(page, 16, b->psp, h, AREA, data, data),
		    PSP_INVALID_GUEST);
		assert_int_equal(
		    psp_launch_finish(b->psp, h), PSP_INVALID_GUEST);
		assert_int_equal(
		    psp_decommission(b->psp, h), PSP_INVALID_GUEST);
	}
}

static void
update_refuses(void **state)
{
	uint8_t page[PSP_VMSA_LEN + 16] = { 0 };
	static const size_t lens[] = { 0, 1, 15, 17, PSP_VMSA_LEN + 1 };
	struct bench *b = *state;
	uint32_t handle = 0;

	assert_int_equal(bench_start(b, &handle, b->policy), PSP_SUCCESS);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		assert_int_equal(psp_launch_update_data(
				     b->psp, handle, span_of(page, lens[i])),
		    PSP_INVALID_LEN);
	assert_int_equal(
	    psp_launch_update_vmsa(b->psp, handle, span_of(page, PSP_VMSA_LEN)),
	    PSP_UNSUPPORTED);
	bench_session(b, "session-synthetic-policy-7");
	assert_int_equal(bench_start(b, &handle, b->policy), PSP_SUCCESS);
	assert_int_equal(psp_launch_update_vmsa(
			     b->psp, handle, span_of(page, PSP_VMSA_LEN - 1)),
	    PSP_INVALID_LEN);
	assert_int_equal(psp_launch_update_vmsa(
			     b->psp, handle, span_of(page, PSP_VMSA_LEN + 16)),
	    PSP_INVALID_LEN);
	assert_int_equal(
	    psp_launch_update_vmsa(b->psp, handle, span_of(page, PSP_VMSA_LEN)),
	    PSP_SUCCESS);
}

static void
each_phase_has_its_commands(void **state)
{
	uint8_t page[PSP_VMSA_LEN] = { 0 };
	struct span data = span_of(page, sizeof(page));
	struct psp_guest_state guest;
	enum psp_guest_phase phase;
	struct bench *b = *state;
	uint32_t handle = 0, policy = 0;

	assert_int_equal(bench_start(b, &handle, b->policy), PSP_SUCCESS);
	/* LUPDATE: not measured yet. */
	assert_int_equal(
	    psp_launch_secret(page, 16, b->psp, handle, AREA, data, data),
	    PSP_INVALID_GUEST_STATE);
	assert_int_equal(
	    psp_launch_finish(b->psp, handle), PSP_INVALID_GUEST_STATE);
	assert_int_equal(
	    psp_guest_save(&guest, b->psp, handle), PSP_INVALID_GUEST_STATE);
	/* A short buffer changes nothing. */
	assert_int_equal(
	    psp_launch_measure(page, 47, b->psp, handle), PSP_INVALID_LEN);
	assert_int_equal(
	    psp_launch_update_data(b->psp, handle, data), PSP_SUCCESS);
	assert_int_equal(
	    psp_launch_measure(page, 48, b->psp, handle), PSP_SUCCESS);
	/* LSECRET: nothing more is measured. */
	assert_int_equal(psp_launch_measure(page, 48, b->psp, handle),
	    PSP_INVALID_GUEST_STATE);
	assert_int_equal(psp_launch_update_data(b->psp, handle, data),
	    PSP_INVALID_GUEST_STATE);
	assert_int_equal(psp_launch_finish(b->psp, handle), PSP_SUCCESS);
	/* RUNNING: too late for a secret, and the keys are gone. */
	assert_int_equal(
	    psp_launch_secret(page, 16, b->psp, handle, AREA, data, data),
	    PSP_INVALID_GUEST_STATE);
	assert_int_equal(
	    psp_launch_finish(b->psp, handle), PSP_INVALID_GUEST_STATE);
	assert_int_equal(
	    psp_guest_status(&phase, &policy, b->psp, handle), PSP_SUCCESS);
	assert_int_equal(phase, PSP_GUEST_RUNNING);
	assert_int_equal(policy, b->policy);
	assert_int_equal(psp_decommission(b->psp, handle), PSP_SUCCESS);
	assert_int_equal(psp_decommission(b->psp, handle), PSP_INVALID_GUEST);
}

static void
every_start_has_its_own_nonce(void **state)
{
	struct psp_guest_state one, two;
	struct bench *b = *state;

	(void)bench_measured(b, &one);
	(void)bench_measured(b, &two);
	assert_memory_equal(one.digest, two.digest, sizeof(one.digest));
	assert_memory_not_equal(one.mnonce, two.mnonce, sizeof(one.mnonce));
	assert_memory_not_equal(one.measure, two.measure, sizeof(one.measure));
}

static void
guests_run_out_and_come_back(void **state)
{
	struct psp_platform_status status;
	struct bench *b = *state;
	uint32_t handle = 0;

	for (int i = 0; i < PSP_GUESTS_MAX; i++)
		assert_int_equal(
		    bench_start(b, &handle, b->policy), PSP_SUCCESS);
	assert_int_equal(
	    bench_start(b, &handle, b->policy), PSP_RESOURCE_LIMIT);
	assert_int_equal(psp_platform_status(&status, b->psp), PSP_SUCCESS);
	assert_int_equal(status.guest_count, PSP_GUESTS_MAX);
	assert_int_equal(status.state, PSP_WORKING);
	for (uint32_t i = 1; i <= PSP_GUESTS_MAX; i++)
		assert_int_equal(psp_decommission(b->psp, i), PSP_SUCCESS);
	assert_int_equal(psp_platform_status(&status, b->psp), PSP_SUCCESS);
	assert_int_equal(status.state, PSP_INIT);
	assert_int_equal(bench_start(b, &handle, b->policy), PSP_SUCCESS);
}

static int
broken_random(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	memset(out, 0, len);
	return -1;
}

static void
no_measurement_without_a_nonce(void **state)
{
	struct bench *b = *state;
	struct psp *psp = psp_new(&b->platform, broken_random, NULL);
	uint8_t out[PSP_MEASUREMENT_LEN];
	uint32_t handle = 0;

	assert_int_equal(psp_init(psp), PSP_SUCCESS);
	assert_int_equal(psp_launch_start(&handle, psp, b->policy,
			     secret_span(&b->godh), secret_span(&b->session)),
	    PSP_SUCCESS);
	assert_int_equal(psp_launch_measure(out, sizeof(out), psp, handle),
	    PSP_HWERROR_PLATFORM);
	psp_free(psp);
}

static void
status_names(void **state)
{
	(void)state;
	assert_string_equal(psp_status_name(PSP_SUCCESS), "SUCCESS");
	assert_string_equal(psp_status_name(11), "BAD_MEASUREMENT");
	assert_string_equal(psp_status_name(24), "SECURE_DATA_INVALID");
	assert_string_equal(psp_status_name(25), "unknown status");
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(start_refuses),
		TEST(start_judges_the_policy),
		TEST(start_without_an_owner),
		TEST(a_rotated_pdh_ends_old_sessions),
		TEST(commands_before_init),
		TEST(commands_to_no_guest),
		TEST(update_refuses),
		TEST(each_phase_has_its_commands),
		TEST(every_start_has_its_own_nonce),
		TEST(guests_run_out_and_come_back),
		TEST(no_measurement_without_a_nonce),
		cmocka_unit_test(status_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
