#ifndef RELAY_CLAIM_H
#define RELAY_CLAIM_H

#include "common/frame.h"
#include "relay/registry.h"
#include "relay/tenant.h"

/*
 * Who an agent is, and which UUIDs it may claim (docs/protocol.md 12.3): the
 * configuration first, then the registry.  Nothing here tells one tenant that
 * another exists: there is one answer, no.
 */

/** claim_key_owner(tenants, registry, key): whose key it is.  NULL: nobody's,
 * or it was revoked; *${revoked}: which of the two. */
struct account *claim_key_owner(const struct tenants *tenants,
    struct registry *registry, const uint8_t key[UUID_KEY_LEN], bool *revoked);

/** claim_tenant(tenants, registry, account, rules): what the tenant may.
 * False: there is no such tenant any more. */
bool claim_tenant(const struct tenants *tenants, struct registry *registry,
    struct account *account, struct tenant_rules *rules);

enum claim_verdict {
	CLAIM_NO,
	CLAIM_YES,
	CLAIM_FREE /* nobody's: yes, once it is bound to the key on disk */
};

/**
 * claim_judge(tenants, registry, account, key, name):
 * May the agent ${key} of the tenant claim ${name}?
 *   provisioned       if it is the tenant's, and its label is empty
 *   claimed first     if it is bound to this very key, and its label is empty
 *   self-certifying   if made from this very key and label, and the tenant may
 *   else              CLAIM_FREE if the tenant may claim first, its label is
 *                     empty, and it is not of version 8, as those may be
 *                     somebody's self-certifying ones
 */
enum claim_verdict claim_judge(const struct tenants *tenants,
    struct registry *registry, struct account *account,
    const uint8_t key[UUID_KEY_LEN], const struct frame_claim_name *name);

/** claim_keep(tenants, registry, account, key, uuid, certified): may the agent
 * go on to serve a UUID that it once claimed?  ${certified}: with the label that
 * it is made of. */
bool claim_keep(const struct tenants *tenants, struct registry *registry,
    struct account *account, const uint8_t key[UUID_KEY_LEN],
    const struct uuid *uuid, bool certified);

#endif
