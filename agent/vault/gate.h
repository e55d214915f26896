#ifndef AGENT_VAULT_GATE_H
#define AGENT_VAULT_GATE_H

#include "agent/key.h"
#include "agent/vault/vault.h"
#include "common/err.h"

/*
 * The vault's side of the door: takes what `net` and the owner ask, gives it
 * to the vault, commits, and only then answers.  One thread, which alone uses
 * the vault.
 *
 * Whose word a question is, its descriptor says: a host's comes over the pair
 * with net (agent/door.h), the owner's over the pair with the parent, which
 * holds agent.sock (agent/control.h has the form).  Nothing that comes over
 * the first can do what is the owner's to do.
 */
struct gate_options {
	struct vault *vault;
	const struct key *key; /* signs hellos */
	int net_fd;            /* SOCK_SEQPACKET, non-blocking */
	int64_t wait_ms;       /* how long a host may wait for the owner */
	int owner_fd;          /* SOCK_STREAM, blocking; its end ends us */
};

/**
 * gate_run(options, err):
 * Serve until ${options}->owner_fd has no more.
 *   errors  ERR_MEMORY, ERR_INTERNAL
 */
int gate_run(const struct gate_options *options, struct err *err);

#endif
