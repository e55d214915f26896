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

/* Some rows of a set that are the tenant's; dropping is for afterwards. */
struct hunt {
	const struct account *account;
	size_t at; /* of the owner in the row */
	const void *found[1024];
	size_t count;
};

static void
hunt_row(void *arg, const void *row)
{
	struct hunt *h = arg;
	const struct account *owner;

	if (h->count == sizeof(h->found) / sizeof(h->found[0]))
		return;
	memcpy(&owner, (const char *)row + h->at, sizeof(struct account *));
	if (owner == h->account)
		h->found[h->count++] = row;
}

void
registry_table_forget(struct registry_table *t, const struct account *account)
{
	for (int s = 0; s < REGISTRY_SETS; s++) {
		struct hunt h = { .account = account, .at = sets[s].account };

		do {
			h.count = 0;
			registry_table_each(t, s, hunt_row, &h);
			for (size_t i = 0; i < h.count; i++)
				registry_table_drop(t, s, h.found[i]);
		} while (h.count > 0);
	}
}
