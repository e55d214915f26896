#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/vault/move.h"
#include "agent/vault/vault_move.h"
#include "tests/unit/agent/lab.h"

/* Two agents, and files between them. */

static struct lab old, new;

static int
setup(void **state)
{
	(void)state;
	lab_open(&old);
	lab_open(&new);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	lab_close(&old);
	lab_close(&new);
	return 0;
}

static void
begin(struct lab *l)
{
	assert_int_equal(vault_begin(l->vault, NULL), 0);
}

static void
commit(struct lab *l)
{
	struct err err = { 0 };

	if (vault_commit(l->vault, &err) != 0)
		fail_msg("%s", err.msg);
}

static void
seal_to(uint8_t out[MOVE_KEY_LEN], struct lab *l)
{
	begin(l);
	assert_int_equal(vault_move_key(out, l->vault, NULL), 0);
	commit(l);
}

/* In a batch that is still open. */
static void
hand_over(struct secret *file, uint8_t id[MOVE_ID_LEN], struct lab *from,
    struct lab *to, const struct uuid *vms, size_t count)
{
	uint8_t recipient[MOVE_KEY_LEN];
	struct err err = { 0 };

	seal_to(recipient, to);
	begin(from);
	if (vault_move_export(
		file, id, from->vault, vms, count, recipient, &err) != 0)
		fail_msg("%s", err.msg);
}

static int
take_over(struct lab *l, const struct secret *file, const struct lab *from,
    struct err *err)
{
	int rc;

	*err = (struct err){ 0 };
	begin(l);
	rc = vault_move_import(
	    l->vault, secret_span(file), key_public(from->key), err);
	commit(l);
	return rc;
}

static enum vault_outcome
outcome_of_launch(struct lab *l)
{
	struct vault_launch_answer a;
	struct vault_launch in;

	lab_message(&in, l);
	lab_launch(&a, l, &in);
	return a.outcome;
}

static enum vault_outcome
release_one(struct lab *l, const char *name)
{
	struct vault_validate_answer answer;
	struct vault_launch_answer launch;
	struct vault_validate m;
	uint32_t guest = lab_begin(l, &launch, &m);

	lab_validate(&answer, l, &m);
	if (answer.outcome == VAULT_OK)
		assert_true(lab_opens(l, guest, &answer, name));
	return answer.outcome;
}

static void
a_vm_and_its_count_move(void **state)
{
	uint8_t id[MOVE_ID_LEN];
	struct secret file = { 0 };
	struct err err;

	(void)state;
	lab_register(&old, "web1",
	    (const char *const[]){ "max-instances", "2/24h", NULL });
	lab_outcome(release_one(&old, "web1"), VAULT_OK);
	hand_over(&file, id, &old, &new, &old.vm, 1);
	commit(&old);
	lab_outcome(outcome_of_launch(&old), VAULT_NOT_MINE);
	if (take_over(&new, &file, &old, &err) != 0)
		fail_msg("%s", err.msg);
	new.vm = old.vm;
	assert_int_equal(lab_released(&new), 1);
	lab_outcome(release_one(&new, "web1"), VAULT_OK);
	lab_outcome(outcome_of_launch(&new), VAULT_REFUSED);
	lab_reopen(&new);
	lab_outcome(outcome_of_launch(&new), VAULT_REFUSED);
	/* And back, with what was released meanwhile. */
	secret_free(&file);
	hand_over(&file, id, &new, &old, &new.vm, 1);
	commit(&new);
	assert_int_equal(take_over(&old, &file, &new, &err), 0);
	assert_int_equal(lab_released(&old), 2);
	lab_outcome(outcome_of_launch(&old), VAULT_REFUSED);
	lab_outcome(outcome_of_launch(&new), VAULT_NOT_MINE);
	secret_free(&file);
}

static void
a_disabled_vm_stays_disabled(void **state)
{
	uint8_t id[MOVE_ID_LEN];
	struct secret file = { 0 };
	struct err err;

	(void)state;
	lab_register(&old, "web1", NULL);
	begin(&old);
	assert_int_equal(vault_set_disabled(old.vault, &old.vm, true, &err), 0);
	commit(&old);
	hand_over(&file, id, &old, &new, &old.vm, 1);
	commit(&old);
	assert_int_equal(take_over(&new, &file, &old, &err), 0);
	lab_reopen(&new);
	new.vm = old.vm;
	lab_outcome(outcome_of_launch(&new), VAULT_REFUSED);
	begin(&new);
	assert_int_equal(
	    vault_set_disabled(new.vault, &new.vm, false, &err), 0);
	commit(&new);
	lab_outcome(outcome_of_launch(&new), VAULT_OK);
	secret_free(&file);
}

/* Killed before the commit: still here.  After it: gone, and the file kept. */
/* T2: nor does a move let in a chip whose key is known to be out. */
static void
a_block_list_moves(void **state)
{
	uint8_t id[MOVE_ID_LEN], key[SEV_SHA256_LEN];
	struct secret file = { 0 }, cek = { 0 };
	struct sev_cert parsed;
	struct err err;

	(void)state;
	lab_file(&cek, "certs/synthetic-a/cek.cert");
	assert_int_equal(sev_cert_parse(&parsed, secret_span(&cek), NULL), 0);
	assert_int_equal(sev_cert_fingerprint(key, &parsed, NULL), 0);
	lab_register(&old, "web1", NULL);
	begin(&old);
	assert_int_equal(vault_set_blocked(old.vault, &old.vm,
			     span_of(key, sizeof(key)), &err),
	    0);
	commit(&old);
	lab_outcome(outcome_of_launch(&old), VAULT_REFUSED);
	hand_over(&file, id, &old, &new, &old.vm, 1);
	commit(&old);
	assert_int_equal(take_over(&new, &file, &old, &err), 0);
	new.vm = old.vm;
	lab_outcome(outcome_of_launch(&new), VAULT_REFUSED);
	lab_reopen(&new);
	lab_outcome(outcome_of_launch(&new), VAULT_REFUSED);
	secret_free(&file);
	secret_free(&cek);
}

/* Of the VMs of another export their word stays behind. */
static void
one_export_is_forgotten(void **state)
{
	uint8_t id[2][MOVE_ID_LEN];
	struct uuid vms[2];
	struct err err = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct secret file = { 0 };

		lab_register(&old, i == 0 ? "web1" : "web2", NULL);
		vms[i] = old.vm;
		hand_over(&file, id[i], &old, &new, &vms[i], 1);
		commit(&old);
		secret_free(&file);
	}
	begin(&old);
	assert_int_equal(vault_move_forget(old.vault, id[0], &err), 0);
	commit(&old);
	begin(&old);
	assert_int_equal(vault_move_check(old.vault, &vms[0], &err), 0);
	assert_int_equal(vault_move_check(old.vault, &vms[1], &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	commit(&old);
}

static void
a_crash_loses_nothing_and_doubles_nothing(void **state)
{
	uint8_t id[MOVE_ID_LEN];
	struct secret again = { 0 };
	struct secret file = { 0 };
	struct err err;

	(void)state;
	lab_register(&old, "web1", NULL);
	hand_over(&file, id, &old, &new, &old.vm, 1);
	lab_reopen(&old);
	lab_outcome(outcome_of_launch(&old), VAULT_OK);
	begin(&old);
	assert_int_equal(vault_move_again(&again, old.vault, id, &err), -1);
	assert_non_null(strstr(err.msg, "no export of that id"));
	commit(&old);

	secret_free(&file);
	hand_over(&file, id, &old, &new, &old.vm, 1);
	commit(&old);
	lab_reopen(&old);
	lab_outcome(outcome_of_launch(&old), VAULT_NOT_MINE);
	assert_int_equal(vault_count(old.vault), 0);
	assert_int_equal(vault_move_again(&again, old.vault, id, &err), 0);
	assert_int_equal(again.len, file.len);
	assert_memory_equal(again.ptr, file.ptr, file.len);
	assert_int_equal(take_over(&new, &again, &old, &err), 0);
	secret_free(&again);
	secret_free(&file);
}

static void
each_export_is_taken_once(void **state)
{
	uint8_t id[MOVE_ID_LEN];
	struct secret file = { 0 };
	struct err err;

	(void)state;
	lab_register(&old, "web1", NULL);
	hand_over(&file, id, &old, &new, &old.vm, 1);
	commit(&old);
	assert_int_equal(take_over(&new, &file, &old, &err), 0);
	assert_int_equal(take_over(&new, &file, &old, &err), -1);
	assert_non_null(strstr(err.msg, "imported here before"));
	begin(&new);
	assert_int_equal(vault_remove(new.vault, &old.vm, &err), 0);
	commit(&new);
	lab_reopen(&new);
	assert_int_equal(take_over(&new, &file, &old, &err), -1);
	assert_non_null(strstr(err.msg, "imported here before"));
	assert_int_equal(vault_count(new.vault), 0);
	secret_free(&file);
}

static void
all_of_it_or_nothing(void **state)
{
	uint8_t id[MOVE_ID_LEN];
	struct secret file = { 0 };
	struct uuid vms[2];
	struct err err;

	(void)state;
	lab_register(&old, "web1", NULL);
	vms[0] = old.vm;
	lab_register(&old, "web2", NULL);
	vms[1] = old.vm;
	lab_register(&new, "web2", NULL);
	hand_over(&file, id, &old, &new, vms, 2);
	commit(&old);
	assert_int_equal(take_over(&new, &file, &old, &err), -1);
	assert_non_null(strstr(err.msg, "registered already"));
	assert_int_equal(vault_count(new.vault), 1);
	begin(&new);
	assert_int_equal(vault_remove(new.vault, &new.vm, &err), 0);
	commit(&new);
	assert_int_equal(take_over(&new, &file, &old, &err), 0);
	assert_int_equal(vault_count(new.vault), 2);
	secret_free(&file);
}

/* A disk that fails in the middle: nothing is taken, and she is told why. */
static void
a_lost_import_says_so(void **state)
{
	char path[STATE_PATH_MAX];
	uint8_t id[MOVE_ID_LEN];
	struct secret file = { 0 };
	sqlite3 *db = NULL;
	struct err err;

	(void)state;
	lab_register(&old, "web1", NULL);
	hand_over(&file, id, &old, &new, &old.vm, 1);
	commit(&old);
	assert_int_equal(
	    sqlite3_open(state_path(path, &new.state, "agent.db"), &db), 0);
	assert_int_equal(
	    sqlite3_exec(db,
		"CREATE TRIGGER full BEFORE INSERT ON record WHEN NEW.tab=5 "
		"BEGIN SELECT RAISE(ROLLBACK, 'disk full'); END",
		NULL, NULL, NULL),
	    0);
	begin(&new);
	err = (struct err){ 0 };
	assert_int_equal(vault_move_import(new.vault, secret_span(&file),
			     key_public(old.key), &err),
	    -1);
	assert_int_equal(err.code, ERR_IO);
	assert_non_null(strstr(err.msg, "disk full"));
	assert_int_equal(vault_commit(new.vault, &err), -1);
	assert_int_equal(
	    sqlite3_exec(db, "DROP TRIGGER full", NULL, NULL, NULL), 0);
	assert_int_equal(sqlite3_close(db), 0);
	assert_int_equal(take_over(&new, &file, &old, &err), 0);
	secret_free(&file);
}

static int
count_moved(void *arg, const struct vault_moved *moved)
{
	assert_string_equal(moved->name, "web1");
	++*(size_t *)arg;
	return 0;
}

static void
what_was_handed_over_is_remembered(void **state)
{
	uint8_t id[MOVE_ID_LEN];
	struct secret file = { 0 };
	struct err err = { 0 };
	size_t n = 0;

	(void)state;
	lab_register(&old, "web1", NULL);
	hand_over(&file, id, &old, &new, &old.vm, 1);
	commit(&old);
	assert_int_equal(vault_move_check(old.vault, &old.vm, &err), -1);
	assert_non_null(strstr(err.msg, "handed over in export"));
	assert_int_equal(vault_move_each(old.vault, count_moved, &n, NULL), 0);
	assert_int_equal(n, 1);
	begin(&old);
	assert_int_equal(vault_move_forget(old.vault, id, &err), 0);
	assert_int_equal(vault_move_check(old.vault, &old.vm, NULL), 0);
	assert_int_equal(vault_move_forget(old.vault, id, &err), -1);
	commit(&old);
	secret_free(&file);
}

static void
wrong_questions(void **state)
{
	uint8_t recipient[MOVE_KEY_LEN];
	uint8_t zeros[MOVE_KEY_LEN] = { 0 };
	uint8_t id[MOVE_ID_LEN];
	struct secret file = { 0 };
	struct uuid twice[2];
	struct err err = { 0 };

	(void)state;
	lab_register(&old, "web1", NULL);
	twice[0] = twice[1] = old.vm;
	seal_to(recipient, &new);
	begin(&old);
	assert_int_equal(
	    vault_move_export(&file, id, old.vault, twice, 2, recipient, &err),
	    -1);
	assert_non_null(strstr(err.msg, "named twice"));
	assert_int_equal(
	    vault_move_export(&file, id, old.vault, twice, 1, zeros, &err), -1);
	assert_non_null(strstr(err.msg, "none that anybody could hold"));
	twice[0].bytes[0] ^= 1;
	assert_int_equal(
	    vault_move_export(&file, id, old.vault, twice, 1, recipient, &err),
	    -1);
	assert_non_null(strstr(err.msg, "no such VM"));
	assert_int_equal(vault_move_key(recipient, old.vault, NULL), 0);
	assert_int_equal(vault_move_export(
			     &file, id, old.vault, &old.vm, 1, recipient, &err),
	    -1);
	assert_non_null(strstr(err.msg, "this agent's own key"));
	commit(&old);
	lab_outcome(outcome_of_launch(&old), VAULT_OK);
}

/* A file of another owner, or for another, or with any byte changed. */
static void
forged_files_are_refused(void **state)
{
	uint8_t private[MOVE_KEY_LEN] = { 9 };
	uint8_t other[MOVE_KEY_LEN] = { 64 };
	uint8_t public[MOVE_KEY_LEN];
	const uint8_t id[MOVE_ID_LEN] = { 7 };
	struct secret file = { 0 };
	struct secret text = { 0 };
	struct move_file parts;
	struct err err = { 0 };
	size_t i;

	(void)state;
	assert_int_equal(move_key_public(public, private, NULL), 0);
	assert_int_equal(move_seal(&file, id, old.key, public, 5,
			     span_str("the text"), NULL),
	    0);
	assert_int_equal(move_read(&parts, secret_span(&file), NULL), 0);
	assert_int_equal(parts.wall_ms, 5);
	assert_int_equal(
	    move_open(&text, &parts, private, key_public(old.key), NULL), 0);
	assert_true(span_is(secret_span(&text), "the text"));
	secret_free(&text);
	assert_int_equal(
	    move_open(&text, &parts, private, key_public(new.key), &err), -1);
	assert_non_null(strstr(err.msg, "another agent than --from"));
	assert_int_equal(
	    move_open(&text, &parts, other, key_public(old.key), &err), -1);
	assert_non_null(strstr(err.msg, "another agent's key"));
	for (i = 0; i < file.len; i++) {
		file.ptr[i] ^= 1;
		if (move_read(&parts, secret_span(&file), NULL) == 0)
			assert_int_equal(move_open(&text, &parts, private,
					     key_public(old.key), &err),
			    -1);
		file.ptr[i] ^= 1;
	}
	secret_free(&file);
}

static const struct {
	const char *name;
	size_t len; /* of the file, of 236 bytes */
	size_t at;  /* one byte changed ... */
	uint8_t to; /* ... to this */
	const char *says;
} bad[] = {
	{ "empty", 0, 0, 'a', "no export file" },
	{ "magic", 236, 0, 'b', "no export file" },
	{ "magic alone", 15, 0, 'a', "another version" },
	{ "version", 236, 15, '2', "another version" },
	{ "head", 139, 0, 'a', "cut short" },
	{ "one short", 235, 0, 'a', "cut short" },
	{ "one long", 237, 0, 'a', "cut short" },
	{ "length over", 236, 139, 33, "cut short" },
	{ "length under", 236, 139, 27, "cut short" },
	{ "length far over", 236, 136, 0xff, "cut short" },
};

static void
broken_files_are_refused(void **state)
{
	const uint8_t id[MOVE_ID_LEN] = { 7 };
	uint8_t private[MOVE_KEY_LEN] = { 9 };
	uint8_t public[MOVE_KEY_LEN];
	struct secret file = { 0 };
	struct move_file parts;
	size_t i;

	(void)state;
	assert_int_equal(move_key_public(public, private, NULL), 0);
	assert_int_equal(
	    move_seal(&file, id, old.key, public, 5, span_str("text"), NULL),
	    0);
	assert_int_equal(file.len, 236);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t *copy = calloc(bad[i].len + 1, 1);
		struct err err = { 0 };
		uint8_t *exact;

		assert_non_null(copy);
		memcpy(copy, file.ptr,
		    bad[i].len < file.len ? bad[i].len : file.len);
		if (bad[i].at < bad[i].len)
			copy[bad[i].at] = bad[i].to;
		/* So that ASan sees one byte too far. */
		exact = malloc(bad[i].len);
		if (bad[i].len > 0)
			memcpy(exact, copy, bad[i].len);
		if (move_read(&parts, span_of(exact, bad[i].len), &err) == 0 ||
		    strstr(err.msg, bad[i].says) == NULL)
			fail_msg("%s: %s", bad[i].name, err.msg);
		free(exact);
		free(copy);
	}
	secret_free(&file);
}

static const struct {
	const char *name;
	const char *bytes;
	size_t len;
	const char *says;
} bad_text[] = {
	{ "empty", "", 0, "without VMs" },
	{ "none", "\0\0\0\0", 4, "of 0 VMs" },
	{ "too many", "\0\0\x10\x01", 4, "of 4097 VMs" },
	{ "cut", "\0\0\0\1\0\0\0\0\0\0\0\5abc", 15, "cut short" },
	{ "no registration", "\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20,
	    "cut short" },
	{ "flags", "\0\0\0\1\0\0\0\3\0\0\0\1a\0\0\0\0\0\0\0\0", 21,
	    "flags 0x3" },
	{ "registration", "\0\0\0\1\0\0\0\0\0\0\0\1a\0\0\0\0\0\0\0\0", 21,
	    "registration" },
};

/* What a signed file says is judged as well. */
static void
broken_contents_are_refused(void **state)
{
	uint8_t recipient[MOVE_KEY_LEN];
	uint8_t id[MOVE_ID_LEN] = { 0 };
	size_t i;

	(void)state;
	seal_to(recipient, &new);
	for (i = 0; i < sizeof(bad_text) / sizeof(bad_text[0]); i++) {
		struct secret file = { 0 };
		struct err err = { 0 };

		id[0] = (uint8_t)i;
		assert_int_equal(
		    move_seal(&file, id, old.key, recipient, 5,
			span_of(bad_text[i].bytes, bad_text[i].len), NULL),
		    0);
		if (take_over(&new, &file, &old, &err) == 0 ||
		    strstr(err.msg, bad_text[i].says) == NULL)
			fail_msg("%s: %s", bad_text[i].name, err.msg);
		secret_free(&file);
	}
	assert_int_equal(vault_count(new.vault), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
		TEST(a_vm_and_its_count_move),
		TEST(a_disabled_vm_stays_disabled),
		TEST(a_block_list_moves),
		TEST(one_export_is_forgotten),
		TEST(a_crash_loses_nothing_and_doubles_nothing),
		TEST(each_export_is_taken_once),
		TEST(all_of_it_or_nothing),
		TEST(a_lost_import_says_so),
		TEST(what_was_handed_over_is_remembered),
		TEST(wrong_questions),
		TEST(forged_files_are_refused),
		TEST(broken_files_are_refused),
		TEST(broken_contents_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
