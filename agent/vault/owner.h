#ifndef AGENT_VAULT_OWNER_H
#define AGENT_VAULT_OWNER_H

#include "agent/vault/vault.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/span.h"

/*
 * What the owner may ask of the vault: bytes in, bytes out, so that a running
 * agent answers by its socket what the command line else does by itself.
 * Answers are JSON text; secrets go in and never out.
 */
enum owner_op {
	OWNER_STATUS = 1, /* of a running agent; nothing in */
	OWNER_REGISTER,   /* in: registration_encode() */
	OWNER_REMOVE,     /* in: name or UUID */
	OWNER_LIST,       /* nothing in */
	OWNER_SHOW,       /* in: name or UUID */
	OWNER_LOG,        /* in: after:8, most:4, name or UUID or nothing */
	OWNER_VERIFY,     /* the log's chain; nothing in */
	/* Her word, owner_word.c. */
	OWNER_LOCK,    /* nothing in */
	OWNER_UNLOCK,  /* in: the seal key */
	OWNER_ENABLE,  /* in: name or UUID */
	OWNER_DISABLE, /* in: name or UUID */
	OWNER_APPROVE, /* in: question:8 */
	OWNER_DENY,    /* in: question:8 */
	OWNER_WATCH,   /* what waits, and the log; in: as OWNER_LOG */
	/* Moves, vault_move.h. */
	OWNER_MOVE_KEY = 32, /* the key to seal to; nothing in */
	OWNER_EXPORT,        /* in: recipient:32, len:1 name or UUID each */
	OWNER_EXPORT_AGAIN,  /* in: id:16 */
	OWNER_EXPORTS,       /* what was handed over; nothing in */
	OWNER_EXPORT_FORGET, /* in: id:16 */
	OWNER_IMPORT,        /* in: sender:32 file */
	OWNER_RECEIPTS = 40, /* in: after:8 */
	OWNER_RECEIPT,       /* in: number:8 with-tik:1 */
	OWNER_CANCEL = 48,   /* in: session:16, vault_cancel() */
	/* Block-lists; from the agent's parent, which watches the files. */
	OWNER_BLOCK = 64, /* in: vm:16 (zeros: all) keys, vault_set_blocked() */
	OWNER_BLOCKLISTS /* which files VMs want; out: vm:16 length:2 path ... */
};

#define OWNER_IN_MAX REGISTRATION_BYTES_MAX
#define OWNER_OUT_MAX (8u << 20)
#define OWNER_LOG_MAX 1000 /* lines an answer */

/** owner_may_ask(op): it may come over the socket. */
bool owner_may_ask(unsigned op);

/** owner_renames(op): it may change which VMs are here. */
bool owner_renames(unsigned op);

/**
 * owner_handle(out, v, op, in, err):
 * Inside a batch of ${v}; ${out} may be told once that is committed.
 *   shapes  ${out} is an empty queue of OWNER_OUT_MAX
 *   errors  ERR_UNSUPPORTED: no such op (OWNER_STATUS neither); ERR_CLOSED:
 *           it is locked; else as the vault's calls
 */
int owner_handle(struct buf *out, struct vault *v, unsigned op, struct span in,
    struct err *err);

#endif
