#include "tests/unit/agent/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/vault/session.h"

#define LIFE VAULT_LIFE_MS

static struct lab lab;

static void
wrong_policy_and_hints_are_refused(void **state)
{
	struct vault_launch_answer a;
	struct vault_launch in;

	(void)state;
	lab_register(
	    &lab, "web1", (const char *const[]){ "min-api", "1.56", NULL });
	lab_message(&in, &lab);
	in.has_policy = true;
	in.policy = 0;
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_REFUSED);
	in.policy = 1;
	in.hints.has_build = true;
	in.hints.build = (struct sev_build){ 1, 55, 21 };
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_MISMATCH);
	in.hints.build.api_minor = 56;
	in.hints.has_firmware = true;
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_MISMATCH);
	in.hints.has_firmware = false;
	in.wants_es = true;
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_REFUSED);
	in.wants_es = false;
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_OK);
}

/* T3: the exact boundary, after the MAC proved the build. */
static void
old_builds_are_refused(void **state)
{
	char want[8];
	int build;

	(void)state;
	for (build = 19; build <= 23; build++) {
		struct vault_validate_answer answer;
		struct vault_launch_answer launch;
		struct vault_validate m;
		char name[16];

		(void)snprintf(want, sizeof(want), "%d", build);
		(void)snprintf(name, sizeof(name), "vm%d", build);
		lab.platform.api.build = 21;
		lab_register(&lab, name,
		    (const char *const[]){
			"min-api", "1.55", "min-build", want, NULL });
		(void)lab_begin(&lab, &launch, &m);
		assert_int_equal(m.build.api_major, 1);
		lab_validate(&answer, &lab, &m);
		lab_outcome(
		    answer.outcome, build <= 21 ? VAULT_OK : VAULT_REFUSED);
	}
}

static void
chains_are_judged(void **state)
{
	struct vault_launch_answer a;
	struct vault_launch in;
	int i;

	(void)state;
	lab_register(&lab, "web1", NULL);
	for (i = 0; i < 2; i++) { /* the second time from the cache */
		lab_message(&in, &lab);
		in.chain[100] ^= 1;
		lab_launch(&a, &lab, &in);
		lab_outcome(a.outcome, VAULT_REFUSED);
		assert_string_equal(lab.last.event, "refused");
		assert_non_null(strstr(lab.last.detail, "ARK"));
		lab_message(&in, &lab);
		in.chain_len -= 4;
		lab_launch(&a, &lab, &in);
		lab_outcome(a.outcome, VAULT_REFUSED);
		lab_message(&in, &lab);
		in.chain_len = 2 * SEV_CERT_LEN; /* no CEK */
		lab_launch(&a, &lab, &in);
		lab_outcome(a.outcome, VAULT_REFUSED);
		lab_message(&in, &lab);
		psp_cert_strip(in.chain + 2 * SEV_CERT_LEN);
		lab_launch(&a, &lab, &in);
		lab_outcome(a.outcome, VAULT_NO_CEK);
		assert_int_equal(a.retry_after_s, 30);
	}
	lab_message(&in, &lab);
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_OK);
}

/* A measurement that may be another agent's guest is left to that agent; one
 * of a session that is known here never is, or a host could shop around. */
static void
shared_uuids(void **state)
{
	struct vault_launch_answer launch, other;
	struct vault_validate_answer answer;
	struct vault_validate m, bad;
	size_t lines;
	int i;

	(void)state;
	lab_register(&lab, "web1",
	    (const char *const[]){ "uuid",
		"57f669c2-c427-4132-bc7a-26f56b6a718c", "shared-rank", "1",
		NULL });
	(void)lab_begin(&lab, &launch, &m);
	m.has_session_id = true;
	m.session_id = launch.session_id;
	bad = m;
	bad.measure.mac[0] ^= 1;
	lab_validate(&answer, &lab, &bad);
	lab_outcome(answer.outcome, VAULT_MISMATCH);
	assert_string_equal(lab.last.event, "mismatch");
	bad.session_id.bytes[15] ^= 1; /* of another agent, it may be */
	lab_validate(&answer, &lab, &bad);
	lab_outcome(answer.outcome, VAULT_NOT_MINE);
	assert_string_equal(lab.last.event, "not-mine");
	bad.has_session_id = false;
	/* Never 429, which would end the search for the one who knows. */
	for (i = 0; i < 20; i++) {
		lab_validate(&answer, &lab, &bad);
		lab_outcome(answer.outcome, VAULT_NOT_MINE);
	}
	lines = lab.lines;
	lab_validate(&answer, &lab, &bad);
	assert_int_equal(lab.lines, lines);
	/* Good ones need no luck. */
	m.has_session_id = false;
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
	/* Known, and so not another's: released, and of an ended session. */
	lab.boot_ms += 60000;
	bad.measure = m.measure;
	bad.measure.mac[0] ^= 1;
	bad.has_session_id = true;
	bad.session_id = launch.session_id;
	lab_validate(&answer, &lab, &bad);
	lab_outcome(answer.outcome, VAULT_MISMATCH);
	(void)lab_begin(&lab, &other, &m);
	m.has_session_id = true;
	m.session_id = other.session_id;
	lab.boot_ms += LIFE;
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_CLOSED);
}

/* T1: genuine, but not of this cloud, or not of these chips. */
static void
platform_rules(void **state)
{
	static const struct {
		const char *name;
		const char *const more[8];
		enum vault_outcome want;
	} cases[] = {
		{ "its-cek", { "cek", "certs/synthetic-a/cek.cert", NULL },
		    VAULT_OK },
		{ "deny", { "deny-generation", "operator", NULL },
		    VAULT_REFUSED },
		{ "other-chip",
		    { "chip",
			"00000000000000000000000000000000"
			"00000000000000000000000000000000",
			NULL },
		    VAULT_REFUSED },
		{ "this-chip", { "chip", "51698039d5af8a46", NULL }, VAULT_OK },
		{ "host", { "allow-host", "mtls:cn-18", NULL }, VAULT_REFUSED },
		{ "this-host", { "allow-host", "token:cn-17", NULL },
		    VAULT_OK },
	};
	uint8_t key[SEV_SHA256_LEN];
	char text[2 * SEV_SHA256_LEN + 1];
	struct vault_launch_answer a;
	struct vault_launch in;
	struct sev_cert cek;
	size_t i;

	(void)state;
	assert_int_equal(
	    sev_cert_parse(
		&cek, span_of(lab.platform.cert[PSP_CEK], SEV_CERT_LEN), NULL),
	    0);
	assert_int_equal(sev_cert_fingerprint(key, &cek, NULL), 0);
	for (i = 0; i < SEV_SHA256_LEN; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", key[i]);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *more[8];

		memcpy(more, cases[i].more, sizeof(more));
		if (strcmp(more[0], "cek") == 0)
			more[1] = lab_fixture(more[1]);
		if (strcmp(cases[i].name, "this-chip") == 0)
			more[1] = text;
		lab_register(&lab, cases[i].name, more);
		lab_message(&in, &lab);
		if (strcmp(more[0], "cek") == 0)
			psp_cert_strip(in.chain + 2 * SEV_CERT_LEN);
		lab_launch(&a, &lab, &in);
		if (a.outcome != cases[i].want)
			fail_msg("%s: %s: %s", cases[i].name,
			    vault_outcome_name(a.outcome), lab.last.detail);
	}
}

/* T10: exactly n releases, over a restart, and a window that moves on. */
static void
instances_are_counted(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch[4];
	struct vault_validate m[4];
	struct vault_launch in;
	int i;

	(void)state;
	lab_register(&lab, "web1",
	    (const char *const[]){ "max-instances", "2/1h", NULL });
	for (i = 0; i < 4; i++)
		(void)lab_begin(&lab, &launch[i], &m[i]);
	for (i = 0; i < 4; i++) {
		lab_validate(&answer, &lab, &m[i]);
		lab_outcome(answer.outcome, i < 2 ? VAULT_OK : VAULT_REFUSED);
		lab_reopen(&lab);
	}
	lab_message(&in, &lab);
	lab_launch(&launch[0], &lab, &in);
	lab_outcome(launch[0].outcome, VAULT_REFUSED);
	lab.wall_ms += 3599999;
	lab_launch(&launch[0], &lab, &in);
	lab_outcome(launch[0].outcome, VAULT_REFUSED);
	lab.wall_ms += 1;
	lab_validate(&answer, &lab, &m[2]);
	lab_outcome(answer.outcome, VAULT_OK);
	assert_int_equal(lab_released(&lab), 3);
	/* Where the limit is only told of. */
	lab_register(&lab, "web2",
	    (const char *const[]){
		"max-instances", "1", "then", "allow", NULL });
	for (i = 0; i < 2; i++) {
		(void)lab_begin(&lab, &launch[i], &m[i]);
		lab_validate(&answer, &lab, &m[i]);
		lab_outcome(answer.outcome, VAULT_OK);
	}
	assert_int_equal(lab_released(&lab), 2);
}

static void
open_sessions_are_capped(void **state)
{
	struct vault_launch_answer a;
	struct vault_launch in;
	int i;

	(void)state;
	lab_register(&lab, "web1", NULL);
	lab_message(&in, &lab);
	for (i = 0; i < VAULT_OPEN_MAX; i++) {
		lab_launch(&a, &lab, &in);
		lab_outcome(a.outcome, VAULT_OK);
	}
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_TOO_MANY_OPEN);
	assert_true(a.retry_after_s > 0);
	lab.boot_ms += LIFE;
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_OK);
}

static int64_t
fixed_boot(void *arg)
{
	(void)arg;
	return 5000;
}

static int64_t
fixed_wall(void *arg)
{
	(void)arg;
	return 1000000;
}

/* T26: across a reboot the wall clock tells the age; one that stands before
 * the session, or that nobody can believe, ends it. */
static void
sessions_of_another_boot(void **state)
{
	static const struct {
		bool same_boot;
		int64_t since_wall_ms;
		int64_t want_age_ms; /* -1: ages */
	} cases[] = {
		{ true, 2000000, 4000 },
		{ true, 0, 4000 },
		{ false, 1000000, 0 },
		{ false, 400001, 599999 },
		{ false, 400000, 600000 },
		{ false, 1000001, -1 },
		{ false, INT64_C(-40000000000), -1 },
	};
	const struct times clock = { fixed_boot, fixed_wall, NULL };
	const uint8_t boot[2][TIMES_BOOT_ID_LEN] = { { 1 }, { 2 } };
	struct session s = { .state = SESSION_OPEN, .since_boot_ms = 1000 };
	uint8_t bytes[SESSION_BYTES_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct err err = { 0 };
		struct session back;
		int64_t age;

		s.since_wall_ms = cases[i].since_wall_ms;
		session_encode(&w, &s, boot[0]);
		assert_int_equal(session_decode(&back, writer_span(&w), &clock,
				     boot[cases[i].same_boot ? 0 : 1], &err),
		    0);
		age = 5000 - back.since_boot_ms;
		if (cases[i].want_age_ms >= 0)
			assert_int_equal(age, cases[i].want_age_ms);
		else
			assert_true(age > VAULT_REMEMBER_MS);
	}
}

/* The 4097th VM is refused, and costs the others of its batch nothing. */
static void
vms_are_capped(void **state)
{
	static const uint8_t key[UUID_KEY_LEN] = { 7 };
	struct register_plan *p = calloc(1, sizeof(*p));
	struct registration *one = NULL;
	struct secret bytes = { 0 };
	struct err err = { 0 };
	size_t i;

	(void)state;
	assert_non_null(p);
	lab_plan(p, "web1", NULL);
	assert_int_equal(register_finish(&one, p, key, &err), 0);
	assert_int_equal(registration_encode(&bytes, one, &err), 0);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	for (i = 0; i <= VAULT_VMS_MAX; i++) {
		struct registration *r = NULL;

		assert_int_equal(
		    registration_decode(&r, secret_span(&bytes), &err), 0);
		(void)snprintf(r->name, sizeof(r->name), "web%zu", i);
		memcpy(r->vm.bytes, &i, sizeof(i));
		assert_int_equal(vault_register(lab.vault, r, &err),
		    i < VAULT_VMS_MAX ? 0 : -1);
	}
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	assert_int_equal(vault_count(lab.vault), VAULT_VMS_MAX);
	secret_free(&bytes);
	registration_free(one);
	register_free(p);
	free(p);
}

static void
removal_ends_sessions(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;
	struct err err = { 0 };

	(void)state;
	lab_register(&lab, "web1", NULL);
	(void)lab_begin(&lab, &launch, &m);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	assert_int_equal(vault_remove(lab.vault, &lab.vm, &err), 0);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_NOT_MINE);
	lab_reopen(&lab);
	assert_int_equal(vault_count(lab.vault), 0);
	lab_register(&lab, "web1", NULL);
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_MISMATCH);
}

static void
names_and_uuids_are_unique(void **state)
{
	static const uint8_t key[UUID_KEY_LEN] = { 7 };
	struct register_plan *p = calloc(1, sizeof(*p));
	struct registration *r = NULL;
	struct err err = { 0 };

	(void)state;
	assert_non_null(p);
	lab_register(&lab, "web1", NULL);
	lab_plan(p, "web1", NULL);
	assert_int_equal(register_finish(&r, p, key, &err), 0);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	assert_int_equal(vault_register(lab.vault, r, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	register_free(p);
	free(p);
}

/* Guests without a secret are counted, too, and get none. */
static void
no_secret_no_packet(void **state)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;

	(void)state;
	lab_register(
	    &lab, "web1", (const char *const[]){ "no-secret", NULL, NULL });
	(void)lab_begin(&lab, &launch, &m);
	lab_validate(&answer, &lab, &m);
	lab_outcome(answer.outcome, VAULT_OK);
	assert_false(answer.inject);
	assert_int_equal(answer.payload_len, 0);
	assert_int_equal(lab_released(&lab), 1);
}

static bool
answer_all(bool yes)
{
	struct vault_ask *asks = calloc(VAULT_ASKS_MAX, sizeof(*asks));
	struct err err = { 0 };
	size_t count;

	assert_non_null(asks);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	count = vault_asks(asks, lab.vault);
	if (count == 1)
		assert_int_equal(
		    vault_answer(lab.vault, asks[0].id, yes, &err), 0);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	free(asks);
	return count == 1;
}

/* T6, T30: her word is for the guest that was shown, not for a second one
 * that was started from the same blob in the meantime. */
static void
word_is_for_one_guest(void **state)
{
	struct vault_validate_answer a;
	struct vault_launch_answer launch;
	struct vault_validate m[2];

	(void)state;
	lab_register(&lab, "web1",
	    (const char *const[]){
		"approve", "always", "approve-at", "release", NULL });
	(void)lab_begin(&lab, &launch, &m[0]);
	lab_measure(&m[1], &lab, lab_start(&lab, &launch));
	lab_validate(&a, &lab, &m[0]);
	lab_outcome(a.outcome, VAULT_PENDING);
	assert_true(answer_all(true));
	lab_validate(&a, &lab, &m[1]);
	lab_outcome(a.outcome, VAULT_PENDING);
	assert_true(answer_all(false));
	lab_validate(&a, &lab, &m[1]);
	lab_outcome(a.outcome, VAULT_REFUSED);
	lab_validate(&a, &lab, &m[0]);
	lab_outcome(a.outcome, VAULT_OK);
	lab_validate(&a, &lab, &m[1]);
	lab_outcome(a.outcome, VAULT_BLOB_REUSED);
	assert_int_equal(lab_released(&lab), 1);
}

/* What comes while it is locked is refused, and costs no batch. */
static void
locked_takes_nothing(void **state)
{
	struct secret cek = { 0 };
	uint8_t cpu_id[VAULT_CPU_ID_LEN] = { 1 };
	uint8_t key[SEV_SHA256_LEN] = { 2 };
	struct err err = { 0 };

	(void)state;
	lab_file(&cek, "certs/synthetic-a/cek.cert");
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	vault_lock(lab.vault);
	assert_int_equal(
	    vault_put_cek(lab.vault, cpu_id, secret_span(&cek), &err), -1);
	assert_int_equal(err.code, ERR_CLOSED);
	assert_int_equal(
	    vault_set_blocked(lab.vault, NULL, span_of(key, sizeof(key)), &err),
	    -1);
	assert_int_equal(err.code, ERR_CLOSED);
	assert_int_equal(vault_cancel(lab.vault, &lab.vm, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	secret_free(&cek);
}

static const struct CMUnitTest tests[] = {
#define T(f) LAB_TEST(f, lab)
	T(wrong_policy_and_hints_are_refused),
	T(shared_uuids),
	T(old_builds_are_refused),
	T(chains_are_judged),
	T(platform_rules),
	T(instances_are_counted),
	T(open_sessions_are_capped),
	T(removal_ends_sessions),
	T(names_and_uuids_are_unique),
	T(no_secret_no_packet),
	T(sessions_of_another_boot),
	T(vms_are_capped),
	T(word_is_for_one_guest),
	T(locked_takes_nothing),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
