#ifndef AGENT_SANDBOX_H
#define AGENT_SANDBOX_H

#include <stddef.h>

#include "common/err.h"

/*
 * What the kernel holds each process of the agent to, should its code fall to
 * a stranger (docs/threat-model.md T14, T18).
 */

/** sandbox_harden(): no core file, no ptrace and no /proc/self/mem for others
 * of this user; the first thing a process does. */
void sandbox_harden(void);

/**
 * sandbox_lock_memory(err):
 * Keep every page, those to come as well, out of swap.
 *   errors  ERR_LIMIT: RLIMIT_MEMLOCK is too small; nothing is locked
 */
int sandbox_lock_memory(struct err *err);

/**
 * sandbox_vault(err):
 * From here on only the system calls of docs/operations-agent.md,
 * "System calls of the vault": no file is opened, no socket made, no program
 * started.  Others fail with EPERM.
 *   errors  ERR_UNSUPPORTED: the kernel has no seccomp
 */
int sandbox_vault(struct err *err);

/** sandbox_vault_calls(count): their names, for tests. */
const char *const *sandbox_vault_calls(size_t *count);

/**
 * sandbox_files(files, count, err):
 * For net: of the files only what resolvers and TLS read, and ${files}.
 * Before there is a second thread: Landlock holds the calling one, and those
 * that it makes.
 *   errors  ERR_UNSUPPORTED: the kernel has no Landlock: net could read the
 *           state folder
 */
int sandbox_files(const char *const *files, size_t count, struct err *err);

/**
 * sandbox_net(err):
 * No Unix socket (agent.sock is the owner's), no program, no other process,
 * no word typed into a terminal.
 *   errors  ERR_UNSUPPORTED: the kernel has no seccomp
 */
int sandbox_net(struct err *err);

/**
 * sandbox_api(err):
 * The same for the owner's API, which talks to agent.sock and reads the files
 * that she names.
 *   errors  ERR_UNSUPPORTED: the kernel has no seccomp
 */
int sandbox_api(struct err *err);

#endif
