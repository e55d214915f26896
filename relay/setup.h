#ifndef RELAY_SETUP_H
#define RELAY_SETUP_H

#include "common/tls.h"
#include "common/conf_host.h"
#include "relay/config.h"
#include "relay/tenant.h"

#include <stdatomic.h>

/*
 * What the configuration means: certificates read, owners of keys and UUIDs
 * known.  Once loaded, nothing changes any more: a reload makes another one.
 * The main thread holds the newest, and so does each worker from the turn on
 * in which it was told of it; the last to drop it frees it.
 */

struct relay_setup {
	_Atomic uint32_t holds;
	uint64_t number; /* later ones have higher ones */
	struct relay_config config;
	struct tenants *tenants;
	struct conf_hosts own_hosts; /* owned */
	struct evp_md_st *sha256;    /* owned */
	struct admit_hosts hosts;    /* of the two above */
	struct tls_identity *public;
	struct tls_identity *internal;
	struct tls_identity *cluster; /* NULL: we stand alone */
	char *directory_password;     /* owned; wiped; "": none */
	struct tls_identity *admin;   /* NULL: only the Unix socket */
};

/**
 * setup_load(out, file, report):
 * Load ${file}, check it, read certificates and keys.
 *   lifetime  held once, for the caller: setup_drop()
 *   errors    -1: ${report} tells all of them, *${out} is NULL
 */
int setup_load(
    struct relay_setup **out, const char *file, struct conf_report *report);

/** setup_warn(s): to the log, what is no error but will hurt. */
void setup_warn(const struct relay_setup *s);

/** setup_hold(s), setup_drop(s): from every thread.  The first returns
 * ${s}; dropping NULL is fine. */
struct relay_setup *setup_hold(struct relay_setup *s);
void setup_drop(struct relay_setup *s);

#endif
