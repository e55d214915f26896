#ifndef AGENT_PART_H
#define AGENT_PART_H

#include <sys/types.h>

#include "agent/cli/cli.h"
#include "common/err.h"

/*
 * The processes of `attest-agent run` (docs/architecture.md, "Two processes").
 * Both parts are this same program, executed anew: a fork alone would leave
 * them with one layout of memory and one stack canary, and what a stranger
 * learns of net's he would know of the vault's.
 */

/* Descriptors that a part finds open. */
enum {
	PART_PAIR_FD = 3, /* net and vault: to each other (agent/door.h) */
	PART_KEEPER_FD,   /* to the parent */
	PART_LOCK_FD      /* vault: the lock of the state folder */
};

#define PART_NET "part-net"
#define PART_VAULT "part-vault"
#define PART_API "part-api"

/* net -> parent, over PART_KEEPER_FD (SOCK_SEQPACKET): a first byte and then
 * what it says; parent -> net: PART_STATUS alone. */
enum {
	PART_STATUS = 'S', /* JSON follows */
	PART_END = 'E'     /* the exit status follows, one byte */
};
#define PART_STATUS_MAX 65536

/**
 * part_spawn(out, name, cli, argc, argv, fds, count, err):
 * Start a part with the flags of `run`, and ${fds} as its descriptors from
 * PART_PAIR_FD on.  It ends with the calling thread.
 *   errors  ERR_INTERNAL
 */
int part_spawn(pid_t *out, const char *name, const struct cli *cli, int argc,
    char **argv, const int *fds, size_t count, struct err *err);

/* Their main functions: ${argv} is that of `run` but for the verb. */
int part_net(const struct cli *cli, int argc, char **argv);
int part_api(const struct cli *cli, int argc, char **argv);
int part_vault(const struct cli *cli, int argc, char **argv);

#endif
