#include "tests/unit/agent/lab.h"

/*
 * T15: the work of a /validate is the same whichever session and digest fit,
 * and if none does.  Linked with --wrap=sev_measure_compute, so that MACs can
 * be counted.
 */

int __real_sev_measure_compute(uint8_t out[SEV_MEASURE_LEN],
    const uint8_t tik[SEV_TK_LEN], const struct sev_build *build,
    uint32_t policy, const uint8_t digest[SEV_SHA256_LEN],
    const uint8_t nonce[SEV_NONCE_LEN], struct err *err);
int __wrap_sev_measure_compute(uint8_t out[SEV_MEASURE_LEN],
    const uint8_t tik[SEV_TK_LEN], const struct sev_build *build,
    uint32_t policy, const uint8_t digest[SEV_SHA256_LEN],
    const uint8_t nonce[SEV_NONCE_LEN], struct err *err);

static int macs;

int
__wrap_sev_measure_compute(uint8_t out[SEV_MEASURE_LEN],
    const uint8_t tik[SEV_TK_LEN], const struct sev_build *build,
    uint32_t policy, const uint8_t digest[SEV_SHA256_LEN],
    const uint8_t nonce[SEV_NONCE_LEN], struct err *err)
{
	macs++;
	return __real_sev_measure_compute(
	    out, tik, build, policy, digest, nonce, err);
}

#define SESSIONS 3
#define DIGESTS 3

/* Which session, or what is wrong. */
static const struct {
	int session;
	bool mac, build, policy, named;
	enum vault_outcome want;
} cases[] = {
	{ .session = 0, .want = VAULT_OK },
	{ .session = 1, .want = VAULT_OK },
	{ .session = SESSIONS - 1, .want = VAULT_OK },
	{ .mac = true, .want = VAULT_MISMATCH },
	{ .build = true, .want = VAULT_MISMATCH },
	{ .policy = true, .want = VAULT_MISMATCH },
	{ .named = true, .want = VAULT_OK },
	{ .named = true, .mac = true, .want = VAULT_MISMATCH },
	{ .named = true, .policy = true, .want = VAULT_MISMATCH },
};

/* Two digests of other guests stand beside that of the one that is started. */
static void
judge(size_t at)
{
	static const char *const more[] = { "digest",
		"00112233445566778899aabbccddeeff"
		"00112233445566778899aabbccddeeff",
		"digest",
		"ffeeddccbbaa99887766554433221100"
		"ffeeddccbbaa99887766554433221100",
		NULL };
	struct vault_launch_answer launch[SESSIONS];
	struct vault_validate m[SESSIONS], *one = &m[cases[at].session];
	struct vault_validate_answer answer;
	struct lab lab;
	int i, want = (cases[at].named ? 1 : SESSIONS) * DIGESTS;

	lab_open(&lab);
	lab_register(&lab, "web1", more);
	for (i = 0; i < SESSIONS; i++)
		(void)lab_begin(&lab, &launch[i], &m[i]);
	one->measure.mac[0] ^= cases[at].mac ? 1 : 0;
	one->build.build_id += cases[at].build ? 1 : 0;
	one->has_policy = cases[at].policy;
	one->policy = 3;
	one->has_session_id = cases[at].named;
	one->session_id = launch[0].session_id;
	macs = 0;
	lab_validate(&answer, &lab, one);
	lab_outcome(answer.outcome, cases[at].want);
	if (macs != want)
		fail_msg("case %zu: %d MACs, want %d", at, macs, want);
	lab_close(&lab);
}

static void
judge_all(bool named)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (cases[i].named == named)
			judge(i);
}

static void
work_over_all_sessions(void **state)
{
	(void)state;
	judge_all(false);
}

static void
work_for_a_named_session(void **state)
{
	(void)state;
	judge_all(true);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(work_over_all_sessions),
	cmocka_unit_test(work_for_a_named_session),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
