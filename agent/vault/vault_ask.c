#include <stdio.h>
#include <string.h>

#include "agent/vault/vault_impl.h"

/* The owner's word: what she is asked, what she said, and for how long that
 * holds (docs/operations-agent.md, "Approvals"). */

static const char *const kind_names[] = {
	[ASK_LAUNCH] = "launch",
	[ASK_RELEASE] = "release",
	[ASK_LIMIT] = "over-limit",
};

const char *
vault_ask_kind_name(enum vault_ask_kind kind)
{
	return kind <= ASK_LIMIT ? kind_names[kind] : "unknown";
}

static void
expire(struct vault *v)
{
	int64_t now = times_boot_ms(&v->clock);
	size_t i;

	for (i = 0; i < VAULT_ASKS_MAX; i++)
		if (v->asks[i].id != 0 &&
		    now - v->asks[i].since_ms >= VAULT_ASK_MS)
			v->asks[i].id = 0;
}

static struct vault_ask *
find(struct vault *v, const struct vault_ask *want)
{
	size_t i;

	for (i = 0; i < VAULT_ASKS_MAX; i++) {
		struct vault_ask *a = &v->asks[i];

		if (a->id != 0 && a->kind == want->kind &&
		    uuid_equal(&a->vm, &want->vm) &&
		    span_equal(span_of(a->subject, sizeof(a->subject)),
			span_of(want->subject, sizeof(want->subject))))
			return a;
	}
	return NULL;
}

/* A free place, if the VM has not more than its share of them: one host must
 * not fill the owner's screen (T30). */
static struct vault_ask *
place(struct vault *v, const struct uuid *vm)
{
	struct vault_ask *free_one = NULL;
	size_t of_vm = 0;
	size_t i;

	for (i = 0; i < VAULT_ASKS_MAX; i++) {
		if (v->asks[i].id == 0)
			free_one = &v->asks[i];
		else if (uuid_equal(&v->asks[i].vm, vm))
			of_vm++;
	}
	return of_vm < VAULT_ASKS_OF_VM_MAX ? free_one : NULL;
}

enum vault_word
vault_ask(struct vault *v, const struct vault_ask *want)
{
	struct vault_ask *a;

	expire(v);
	a = find(v, want);
	if (a != NULL)
		return a->word;
	a = place(v, &want->vm);
	if (a == NULL)
		return VAULT_WORD_NONE;
	*a = *want;
	a->word = VAULT_WORD_NONE;
	a->since_ms = times_boot_ms(&v->clock);
	/* The number of its line in the log: never given twice, so that an
	 * answer meant for another question hits nothing. */
	vault_audit(v, &a->vm, NULL, "asked", "%s: %s; %s%s%s",
	    kind_names[a->kind], a->facts, a->asker,
	    a->claims[0] != '\0' ? "; host claims: " : "", a->claims);
	a->id = v->failed ? 0 : store_audit_last(v->store);
	v->asked++;
	return VAULT_WORD_NONE;
}

void
vault_ask_done(struct vault *v, const struct vault_ask *want)
{
	struct vault_ask *a = find(v, want);

	if (a != NULL)
		a->id = 0;
}

void
vault_ask_forget(struct vault *v, const struct uuid *vm)
{
	size_t i;

	for (i = 0; i < VAULT_ASKS_MAX; i++)
		if (uuid_equal(&v->asks[i].vm, vm))
			v->asks[i].id = 0;
	v->asked++; /* who waits for her word is tried again, and sent away */
}

int
vault_answer(struct vault *v, uint64_t id, bool yes, struct err *err)
{
	size_t i;

	expire(v);
	for (i = 0; i < VAULT_ASKS_MAX; i++) {
		struct vault_ask *a = &v->asks[i];

		if (a->id != id || id == 0)
			continue;
		if (a->word != VAULT_WORD_NONE)
			return err_set(err, ERR_CONFLICT,
			    "question %llu is answered already",
			    (unsigned long long)id);
		a->word = yes ? VAULT_WORD_YES : VAULT_WORD_NO;
		a->since_ms = times_boot_ms(&v->clock);
		v->asked++;
		vault_audit(v, &a->vm, NULL, yes ? "approved" : "denied",
		    "question %llu (%s) by the owner", (unsigned long long)id,
		    kind_names[a->kind]);
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "no question has number %llu",
	    (unsigned long long)id);
}

uint64_t
vault_asked(const struct vault *v)
{
	return v->asked;
}

size_t
vault_asks(struct vault_ask *out, struct vault *v)
{
	size_t count = 0;
	size_t i;

	expire(v);
	for (i = 0; i < VAULT_ASKS_MAX; i++)
		if (v->asks[i].id != 0 && v->asks[i].word == VAULT_WORD_NONE)
			out[count++] = v->asks[i];
	return count;
}

void
vault_ask_fill(struct vault_ask *out, enum vault_ask_kind kind,
    const struct uuid *vm, struct span subject, const struct vault_asker *asker,
    const char *claims)
{
	memset(out, 0, sizeof(*out));
	out->kind = kind;
	out->vm = *vm;
	if (subject.len <= sizeof(out->subject))
		memcpy(out->subject, subject.ptr, subject.len);
	(void)snprintf(out->asker, sizeof(out->asker), "request %s by %s",
	    asker->request_id, asker->identity);
	(void)snprintf(out->claims, sizeof(out->claims), "%s", claims);
	/* On its way to a terminal (T30). */
	(void)plain(out->asker);
	(void)plain(out->claims);
}
