#ifndef RELAY_SETUP_H
#define RELAY_SETUP_H

#include "common/tls.h"
#include "relay/admit.h"
#include "relay/config.h"
#include "relay/tenant.h"

/*
 * What the configuration means: certificates read, owners of keys and UUIDs
 * known.  Once loaded, nothing changes any more.
 */

struct relay_setup {
	struct relay_config config;
	struct tenants *tenants;
	struct admit_token *tokens;
	size_t token_count;
	struct tls_identity *public;
	struct tls_identity *internal;
};

/**
 * relay_setup_load(out, file, report):
 * Load ${file}, check it, read certificates and keys.
 *   lifetime  relay_setup_free(out), after failures too
 *   errors    -1: ${report} tells all of them
 */
int relay_setup_load(
    struct relay_setup *out, const char *file, struct conf_report *report);

void relay_setup_free(struct relay_setup *s);

#endif
