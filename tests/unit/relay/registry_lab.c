#include "tests/unit/relay/registry_lab.h"

#include "relay/claim.h"

#include <stdlib.h>
#include <unistd.h>

static void
on_mail(void *arg, struct mail *mail)
{
	struct registry_op *op = (struct registry_op *)mail;

	(void)arg;
	op->done(op, op->arg);
}

void
reopen(struct lab *lab)
{
	struct err err;

	registry_close(lab->registry);
	accounts_free(lab->accounts);
	assert_int_equal(accounts_new(&lab->accounts, &err), 0);
	if (registry_open(&lab->registry, lab->folder, lab->accounts, &err) !=
	    0)
		fail_msg("%s", err.msg);
	assert_int_equal(
	    accounts_of(&lab->acme, lab->accounts, "acme", &err), 0);
	assert_int_equal(
	    accounts_of(&lab->zeta, lab->accounts, "zeta", &err), 0);
	assert_int_equal(tenants_bind(lab->tenants, lab->accounts, &err), 0);
}

int
lab_setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	struct err err;

	snprintf(lab->folder, sizeof(lab->folder), "/tmp/registry-XXXXXX");
	assert_non_null(mkdtemp(lab->folder));
	assert_int_equal(tenants_new(&lab->tenants, &err), 0);
	reopen(lab);
	*state = lab;
	return 0;
}

int
lab_teardown(void **state)
{
	static const char *const names[] = { "relay.db", "relay.db-wal",
		"relay.db-shm" };
	struct lab *lab = *state;
	char path[128];

	registry_close(lab->registry);
	accounts_free(lab->accounts);
	tenants_free(lab->tenants);
	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", lab->folder, names[i]);
		unlink(path);
	}
	rmdir(lab->folder);
	free(lab);
	return 0;
}

static void
came_home(struct registry_op *op, void *where)
{
	(void)op;
	loop_stop(where);
}

struct registry_op *
op_new(struct lab *lab, enum registry_verb verb)
{
	struct registry_op *op = registry_op_new(verb, NULL, came_home);

	assert_non_null(op);
	op->account = lab->acme;
	op->tenant.account = op->token.account = op->key.account = lab->acme;
	snprintf(op->who, sizeof(op->who), "test");
	snprintf(op->what, sizeof(op->what), "verb %d", (int)verb);
	return op;
}

void
carry_out(struct lab *lab, struct registry_op *op)
{
	struct loop *loop;

	/* A loop that was stopped is over. */
	assert_int_equal(loop_new(&loop, on_mail, lab, NULL), 0);
	op->home = op->arg = loop;
	registry_send(lab->registry, op);
	assert_int_equal(loop_run(loop, NULL), 0);
	loop_free(loop);
}

/* ${says} is NULL: it must be good.  Frees the op. */
void
expect(struct lab *lab, struct registry_op *op, const char *says)
{
	carry_out(lab, op);
	if (says == NULL && op->err.code != ERR_NONE)
		fail_msg("%s", op->err.msg);
	if (says != NULL) {
		assert_int_not_equal(op->err.code, ERR_NONE);
		expect_words("op", op->err.msg, says);
	}
	registry_op_free(op);
}

void
add_token(struct lab *lab, uint8_t byte, uint32_t uses, uint64_t expires_ms)
{
	struct registry_op *op = op_new(lab, REGISTRY_TOKEN_ADD);

	memset(op->token.hash, byte, sizeof(op->token.hash));
	op->token.uses = uses;
	op->token.expires_ms = expires_ms;
	expect(lab, op, NULL);
}

void
enrol(struct lab *lab, uint8_t token, uint8_t key, const char *says)
{
	struct registry_op *op = op_new(lab, REGISTRY_ENROL);

	memset(op->token.hash, token, sizeof(op->token.hash));
	memset(op->key.key, key, sizeof(op->key.key));
	op->key.account = NULL;
	expect(lab, op, says);
}

bool
knows(struct lab *lab, uint8_t key)
{
	uint8_t bytes[UUID_KEY_LEN];
	bool revoked;

	memset(bytes, key, sizeof(bytes));
	return claim_key_owner(lab->tenants, lab->registry, bytes, &revoked) ==
	    lab->acme;
}

void
count_row(void *arg, const void *row)
{
	size_t *count = arg;

	(void)row;
	++*count;
}

size_t
count_rows(struct lab *lab, enum registry_set set)
{
	size_t count = 0;

	registry_each(lab->registry, set, count_row, &count);
	return count;
}

void
expect_trail(struct lab *lab, const char *want)
{
	struct registry_op *op = op_new(lab, REGISTRY_TRAIL);
	char got[256] = "";
	size_t len = 0;

	op->who[0] = '\0';
	op->limit = 100;
	carry_out(lab, op);
	assert_non_null(op->text);
	for (const char *at = strstr(op->text, "\"seq\":"); at != NULL;
	     at = strstr(at + 1, "\"seq\":"))
		len += (size_t)snprintf(got + len, sizeof(got) - len, "%ld ",
		    strtol(at + strlen("\"seq\":"), NULL, 10));
	assert_string_equal(got, want);
	registry_op_free(op);
}
