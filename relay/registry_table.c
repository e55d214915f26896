#include "relay/registry_table.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

static int
compare_tenants(const void *a, const void *b)
{
	const struct registry_tenant *x = a, *y = b;

	return strcmp(x->account->name, y->account->name);
}

static int
compare_keys(const void *a, const void *b)
{
	const struct registry_key *x = a, *y = b;

	return memcmp(x->key, y->key, sizeof(x->key));
}

/* Hashes of random bytes: what their order tells by its time is no help in
 * finding a token. */
static int
compare_tokens(const void *a, const void *b)
{
	const struct registry_token *x = a, *y = b;

	return memcmp(x->hash, y->hash, sizeof(x->hash));
}

static int
compare_claims(const void *a, const void *b)
{
	const struct registry_claim *x = a, *y = b;

	return memcmp(x->uuid.bytes, y->uuid.bytes, sizeof(x->uuid.bytes));
}

static const struct {
	size_t size;
	size_t account; /* offset of the owner */
	int (*compare)(const void *a, const void *b);
} sets[REGISTRY_SETS] = {
	[REGISTRY_TENANTS] = { sizeof(struct registry_tenant),
	    offsetof(struct registry_tenant, account), compare_tenants },
	[REGISTRY_KEYS] = { sizeof(struct registry_key),
	    offsetof(struct registry_key, account), compare_keys },
	[REGISTRY_TOKENS] = { sizeof(struct registry_token),
	    offsetof(struct registry_token, account), compare_tokens },
	[REGISTRY_CLAIMS] = { sizeof(struct registry_claim),
	    offsetof(struct registry_claim, account), compare_claims },
};

void
registry_table_free(struct registry_table *t)
{
	for (int s = 0; s < REGISTRY_SETS; s++) {
		tdestroy(t->trees[s], free);
		t->trees[s] = NULL;
	}
}

void *
registry_table_get(
    const struct registry_table *t, enum registry_set set, const void *want)
{
	void *const *found = tfind(want, &t->trees[set], sets[set].compare);

	return found != NULL ? *found : NULL;
}

int
registry_table_put(struct registry_table *t, enum registry_set set,
    const void *row, struct err *err)
{
	void *old = registry_table_get(t, set, row), *copy;

	if (old != NULL) {
		memcpy(old, row, sets[set].size);
		return 0;
	}
	copy = malloc(sets[set].size);
	if (copy != NULL) {
		memcpy(copy, row, sets[set].size);
		if (tsearch(copy, &t->trees[set], sets[set].compare) != NULL)
			return 0;
	}
	free(copy);
	return err_set(err, ERR_MEMORY, "no memory for the registry");
}

void
registry_table_drop(
    struct registry_table *t, enum registry_set set, const void *want)
{
	void *old = registry_table_get(t, set, want);

	if (old == NULL)
		return;
	tdelete(old, &t->trees[set], sets[set].compare);
	free(old);
}

struct walk {
	void (*fn)(void *arg, const void *row);
	void *arg;
};

static void
visit(const void *node, VISIT which, void *closure)
{
	const struct walk *w = closure;

	if (which == postorder || which == leaf)
		w->fn(w->arg, *(void *const *)node);
}

void
registry_table_each(const struct registry_table *t, enum registry_set set,
    void (*fn)(void *arg, const void *row), void *arg)
{
	struct walk w = { fn, arg };

	twalk_r(t->trees[set], visit, &w);
}

/* Some rows of a set that are to go; dropping is for afterwards. */
struct hunt {
	const struct account *account; /* the owner's, or tokens ... */
	size_t at;                     /* of the owner in the row */
	uint64_t until_ms;             /* ... that ended before */
	const void *found[1024];
	size_t count;
};

static void
keep_row(struct hunt *h, const void *row)
{
	if (h->count < sizeof(h->found) / sizeof(h->found[0]))
		h->found[h->count++] = row;
}

static void
hunt_owned(void *arg, const void *row)
{
	struct hunt *h = arg;
	const struct account *owner;

	memcpy(&owner, (const char *)row + h->at, sizeof(struct account *));
	if (owner == h->account)
		keep_row(h, row);
}

static void
hunt_ended(void *arg, const void *row)
{
	const struct registry_token *token = row;
	struct hunt *h = arg;

	if (token->expires_ms != 0 && token->expires_ms < h->until_ms)
		keep_row(h, row);
}

static void
drop_all(struct registry_table *t, enum registry_set set, struct hunt *h,
    void (*fn)(void *arg, const void *row))
{
	do {
		h->count = 0;
		registry_table_each(t, set, fn, h);
		for (size_t i = 0; i < h->count; i++)
			registry_table_drop(t, set, h->found[i]);
	} while (h->count > 0);
}

void
registry_table_end_tokens(struct registry_table *t, uint64_t until_ms)
{
	struct hunt h = { .until_ms = until_ms };

	drop_all(t, REGISTRY_TOKENS, &h, hunt_ended);
}

void
registry_table_forget(struct registry_table *t, const struct account *account)
{
	for (int s = 0; s < REGISTRY_SETS; s++) {
		struct hunt h = { .account = account, .at = sets[s].account };

		drop_all(t, s, &h, hunt_owned);
	}
}
