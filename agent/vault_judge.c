#include <string.h>

#include "agent/vault_impl.h"

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
		(void)policy_chain(&e->verdict, vm->trust,
		    span_of(in->pdh, sizeof(in->pdh)),
		    span_of(in->chain, in->chain_len), &e->err);
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
