#include "agent/vault/gate_wait.h"

#include <stdlib.h>

int
gate_wait_add(struct gate_wait *list, const struct door_message *m,
    int64_t now_ms, int64_t wait_ms)
{
	struct gate_waiting **at = &list->first;
	struct gate_waiting *w;

	if (list->count >= GATE_WAITING_MAX)
		return -1;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -1;
	w->m = *m;
	w->until_ms = now_ms + wait_ms;
	w->note_at_ms = now_ms; /* the first word is due at once */
	while (*at != NULL)
		at = &(*at)->next;
	*at = w;
	list->count++;
	return 0;
}

void
gate_wait_remove(struct gate_wait *list, struct gate_waiting *w)
{
	struct gate_waiting **at = &list->first;

	while (*at != NULL && *at != w)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = w->next;
	list->count--;
	free(w);
}

struct gate_waiting *
gate_wait_find(const struct gate_wait *list, uint64_t id)
{
	struct gate_waiting *w = list->first;

	while (w != NULL && w->m.id != id)
		w = w->next;
	return w;
}

static struct span
bytes(const uint8_t hash[SEV_SHA256_LEN])
{
	return span_of(hash, SEV_SHA256_LEN);
}

enum vault_outcome
gate_wait_key(const struct gate_wait *list, const struct vault_launch *launch)
{
	const struct gate_waiting *w;

	for (w = list->first; launch->has_key && w != NULL; w = w->next) {
		const struct vault_launch *other = &w->m.u.launch;

		if (w->m.kind != DOOR_LAUNCH || !other->has_key ||
		    !uuid_equal(&other->vm, &launch->vm) ||
		    !span_equal(bytes(other->key), bytes(launch->key)))
			continue;
		return span_equal(bytes(other->body), bytes(launch->body))
		    ? VAULT_IN_PROGRESS
		    : VAULT_IDEM_MISMATCH;
	}
	return VAULT_OK;
}

void
gate_wait_free(struct gate_wait *list)
{
	while (list->first != NULL)
		gate_wait_remove(list, list->first);
}
