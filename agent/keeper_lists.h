#ifndef AGENT_KEEPER_LISTS_H
#define AGENT_KEEPER_LISTS_H

#include "agent/blocklist.h"
#include "common/err.h"

/* The parent's watch over CEK block-lists: neither net nor vault reads files
 * while it serves. */
struct keeper_lists;

/**
 * keeper_lists_start(out, owner_fd, path, err):
 * Bring the lists of all VMs, and the one for all of them in ${path} ("":
 * none), into force with the vault at the other end of ${owner_fd}.  Before
 * any host is answered.
 *   errors  ERR_IO, ERR_MALFORMED: ${path} is not usable; ERR_CLOSED,
 *           ERR_MEMORY
 */
int keeper_lists_start(
    struct keeper_lists **out, int owner_fd, const char *path, struct err *err);

void keeper_lists_free(struct keeper_lists *k);

/** keeper_lists_changed(k): VMs have come or gone. */
void keeper_lists_changed(struct keeper_lists *k);

/** keeper_lists_look(k, now_ms): read what has changed.  Returns when to look
 * again, or -1: there is nothing to look at. */
int64_t keeper_lists_look(struct keeper_lists *k, int64_t now_ms);

#endif
