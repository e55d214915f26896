#ifndef AGENT_VAULT_GATE_WAIT_H
#define AGENT_VAULT_GATE_WAIT_H

#include "agent/door.h"

/*
 * Questions of hosts that wait for the owner's word: kept as they came, and
 * put to the vault again when she has said it.
 */

#define GATE_WAITING_MAX 64
#define GATE_NOTE_MS 10000   /* between two words to the relay ... */
#define GATE_EXTEND_MS 30000 /* ... that it must wait so long */

struct gate_waiting {
	struct gate_waiting *next;
	struct door_message m;
	int64_t until_ms; /* CLOCK_MONOTONIC */
	int64_t note_at_ms;
};

struct gate_wait {
	struct gate_waiting *first; /* owned; oldest first */
	size_t count;
};

/** gate_wait_add(list, m, now_ms, wait_ms): -1: no room for it. */
int gate_wait_add(struct gate_wait *list, const struct door_message *m,
    int64_t now_ms, int64_t wait_ms);

/** gate_wait_remove(list, w): unlink and release. */
void gate_wait_remove(struct gate_wait *list, struct gate_waiting *w);

/** gate_wait_find(list, id): NULL: none. */
struct gate_waiting *gate_wait_find(const struct gate_wait *list, uint64_t id);

/**
 * gate_wait_key(list, launch):
 * What one with the same Idempotency-Key makes of it (docs/protocol.md 7):
 * VAULT_OK, VAULT_IN_PROGRESS or VAULT_IDEM_MISMATCH.
 */
enum vault_outcome gate_wait_key(
    const struct gate_wait *list, const struct vault_launch *launch);

void gate_wait_free(struct gate_wait *list);

#endif
