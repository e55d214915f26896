#include "tests/unit/agent/lab.h"

#include <stdlib.h>
#include <string.h>

/* What the owner says between a launch and the release, and how far it
 * holds. */

static struct lab lab;

/* Her word on what waits for it: one question, of this kind. */
static void
say(bool yes, enum vault_ask_kind kind)
{
	struct vault_ask *asks = calloc(VAULT_ASKS_MAX, sizeof(*asks));
	struct err err = { 0 };

	assert_non_null(asks);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	assert_int_equal(vault_asks(asks, lab.vault), 1);
	assert_int_equal(asks[0].kind, kind);
	assert_int_equal(vault_answer(lab.vault, asks[0].id, yes, &err), 0);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	free(asks);
}

static void
disable(bool disabled)
{
	struct err err = { 0 };

	assert_int_equal(vault_begin(lab.vault, &err), 0);
	assert_int_equal(
	    vault_set_disabled(lab.vault, &lab.vm, disabled, &err), 0);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
}

/* Each guest over max-instances is a question of its own, also where no other
 * guest is one. */
static void
over_the_limit_she_is_asked(void **state)
{
	struct vault_validate_answer a;
	struct vault_launch_answer launch;
	struct vault_validate m[3];
	size_t i;

	(void)state;
	lab_register(&lab, "web1",
	    (const char *const[]){
		"max-instances", "1", "then", "confirm", NULL });
	for (i = 0; i < 3; i++)
		(void)lab_begin(&lab, &launch, &m[i]);
	lab_validate(&a, &lab, &m[0]);
	lab_outcome(a.outcome, VAULT_OK);
	for (i = 1; i < 3; i++) {
		lab_validate(&a, &lab, &m[i]);
		lab_outcome(a.outcome, VAULT_PENDING);
		assert_int_equal(a.payload_len, 0);
		assert_int_equal(lab_released(&lab), i);
		say(true, ASK_LIMIT);
		lab_validate(&a, &lab, &m[i]);
		lab_outcome(a.outcome, VAULT_OK);
	}
	assert_int_equal(lab_released(&lab), 3);
}

/* Her yes is for one launch, though the next one is on the same chip. */
static void
one_word_is_one_launch(void **state)
{
	struct vault_launch_answer a;
	struct vault_launch in;
	int i;

	(void)state;
	lab_register(&lab, "web1",
	    (const char *const[]){
		"approve", "always", "approve-at", "launch", NULL });
	lab_message(&in, &lab);
	for (i = 0; i < 2; i++) {
		lab_launch(&a, &lab, &in);
		lab_outcome(a.outcome, VAULT_PENDING);
		say(true, ASK_LAUNCH);
		lab_launch(&a, &lab, &in);
		lab_outcome(a.outcome, VAULT_OK);
	}
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_PENDING);
	say(false, ASK_LAUNCH);
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_REFUSED);
}

static size_t
questions(uint64_t *last)
{
	struct vault_ask *asks = calloc(VAULT_ASKS_MAX, sizeof(*asks));
	size_t count;

	assert_non_null(asks);
	count = vault_asks(asks, lab.vault);
	*last = count > 0 ? asks[count - 1].id : 0;
	free(asks);
	return count;
}

/* A question ends by itself, and so does an answer that nobody fetched. */
static void
words_do_not_last(void **state)
{
	uint64_t first, second;

	(void)state;
	lab_register(&lab, "web1",
	    (const char *const[]){
		"approve", "always", "approve-at", "launch", NULL });
	lab_outcome(lab_try(&lab), VAULT_PENDING);
	assert_int_equal(questions(&first), 1);
	lab.boot_ms += VAULT_ASK_MS - 1;
	lab_outcome(lab_try(&lab), VAULT_PENDING);
	assert_int_equal(questions(&second), 1);
	assert_int_equal(second, first);
	lab.boot_ms += 1;
	assert_int_equal(questions(&second), 0);
	lab_outcome(lab_try(&lab), VAULT_PENDING);
	assert_int_equal(questions(&second), 1);
	assert_true(second > first);
	say(true, ASK_LAUNCH);
	assert_int_equal(questions(&first), 0);
	lab.boot_ms += VAULT_ASK_MS;
	lab_outcome(lab_try(&lab), VAULT_PENDING);
	say(true, ASK_LAUNCH);
	lab.boot_ms += VAULT_ASK_MS - 1;
	lab_outcome(lab_try(&lab), VAULT_OK);
}

/* One answer to each, and none to what was not asked. */
static void
each_question_is_answered_once(void **state)
{
	struct err err = { 0 };
	uint64_t id;

	(void)state;
	lab_register(&lab, "web1",
	    (const char *const[]){
		"approve", "always", "approve-at", "launch", NULL });
	lab_outcome(lab_try(&lab), VAULT_PENDING);
	assert_int_equal(questions(&id), 1);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	assert_int_equal(vault_answer(lab.vault, 0, true, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(vault_answer(lab.vault, id + 1, true, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(vault_answer(lab.vault, id, false, &err), 0);
	assert_int_equal(vault_answer(lab.vault, id, true, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	lab_outcome(lab_try(&lab), VAULT_REFUSED);
}

/* T30: the questions of one VM leave room for those of another. */
static void
one_vm_does_not_fill_her_screen(void **state)
{
	static const char *const rules[] = { "approve", "always", "approve-at",
		"release", NULL };
	struct vault_validate_answer a;
	struct vault_launch_answer launch;
	struct vault_validate m;
	uint64_t id;
	int i;

	(void)state;
	lab_register(&lab, "web1", rules);
	for (i = 0; i <= VAULT_ASKS_OF_VM_MAX; i++) {
		(void)lab_begin(&lab, &launch, &m);
		lab_validate(&a, &lab, &m);
		lab_outcome(a.outcome, VAULT_PENDING);
	}
	assert_int_equal(questions(&id), VAULT_ASKS_OF_VM_MAX);
	lab_register(&lab, "web2", rules);
	(void)lab_begin(&lab, &launch, &m);
	lab_validate(&a, &lab, &m);
	lab_outcome(a.outcome, VAULT_PENDING);
	assert_int_equal(questions(&id), VAULT_ASKS_OF_VM_MAX + 1);
}

/* A guest that was launched before gets nothing behind it either. */
static void
disabled_releases_nothing(void **state)
{
	struct vault_validate_answer a;
	struct vault_launch_answer launch;
	struct vault_validate m;

	(void)state;
	lab_register(&lab, "web1", NULL);
	(void)lab_begin(&lab, &launch, &m);
	disable(true);
	lab_validate(&a, &lab, &m);
	lab_outcome(a.outcome, VAULT_REFUSED);
	assert_int_equal(a.payload_len, 0);
	lab_reopen(&lab);
	lab_validate(&a, &lab, &m);
	lab_outcome(a.outcome, VAULT_REFUSED);
	disable(false);
	lab_validate(&a, &lab, &m);
	lab_outcome(a.outcome, VAULT_OK);
}

/* Wrong measurements under the name of a session that has released do not end
 * it: its host could lose the answer that it asks for again. */
static void
wrong_tries_take_no_answer_away(void **state)
{
	struct vault_validate_answer *first = calloc(1, sizeof(*first));
	struct vault_validate_answer *a = calloc(1, sizeof(*a));
	struct vault_launch_answer launch;
	struct vault_validate m, wrong;
	int i;

	(void)state;
	assert_true(first != NULL && a != NULL);
	lab_register(&lab, "web1", NULL);
	(void)lab_begin(&lab, &launch, &m);
	m.has_session_id = true;
	m.session_id = launch.session_id;
	/* What the host says of the policy, it may say rightly. */
	m.has_policy = true;
	m.policy = launch.policy;
	lab_validate(first, &lab, &m);
	lab_outcome(first->outcome, VAULT_OK);
	wrong = m;
	wrong.measure.mac[0] ^= 1;
	for (i = 0; i <= VAULT_FAILURES_MAX; i++) {
		lab_validate(a, &lab, &wrong);
		lab_outcome(a->outcome, VAULT_MISMATCH);
	}
	lab_validate(a, &lab, &m);
	assert_memory_equal(a, first, sizeof(*a));
	free(first);
	free(a);
}

/* The address that she gave, also when the answer is read back. */
static void
secrets_go_where_she_said(void **state)
{
	struct vault_validate_answer a;
	struct vault_launch_answer launch;
	struct vault_validate m;
	int i;

	(void)state;
	lab_register(&lab, "web1",
	    (const char *const[]){ "secret-address", "0x80d000", NULL });
	(void)lab_begin(&lab, &launch, &m);
	for (i = 0; i < 2; i++) {
		lab_validate(&a, &lab, &m);
		lab_outcome(a.outcome, VAULT_OK);
		assert_true(a.inject);
		assert_true(a.has_address);
		assert_int_equal(a.address, 0x80d000);
		lab_reopen(&lab);
	}
	lab_register(&lab, "web2", NULL);
	(void)lab_begin(&lab, &launch, &m);
	lab_validate(&a, &lab, &m);
	lab_outcome(a.outcome, VAULT_OK);
	assert_false(a.has_address);
	assert_int_equal(a.address, 0);
}

int
main(void)
{
#define T(f) LAB_TEST(f, lab)
	const struct CMUnitTest tests[] = {
		T(over_the_limit_she_is_asked),
		T(one_word_is_one_launch),
		T(words_do_not_last),
		T(each_question_is_answered_once),
		T(one_vm_does_not_fill_her_screen),
		T(disabled_releases_nothing),
		T(secrets_go_where_she_said),
		T(wrong_tries_take_no_answer_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
