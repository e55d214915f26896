#ifndef AGENT_VAULT_MOVE_H
#define AGENT_VAULT_MOVE_H

#include "common/buf.h"
#include "common/err.h"
#include "common/span.h"

/*
 * What an export file carries, once it is open (docs/operations-agent.md,
 * "The export file"):
 *
 *	count:4, then for each VM
 *	flags:4 len:4 registration len:4 counts len:4 blocked
 *
 * Numbers are big-endian.  The parts are as the store keeps them
 * (registration_encode(), vault_impl.h); an empty one is absent.
 */

#define MOVE_VMS_MAX 4096

#define MOVE_DISABLED 0x1u /* by the owner; vm enable starts it again */

struct move_vm {
	uint32_t flags;
	struct span registration;
	struct span counts;
	struct span blocked;
};

/** move_put_count(out, count, err), move_put(out, vm, err): errors ERR_LIMIT:
 * over the cap of ${out}; ERR_MEMORY */
int move_put_count(struct buf *out, size_t count, struct err *err);
int move_put(struct buf *out, const struct move_vm *vm, struct err *err);

/**
 * move_count(r, count, err): the head.
 *   errors  ERR_MALFORMED, ERR_LIMIT: none, or more than MOVE_VMS_MAX
 */
int move_count(struct reader *r, size_t *count, struct err *err);

/**
 * move_next(out, r, err): one VM.
 *   lifetime  ${out} holds spans into what ${r} reads
 *   errors    ERR_MALFORMED; ERR_UNSUPPORTED: a flag of a later version, which
 *             might be a rule
 */
int move_next(struct move_vm *out, struct reader *r, struct err *err);

#endif
