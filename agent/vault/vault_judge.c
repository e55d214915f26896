#include <string.h>

#include "agent/vault/vault_impl.h"

/* The verdict depends on these bytes only, so their hash may stand for it. */
static int
verdict_id(uint8_t out[SEV_SHA256_LEN], const struct vault_vm *vm,
    const struct vault_launch *in, struct err *err)
{
	uint8_t bytes[SEV_SHA256_LEN + SEV_CERT_LEN + SEV_CHAIN_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	writer_put(&w, span_of(policy_trust_id(vm->trust), SEV_SHA256_LEN));
	writer_put(&w, span_of(in->pdh, sizeof(in->pdh)));
	writer_put(&w, span_of(in->chain, in->chain_len));
	return sev_hash_sha256(out, writer_span(&w), err);
}

/* The entry of ${id}, or else the one unused for longest. */
static struct vault_verdict *
verdict_slot(struct vault *v, const uint8_t id[SEV_SHA256_LEN])
{
	struct vault_verdict *oldest = &v->verdicts[0];
	size_t i;

	for (i = 0; i < VAULT_VERDICTS; i++) {
		struct vault_verdict *e = &v->verdicts[i];

		if (e->used && memcmp(e->id, id, SEV_SHA256_LEN) == 0)
			return e;
		if (!e->used || e->last_use < oldest->last_use)
			oldest = e;
	}
	oldest->used = false;
	return oldest;
}

/* With the CEK of its key that the key server gave, if it did. */
static void
judge_chain(struct sev_verdict *out, const struct vault *v,
    const struct vault_vm *vm, const struct vault_launch *in, struct err *err)
{
	struct span pdh = span_of(in->pdh, sizeof(in->pdh));
	struct span chain = span_of(in->chain, in->chain_len);
	const struct vault_cek *fetched = NULL;
	uint8_t key[SEV_SHA256_LEN];
	struct sev_cert cek;

	if (policy_cek_key(key, pdh, chain))
		fetched = vault_cek_by_key(v, key);
	if (fetched != NULL &&
	    sev_cert_parse(
		&cek, span_of(fetched->cert, sizeof(fetched->cert)), NULL) != 0)
		fetched = NULL;
	(void)policy_chain(
	    out, vm->trust, pdh, chain, fetched != NULL ? &cek : NULL, err);
}

const struct sev_verdict *
vault_judge(struct vault *v, struct vault_vm *vm, const struct vault_launch *in,
    struct err *err)
{
	struct vault_verdict *e;
	uint8_t id[SEV_SHA256_LEN];

	if (verdict_id(id, vm, in, err) != 0)
		return NULL;
	e = verdict_slot(v, id);
	if (!e->used) {
		e->err = (struct err){ 0 };
		judge_chain(&e->verdict, v, vm, in, &e->err);
		memcpy(e->id, id, sizeof(id));
		/* Our own fault may pass: judge again next time. */
		e->used =
		    e->err.code != ERR_INTERNAL && e->err.code != ERR_MEMORY;
	}
	e->last_use = ++v->uses;
	if (e->verdict.failed != SEV_CHECK_NONE || e->err.code != ERR_NONE)
		(void)err_set(err, e->err.code, "%s", e->err.msg);
	return &e->verdict;
}
