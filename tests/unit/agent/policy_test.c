#include "tests/unit/agent/lab.h"

#include <stdlib.h>
#include <string.h>

#include "agent/vault/policy.h"

/* Verdicts are remembered by what a VM trusts: no two trusts may share an id,
 * or one VM would take a platform that only another one accepts. */

#define LIST_MAX 2

static const char *const files[] = { "certs/synthetic-a/ark.cert",
	"certs/roots/rome/ark.cert", "certs/synthetic-a/oca.cert",
	"certs/naples/oca.cert" };
enum { ROOT, OTHER_ROOT, CERT, OTHER_CERT, FILES };

static const struct trust {
	size_t root_count, cek_count, cloud_count;
	int roots[LIST_MAX], ceks[LIST_MAX], clouds[LIST_MAX];
} trusts[] = {
	{ 0 },
	{ .root_count = 1, .roots = { ROOT } },
	{ .root_count = 1, .roots = { OTHER_ROOT } },
	{ .root_count = 2, .roots = { ROOT, OTHER_ROOT } },
	{ .root_count = 2, .roots = { OTHER_ROOT, OTHER_ROOT } },
	{ .cek_count = 1, .ceks = { CERT } },
	{ .cek_count = 1, .ceks = { OTHER_CERT } },
	{ .cek_count = 2, .ceks = { CERT, OTHER_CERT } },
	{ .cloud_count = 1, .clouds = { CERT } },
	{ .cloud_count = 1, .clouds = { OTHER_CERT } },
	{ .cloud_count = 2, .clouds = { CERT, OTHER_CERT } },
	{ .cloud_count = 2, .clouds = { OTHER_CERT, OTHER_CERT } },
	{ .cek_count = 1,
	    .cloud_count = 1,
	    .ceks = { CERT },
	    .clouds = { OTHER_CERT } },
	{ .root_count = 1,
	    .cek_count = 1,
	    .roots = { ROOT },
	    .ceks = { OTHER_CERT } },
	{ .root_count = 1,
	    .cloud_count = 1,
	    .roots = { ROOT },
	    .clouds = { OTHER_CERT } },
};
#define TRUSTS (sizeof(trusts) / sizeof(trusts[0]))

static void
take(uint8_t id[SEV_SHA256_LEN], const struct trust *t,
    const struct secret loaded[FILES])
{
	struct registration *r = calloc(1, sizeof(*r));
	struct policy_trust *trust = NULL;
	struct err err = { 0 };
	size_t i;

	assert_non_null(r);
	r->root_count = t->root_count;
	r->cek_count = t->cek_count;
	r->cloud_count = t->cloud_count;
	for (i = 0; i < LIST_MAX; i++) {
		r->roots[i] = loaded[t->roots[i]];
		r->ceks[i] = loaded[t->ceks[i]];
		r->clouds[i] = loaded[t->clouds[i]];
	}
	if (policy_trust_new(&trust, r, &err) != 0)
		fail_msg("%s", err.msg);
	memcpy(id, policy_trust_id(trust), SEV_SHA256_LEN);
	policy_trust_free(trust);
	free(r);
}

static void
no_two_trusts_share_an_id(void **state)
{
	uint8_t ids[TRUSTS][SEV_SHA256_LEN], again[SEV_SHA256_LEN];
	struct secret loaded[FILES] = { 0 };
	size_t i, k;

	(void)state;
	for (i = 0; i < FILES; i++)
		lab_file(&loaded[i], files[i]);
	for (i = 0; i < TRUSTS; i++) {
		take(ids[i], &trusts[i], loaded);
		take(again, &trusts[i], loaded);
		assert_memory_equal(ids[i], again, sizeof(again));
		for (k = 0; k < i; k++)
			if (memcmp(ids[i], ids[k], sizeof(again)) == 0)
				fail_msg("trust %zu is trust %zu", i, k);
	}
	for (i = 0; i < FILES; i++)
		secret_free(&loaded[i]);
}

/* A host has to show the CEK that it wants judged; one that AMD signed may
 * come from either side. */
static void
a_cek_is_shown_and_then_replaced(void **state)
{
	struct registration *r = calloc(1, sizeof(*r));
	struct secret pdh = { 0 }, chain = { 0 }, other = { 0 };
	struct policy_trust *t = NULL;
	struct sev_verdict v;
	struct sev_cert fetched;
	struct err err = { 0 };

	(void)state;
	assert_non_null(r);
	lab_file(&pdh, "certs/naples/pdh.cert");
	lab_file(&chain, "certs/naples/cert-chain-unsigned-cek.bin");
	lab_file(&other, "certs/synthetic-a/cek.cert");
	lab_file(&r->ceks[0], "certs/naples/cek.cert");
	r->cek_count = 1;
	assert_int_equal(policy_trust_new(&t, r, &err), 0);
	/* Without its end the chain has no CEK. */
	assert_int_equal(
	    policy_chain(&v, t, secret_span(&pdh),
		span_of(chain.ptr, chain.len - SEV_CERT_LEN), NULL, &err),
	    -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(v.failed, SEV_CHECK_INCOMPLETE);
	assert_int_equal(policy_chain(&v, t, secret_span(&pdh),
			     secret_span(&chain), NULL, &err),
	    0);
	/* The owner's still counts beside one that was fetched. */
	assert_int_equal(
	    sev_cert_parse(&fetched, secret_span(&other), NULL), 0);
	assert_int_equal(policy_chain(&v, t, secret_span(&pdh),
			     secret_span(&chain), &fetched, &err),
	    0);
	policy_trust_free(t);
	secret_free(&pdh);
	secret_free(&chain);
	secret_free(&other);
	secret_free(&r->ceks[0]);
	free(r);
}

/* A VM whose owner knows another cloud than the lab's. */
static void
register_elsewhere(struct lab *l)
{
	static const uint8_t key[UUID_KEY_LEN] = { 7 };
	struct register_plan *p = calloc(1, sizeof(*p));
	struct registration *r = NULL;
	struct err err = { 0 };

	assert_non_null(p);
	lab_plan(p, "web2", NULL);
	assert_int_equal(p->r->cloud_count, 1);
	secret_free(&p->r->clouds[0]);
	lab_file(&p->r->clouds[0], files[OTHER_CERT]);
	if (register_finish(&r, p, key, &err) != 0)
		fail_msg("%s", err.msg);
	l->vm = r->vm;
	assert_int_equal(vault_begin(l->vault, &err), 0);
	assert_int_equal(vault_register(l->vault, r, &err), 0);
	assert_int_equal(vault_commit(l->vault, &err), 0);
	register_free(p);
	free(p);
}

/* What was found for one VM, or of one PDH, says nothing of another. */
static void
verdicts_are_remembered_for_one_question(void **state)
{
	static struct lab lab;
	struct vault_launch_answer a;
	struct vault_launch in, changed;
	struct uuid first;
	size_t i;

	(void)state;
	lab_open(&lab);
	lab_register(&lab, "web1", NULL);
	first = lab.vm;
	lab_message(&in, &lab);
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_OK);
	changed = in;
	changed.pdh[1100] ^= 1; /* in its signature */
	lab_launch(&a, &lab, &changed);
	lab_outcome(a.outcome, VAULT_REFUSED);
	changed = in;
	changed.chain[1100] ^= 1;
	lab_launch(&a, &lab, &changed);
	lab_outcome(a.outcome, VAULT_REFUSED);
	register_elsewhere(&lab);
	lab_message(&in, &lab);
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_REFUSED);
	in.vm = first;
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_OK);
	/* More than are remembered, so that the good one makes room. */
	for (i = 0; i < 70; i++) {
		changed = in;
		changed.pdh[1100 + i] ^= 1;
		lab_launch(&a, &lab, &changed);
		assert_int_not_equal(a.outcome, VAULT_OK);
	}
	lab_launch(&a, &lab, &in);
	lab_outcome(a.outcome, VAULT_OK);
	lab_close(&lab);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_two_trusts_share_an_id),
		cmocka_unit_test(a_cek_is_shown_and_then_replaced),
		cmocka_unit_test(verdicts_are_remembered_for_one_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
