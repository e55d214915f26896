#ifndef AGENT_VAULT_VAULT_MOVE_H
#define AGENT_VAULT_VAULT_MOVE_H

#include "agent/vault/move_seal.h"
#include "agent/vault/vault.h"

/*
 * Registrations that move to another agent (docs/operations-agent.md, "Moving
 * to another agent").  All calls inside a batch of ${v}: what one of them
 * gave counts once that is committed, and by then the VMs it hands over are
 * no longer here.  So no VM is served by two, and as the file stays in the
 * store until the owner lets go of it, none is lost on the way.
 */

/** vault_move_key(out, v, err): the public key by which others seal to this
 * agent; made if there is none yet.  errors ERR_INTERNAL, ERR_IO */
int vault_move_key(uint8_t out[MOVE_KEY_LEN], struct vault *v, struct err *err);

/**
 * vault_move_export(out, id, v, vms, count, recipient, err):
 * Hand ${vms} over: ${out} becomes the export file.
 *   errors  ERR_NOT_FOUND: no such VM, or no key of this agent; ERR_USAGE:
 *           one VM twice, or ${recipient} is this very agent; ERR_LIMIT: too
 *           much for one file; ERR_IO
 */
int vault_move_export(struct secret *out, uint8_t id[MOVE_ID_LEN],
    struct vault *v, const struct uuid *vms, size_t count,
    const uint8_t recipient[MOVE_KEY_LEN], struct err *err);

/** vault_move_again(out, v, id, err): the same file once more.
 *   errors  ERR_NOT_FOUND: no such export, or it was let go of */
int vault_move_again(struct secret *out, struct vault *v,
    const uint8_t id[MOVE_ID_LEN], struct err *err);

/** vault_move_forget(v, id, err): let go of the file and of the memory of its
 * VMs, which may then be registered here again.  errors ERR_NOT_FOUND */
int vault_move_forget(
    struct vault *v, const uint8_t id[MOVE_ID_LEN], struct err *err);

/* A VM that was handed over. */
struct vault_moved {
	struct uuid vm;
	uint8_t id[MOVE_ID_LEN];
	int64_t wall_ms;
	uint8_t recipient[MOVE_KEY_LEN];
	char name[REGISTRATION_NAME_MAX + 1];
};

/** vault_move_each(v, fn, arg, err): every one; ${fn} ends it by returning
 * other than 0. */
int vault_move_each(struct vault *v,
    int (*fn)(void *arg, const struct vault_moved *moved), void *arg,
    struct err *err);

/** vault_move_check(v, vm, err): errors ERR_CONFLICT: it was handed over, and
 * must not be served here as well */
int vault_move_check(struct vault *v, const struct uuid *vm, struct err *err);

/**
 * vault_move_import(v, file, sender, err):
 * Take what the agent of key ${sender} (UUID_KEY_LEN bytes) handed over, all
 * of it or nothing.
 *   errors  those of move_read() and move_open(); ERR_NOT_FOUND: nobody has
 *           sealed to this agent yet; ERR_CONFLICT: that export was taken
 *           before, or a UUID or name is in use; those of
 *           registration_decode() and registration_check(); ERR_IO
 */
int vault_move_import(struct vault *v, struct span file,
    const uint8_t sender[UUID_KEY_LEN], struct err *err);

#endif
