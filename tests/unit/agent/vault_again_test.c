#include "tests/unit/agent/lab.h"

#include <string.h>

/* Hosts that ask again for a launch (docs/protocol.md 7). */

static struct lab lab;

static void
idempotency_keys(void **state)
{
	struct vault_launch_answer first;
	struct vault_launch_answer again;
	struct vault_launch in;

	(void)state;
	lab_register(&lab, "web1", NULL);
	lab_message(&in, &lab);
	in.has_key = true;
	memset(in.key, 1, sizeof(in.key));
	memset(in.body, 2, sizeof(in.body));
	lab_launch(&first, &lab, &in);
	lab_outcome(first.outcome, VAULT_OK);
	lab.boot_ms += 5000;
	lab_reopen(&lab);
	lab_launch(&again, &lab, &in);
	assert_memory_equal(&first, &again, sizeof(first));
	in.body[0] ^= 1;
	lab_launch(&again, &lab, &in);
	lab_outcome(again.outcome, VAULT_IDEM_MISMATCH);
	in.body[0] ^= 1;
	lab.boot_ms += VAULT_LIFE_MS;
	lab_sweep(&lab);
	lab_launch(&again, &lab, &in);
	lab_outcome(again.outcome, VAULT_OK);
	assert_false(uuid_equal(&first.session_id, &again.session_id));
	/* At the very end of its life, before any sweep came by. */
	lab.boot_ms += VAULT_LIFE_MS - 1;
	lab_launch(&first, &lab, &in);
	assert_memory_equal(&first, &again, sizeof(first));
	lab.boot_ms += 1;
	lab_launch(&first, &lab, &in);
	lab_outcome(first.outcome, VAULT_OK);
	assert_false(uuid_equal(&first.session_id, &again.session_id));
}

#define NO_KEY -1

/* The launch of a request whose key is all ${key}. */
static void
launch(struct vault_launch_answer *a, int key)
{
	struct vault_launch in;

	lab_message(&in, &lab);
	in.has_key = key != NO_KEY;
	memset(in.key, in.has_key ? key : 0, sizeof(in.key));
	memset(in.body, 9, sizeof(in.body));
	lab_launch(a, &lab, &in);
	lab_outcome(a->outcome, VAULT_OK);
}

static void
each_key_has_its_own_session(void **state)
{
	/* 0 is what stands there in a session without one. */
	static const int keys[] = { NO_KEY, 0, 1, 2 };
	struct vault_launch_answer first[4], again, other;
	size_t i, k;

	(void)state;
	lab_register(&lab, "web1", NULL);
	for (i = 0; i < 4; i++) {
		launch(&first[i], keys[i]);
		for (k = 0; k < i; k++)
			assert_false(uuid_equal(
			    &first[i].session_id, &first[k].session_id));
	}
	for (i = 1; i < 4; i++) {
		lab_reopen(&lab);
		launch(&again, keys[i]);
		assert_memory_equal(&again, &first[i], sizeof(again));
	}
	launch(&again, NO_KEY);
	for (i = 0; i < 4; i++)
		assert_false(
		    uuid_equal(&again.session_id, &first[i].session_id));
	/* Keys are of one VM. */
	lab_register(&lab, "web2", NULL);
	launch(&other, 1);
	assert_false(uuid_equal(&other.session_id, &first[2].session_id));
}

static void
a_key_lasts_as_long_as_its_session(void **state)
{
	struct vault_launch_answer first, again;
	struct vault_validate_answer v;
	struct vault_validate m;
	struct err err = { 0 };

	(void)state;
	lab_register(&lab, "web1", NULL);
	/* A secret that went out is not sent for another guest. */
	launch(&first, 1);
	lab_measure(&m, &lab, lab_start(&lab, &first));
	lab_validate(&v, &lab, &m);
	lab_outcome(v.outcome, VAULT_OK);
	launch(&again, 1);
	assert_memory_equal(&again, &first, sizeof(again));
	assert_int_equal(lab_released(&lab), 1);
	/* One that the owner ended is not given again. */
	launch(&first, 2);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	assert_int_equal(vault_cancel(lab.vault, &first.session_id, &err), 0);
	assert_int_equal(vault_commit(lab.vault, &err), 0);
	launch(&again, 2);
	assert_false(uuid_equal(&again.session_id, &first.session_id));
}

int
main(void)
{
#define T(f) LAB_TEST(f, lab)
	const struct CMUnitTest tests[] = {
		T(idempotency_keys),
		T(each_key_has_its_own_session),
		T(a_key_lasts_as_long_as_its_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
