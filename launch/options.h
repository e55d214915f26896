#ifndef LAUNCH_OPTIONS_H
#define LAUNCH_OPTIONS_H

#include "common/uuid.h"
#include "launch/service.h"

/* Flags, one table for all commands. */

enum {
	OPT_SERVICE = 1U << 0, /* --service and how to reach it */
	OPT_UUID = 1U << 1,
	OPT_IN = 1U << 2,
	OPT_KEY = 1U << 3, /* --idempotency-key */
	OPT_JSON = 1U << 4,
	OPT_QEMU = 1U << 5,
	OPT_POLICY = 1U << 6,
	OPT_REST = 1U << 7,   /* a command line after -- */
	OPT_DOMAIN = 1U << 8, /* a guest of libvirt; --service may come later */
	OPT_CONNECT = 1U << 9,
	OPT_FIRMWARE = 1U << 10, /* of a trial; --service may stay away */
	OPT_STATE = 1U << 11     /* where launches under way are kept */
};

struct options {
	struct service_config service;
	bool has_uuid;
	struct uuid uuid;
	const char *in; /* default "-" */
	const char *idempotency_key;
	bool json;
	const char *qemu;
	bool has_policy;
	uint32_t policy;
	const char *file, *domain; /* NULL: not said */
	const char *connect;       /* URI of libvirt, or NULL */
	const char *firmware;
	const char *state; /* a folder, or NULL: the usual one */
	unsigned libvirt_s;
	bool transient, autodestroy;
	char **rest; /* borrowed of argv */
	size_t rest_count;
};

/** options_parse(out, allowed, argc, argv, err):
 * ${argv}[0] is the verb.  errors ERR_USAGE */
int options_parse(struct options *out, unsigned allowed, int argc, char **argv,
    struct err *err);

#endif
