#ifndef RELAY_REGISTRY_TABLE_H
#define RELAY_REGISTRY_TABLE_H

#include "relay/registry.h"

/*
 * The registry's memory: four sorted sets of rows.  Rows are of the type that
 * belongs to the set and are copied in and out.  No locks: registry.c has one.
 */

struct registry_table {
	void *trees[REGISTRY_SETS]; /* by tsearch(3) */
};

void registry_table_free(struct registry_table *t);

/** registry_table_put(t, set, row, err): new, or instead of the one with the
 * same name.  errors ERR_MEMORY */
int registry_table_put(struct registry_table *t, enum registry_set set,
    const void *row, struct err *err);

/** registry_table_get(t, set, want): the row with ${want}'s name, NULL: none.
 * Good until the next change. */
void *registry_table_get(
    const struct registry_table *t, enum registry_set set, const void *want);

/** registry_table_drop(t, set, want): none is fine. */
void registry_table_drop(
    struct registry_table *t, enum registry_set set, const void *want);

/** registry_table_each(t, set, fn, arg): in order; no changes from inside. */
void registry_table_each(const struct registry_table *t, enum registry_set set,
    void (*fn)(void *arg, const void *row), void *arg);

/** registry_table_end_tokens(t, until_ms): drop those that ended before. */
void registry_table_end_tokens(struct registry_table *t, uint64_t until_ms);

/** registry_table_forget(t, account): the tenant with all that is its. */
void registry_table_forget(
    struct registry_table *t, const struct account *account);

#endif
