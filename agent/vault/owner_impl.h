#ifndef AGENT_VAULT_OWNER_IMPL_H
#define AGENT_VAULT_OWNER_IMPL_H

/* What the owner_*.c share; nobody else includes it. */

#include "agent/json.h"
#include "agent/vault/owner.h"

/** owner_tell(out, v, err): the answer ${v}, which is taken. */
int owner_tell(struct buf *out, json_t *v, struct err *err);

/** owner_find(vm, v, in, err): by name, UUID or the head of one.  errors
 * ERR_USAGE, and those of vault_find() */
int owner_find(
    struct uuid *vm, const struct vault *v, struct span in, struct err *err);

/** owner_move(out, v, op, in, err): the OWNER_... of vault_move.h. */
int owner_move(struct buf *out, struct vault *v, unsigned op, struct span in,
    struct err *err);
/** owner_log_page(out, v, in, err): {"schema", "lines"} of OWNER_LOG. */
int owner_log_page(
    json_t **out, struct vault *v, struct span in, struct err *err);

/** owner_receipt(out, v, op, in, err): OWNER_RECEIPTS, OWNER_RECEIPT. */
int owner_receipt(struct buf *out, struct vault *v, unsigned op, struct span in,
    struct err *err);

/** owner_word(out, v, op, in, err): OWNER_LOCK to OWNER_WATCH. */
int owner_word(struct buf *out, struct vault *v, unsigned op, struct span in,
    struct err *err);

#endif
