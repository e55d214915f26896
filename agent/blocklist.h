#ifndef AGENT_BLOCKLIST_H
#define AGENT_BLOCKLIST_H

#include <sys/types.h>

#include "agent/registration.h"
#include "common/err.h"
#include "common/secret.h"
#include "common/uuid.h"

/*
 * CEK block-lists as files (docs/operations-agent.md, "Block-lists"): one
 * fingerprint of 64 hex digits a line, and comments behind '#'.  They are read
 * again as they change, and handed to the vault; one that cannot be read
 * leaves in force what was read last.
 */

#define BLOCKLIST_FILE_MAX (1024 * 1024)

/**
 * blocklist_parse(out, text, err):
 * The fingerprints, SEV_SHA256_LEN bytes each, in the order of the file.
 *   errors  ERR_MALFORMED: a line that is none, by its number; ERR_LIMIT
 */
int blocklist_parse(struct secret *out, struct span text, struct err *err);

/* Hands the list of ${vm} (NULL: of all VMs) to the vault. */
typedef int blocklist_fn(
    void *arg, const struct uuid *vm, struct span keys, struct err *err);

struct blocklists;

/** blocklists_new(out, fn, arg, err): none yet.  errors ERR_MEMORY */
int blocklists_new(
    struct blocklists **out, blocklist_fn *fn, void *arg, struct err *err);
void blocklists_free(struct blocklists *b);

/** blocklists_keep(b, vm, path, err): watch ${path} for ${vm} (NULL: for all),
 * too.  errors ERR_MEMORY */
int blocklists_keep(struct blocklists *b, const struct uuid *vm,
    const char *path, struct err *err);

/** blocklists_drop(b): forget all but the one for all VMs. */
void blocklists_drop(struct blocklists *b);

/**
 * blocklists_look(b, err):
 * Read those that have changed, or that the vault could not take the last
 * time, and hand them on.  What is wrong is logged, once for each change.
 *   errors  -1: the one for all VMs is not in force as its file says
 */
int blocklists_look(struct blocklists *b, struct err *err);

/** blocklists_any(b): is there one to watch? */
bool blocklists_any(const struct blocklists *b);

#endif
