#include "relay/claim.h"

#include <string.h>

#define VERSION_AT 6 /* the byte of a UUID whose high half is its version */

struct account *
claim_key_owner(const struct tenants *tenants, struct registry *registry,
    const uint8_t key[UUID_KEY_LEN], bool *revoked)
{
	struct account *account = tenants_of_key(tenants, key);
	struct registry_key row;
	bool known = registry_find_key(registry, key, &row);

	/* What was revoked stays it, whatever the configuration says. */
	*revoked = known && row.revoked_ms != 0;
	if (*revoked)
		return NULL;
	return account != NULL ? account : known ? row.account : NULL;
}

bool
claim_tenant(const struct tenants *tenants, struct registry *registry,
    struct account *account, struct tenant_rules *rules)
{
	const struct tenant_rules *configured = tenants_rules(tenants, account);
	struct registry_tenant row;

	if (configured != NULL) {
		*rules = *configured;
		return true;
	}
	if (!registry_find_tenant(registry, account, &row))
		return false;
	*rules = (struct tenant_rules){ .self_certifying = row.self_certifying,
		.first_claim = row.first_claim,
		.limits = row.limits };
	return true;
}

/* RFC 9562 5.8: the form of self-certifying ones. */
static bool
is_v8(const struct uuid *uuid)
{
	return uuid->bytes[VERSION_AT] >> 4 == 8;
}

enum claim_verdict
claim_judge(const struct tenants *tenants, struct registry *registry,
    struct account *account, const uint8_t key[UUID_KEY_LEN],
    const struct frame_claim_name *name)
{
	struct registry_claim row;
	struct tenant_rules rules;
	struct account *owner;
	struct uuid certified;
	bool of_key = false;

	if (!claim_tenant(tenants, registry, account, &rules))
		return CLAIM_NO;
	/* Before the UUID is looked up: a foreign one must not be denied
	 * sooner than an unknown one. */
	if (rules.self_certifying && name->label.len > 0)
		of_key = uuid_self_certifying(
			     &certified, key, name->label, NULL) == 0 &&
		    uuid_equal(&certified, &name->uuid);
	owner = tenants_of_vm(tenants, &name->uuid);
	if (owner != NULL)
		return owner == account && name->label.len == 0 ? CLAIM_YES
								: CLAIM_NO;
	if (registry_find_claim(registry, &name->uuid, &row)) {
		if (row.account != account || name->label.len != 0)
			return CLAIM_NO;
		return !row.of_key || memcmp(row.key, key, UUID_KEY_LEN) == 0
		    ? CLAIM_YES
		    : CLAIM_NO;
	}
	if (name->label.len > 0)
		return of_key ? CLAIM_YES : CLAIM_NO;
	if (rules.first_claim && !is_v8(&name->uuid))
		return CLAIM_FREE;
	return CLAIM_NO;
}

bool
claim_keep(const struct tenants *tenants, struct registry *registry,
    struct account *account, const uint8_t key[UUID_KEY_LEN],
    const struct uuid *uuid, bool certified)
{
	struct account *owner = tenants_of_vm(tenants, uuid);
	struct registry_claim row;
	struct tenant_rules rules;

	if (!claim_tenant(tenants, registry, account, &rules))
		return false;
	if (owner != NULL)
		return owner == account;
	if (registry_find_claim(registry, uuid, &row))
		return row.account == account &&
		    (!row.of_key || memcmp(row.key, key, UUID_KEY_LEN) == 0);
	/* Nobody's: only its self-certifying ones need not be listed. */
	return rules.self_certifying && certified;
}
