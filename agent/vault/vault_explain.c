#include <stdio.h>
#include <string.h>

#include "agent/near.h"
#include "agent/vault/vault_impl.h"

/*
 * Why a measurement missed, for the owner alone.  The answer to the host
 * leaves first; what is computed here is done in a later batch, tries every
 * candidate whatever was found, and goes into the owner's log.  Keys are
 * copied, since a session may have ended by then, and wiped with the job.
 */

void
vault_explain_later(struct vault *v, const struct vault_vm *vm,
    const struct session *named, const struct vault_validate *in)
{
	const struct session *s = named != NULL ? named : vm->open;
	struct vault_explain *e;

	if (v->explain_count >= VAULT_EXPLAINS_MAX)
		return; /* the refusal itself is logged all the same */
	e = &v->explains[v->explain_count++];
	memset(e, 0, sizeof(*e));
	e->vm = in->vm;
	memcpy(e->request_id, in->asker.request_id, sizeof(e->request_id));
	e->measure = in->measure;
	e->build = in->build;
	for (; s != NULL && e->key_count < VAULT_EXPLAIN_KEYS_MAX;
	     s = named != NULL ? NULL : s->next) {
		if (s->state == SESSION_CLOSED)
			continue;
		memcpy(e->keys[e->key_count].tik, s->tik, sizeof(s->tik));
		e->keys[e->key_count].policy = s->policy;
		e->keys[e->key_count++].session = s->id;
	}
	if (e->key_count == 0) {
		secret_wipe(e, sizeof(*e));
		v->explain_count--;
	}
}

void
vault_forget_explains(struct vault *v)
{
	secret_wipe(v->explains, sizeof(v->explains));
	v->explain_count = v->explain_ready = 0;
}

/* What was found so far. */
struct found {
	bool any;
	struct uuid session;
	char words[NEAR_WORDS_MAX + REGISTRATION_NAME_MAX + 64];
};

static void
try_digest(struct found *f, const struct vault_explain *e,
    const uint8_t digest[SEV_SHA256_LEN], const char *head, const char *words)
{
	size_t i;

	for (i = 0; i < e->key_count; i++) {
		if (sev_measure_verify(&e->measure, e->keys[i].tik, &e->build,
			e->keys[i].policy, digest, NULL) != 0 ||
		    f->any)
			continue;
		f->any = true;
		f->session = e->keys[i].session;
		(void)snprintf(f->words, sizeof(f->words), "%s%s", head, words);
	}
}

static void
try_near(struct found *f, const struct vault_explain *e,
    const struct registration *r)
{
	struct reader in = reader_of(secret_span(&r->near));
	char words[NEAR_WORDS_MAX + 1];
	uint8_t digest[SEV_SHA256_LEN];

	while (near_next(&in, digest, words))
		try_digest(f, e, digest, "", words);
}

/* A host may have taken the firmware or kernel of another VM. */
static void
try_others(
    struct found *f, const struct vault_explain *e, const struct vault *v)
{
	char head[REGISTRATION_NAME_MAX + 40];
	size_t i, k;

	for (i = 0; i < v->vm_count; i++) {
		const struct registration *r = v->vms[i]->reg;

		if (uuid_equal(&r->vm, &e->vm))
			continue;
		(void)snprintf(
		    head, sizeof(head), "what is registered for %s: ", r->name);
		for (k = 0; k < r->digest_count; k++)
			try_digest(f, e, r->digests[k].digest, head,
			    r->digests[k].about);
	}
}

static void
explain(struct vault *v, const struct vault_explain *e)
{
	const struct vault_vm *vm = vault_vm_find(v, &e->vm);
	struct found f = { 0 };

	if (vm == NULL)
		return; /* removed meanwhile */
	try_near(&f, e, vm->reg);
	try_others(&f, e, v);
	if (f.any)
		vault_audit(v, &e->vm, &f.session, "explain",
		    "validate %s: would match: %s", e->request_id, f.words);
	else if (!vm->reg->shared) /* or it is another agent's guest */
		vault_audit(v, &e->vm, NULL, "explain",
		    "validate %s: none of the likely mistakes: firmware, "
		    "kernel, initrd or command line are not those that are "
		    "registered",
		    e->request_id);
}

void
vault_explain_ready(struct vault *v)
{
	size_t i;

	for (i = 0; i < v->explain_ready; i++)
		explain(v, &v->explains[i]);
	/* Those of this batch wait for its answers to leave. */
	memmove(v->explains, v->explains + v->explain_ready,
	    (v->explain_count - v->explain_ready) * sizeof(*v->explains));
	v->explain_count -= v->explain_ready;
	secret_wipe(v->explains + v->explain_count,
	    (VAULT_EXPLAINS_MAX - v->explain_count) * sizeof(*v->explains));
	v->explain_ready = 0;
}
