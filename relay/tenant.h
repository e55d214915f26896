#ifndef RELAY_TENANT_H
#define RELAY_TENANT_H

#include "common/err.h"
#include "common/frame.h"
#include "common/uuid.h"

/*
 * Who owns which UUID (docs/protocol.md 12.3).  Built once from the
 * configuration, then only read, so every thread may ask.  Nothing here tells
 * one tenant that another exists: there is one answer, no.
 */

#define TENANT_NAME_MAX 64

struct tenants;

/** tenants_new(out, err): no tenant at all: nobody may do anything. */
int tenants_new(struct tenants **out, struct err *err);
void tenants_free(struct tenants *t);

/**
 * tenants_add(t, name, self_certifying, index, err):
 *   errors  ERR_CONFLICT: the name is taken; ERR_MEMORY
 */
int tenants_add(struct tenants *t, const char *name, bool self_certifying,
    size_t *index, struct err *err);

/** tenants_add_key(t, index, text, err): an agent's key, "ed25519:BASE64".
 *   errors  ERR_MALFORMED; ERR_CONFLICT: it is listed already */
int tenants_add_key(
    struct tenants *t, size_t index, const char *text, struct err *err);

/** tenants_add_vm(t, index, text, err): a provisioned UUID.
 *   errors  ERR_MALFORMED; ERR_CONFLICT: it is listed already */
int tenants_add_vm(
    struct tenants *t, size_t index, const char *text, struct err *err);

size_t tenants_count(const struct tenants *t);
const char *tenants_name(const struct tenants *t, size_t index);

/** tenants_of_key(t, key, index): false: nobody's key. */
bool tenants_of_key(
    const struct tenants *t, const uint8_t key[UUID_KEY_LEN], size_t *index);

/**
 * tenants_may_claim(t, index, key, name):
 * May the agent ${key} of the tenant claim ${name}?  A provisioned UUID: if it
 * is the tenant's, and its label is empty.  Else only if it is self-certifying
 * from this very key and label, and the tenant may do that.
 */
bool tenants_may_claim(const struct tenants *t, size_t index,
    const uint8_t key[UUID_KEY_LEN], const struct frame_claim_name *name);

#endif
