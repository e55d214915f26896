#ifndef AGENT_KEEPER_H
#define AGENT_KEEPER_H

#include "agent/cli/cli.h"
#include "agent/config.h"
#include "agent/state.h"
#include "common/err.h"

/*
 * The parent of the two processes.  It starts them, starts net again when
 * that dies, and holds what neither may have: signals, and the owner's
 * socket.  Her questions go to the vault over a pair of their own and their
 * bytes are not looked at here; what strangers send never comes this way.
 */

/**
 * keeper_run(status, cli, state, argc, argv, err):
 * Serve until a signal, or until net says that there is no use; ${argv} are
 * the flags of `run`, SIGTERM, SIGINT and SIGCHLD are blocked and the lock of
 * ${state} is held.
 *   returns  0: ${status} is that of the program
 *   errors   ERR_IO, ERR_INTERNAL; ERR_NOT_FOUND: api.listen is there and no
 *            token: nothing runs
 */
int keeper_run(int *status, const struct cli *cli, const struct state *state,
    const struct config *config, int argc, char **argv, struct err *err);

#endif
