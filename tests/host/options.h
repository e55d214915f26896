#ifndef HOST_OPTIONS_H
#define HOST_OPTIONS_H

#include "common/err.h"
#include "common/span.h"

#define OPTIONS_SETS 16

/* Exit statuses. */
enum outcome {
	HOST_OK = 0,
	HOST_REFUSED = 1,     /* by the service, a status not to be retried */
	HOST_USAGE = 2,       /* options or files */
	HOST_UNREACHABLE = 3, /* no final answer in time */
	HOST_PSP = 4,         /* the secure processor refused */
	HOST_WRONG = 5        /* an answer or a secret that is not as agreed */
};

/* How the certificate chain is sent (docs/protocol.md 4). */
enum chain_form {
	CHAIN_QEMU,   /* PEK, OCA, CEK as the firmware exports it: unsigned */
	CHAIN_SIGNED, /* the same with AMD's CEK */
	CHAIN_SEVCTL, /* PDH, PEK, OCA, signed CEK: `sevctl export` */
	CHAIN_FULL    /* and ASK, ARK: `sevctl export --full` */
};

enum on_off { AUTO, ON, OFF };

/* Strings are borrowed from argv or from a state file. */
struct options {
	const char *service, *uuid, *uuid_file, *platform;
	const char *firmware, *kernel, *initrd, *cmdline;
	const char *ca, *cert, *key, *token_file, *resolve;
	const char *secret_guid, *expect_secret_file;
	const char *api; /* reported instead of the platform's */
	const char *out, *request_out, *from, *measurement_of, *corrupt;
	const char *launch_set[OPTIONS_SETS], *validate_set[OPTIONS_SETS];
	bool has_policy, init2, thread_only, cross, idempotent;
	bool transcript, json, no_session_id, no_keepalive, no_es;
	uint32_t policy, cpu_sig;
	unsigned vcpus, hosts, launches, timeout_s;
	unsigned seconds, rate; /* instead of launches; 0: not given */
	enum on_off kernel_hashes;
	enum chain_form chain;
};

extern const char options_usage[];

/** options_default(o): what holds before any option is read. */
void options_default(struct options *o);

/**
 * options_parse(o, operands, argc, argv, err):
 * Read ${argv}, whose first element is not looked at, over what ${o} holds
 * already.  Exactly ${operands} words that are no options stand at the end of
 * the reordered ${argv}.
 *   errors  ERR_USAGE
 */
int options_parse(
    struct options *o, int operands, int argc, char **argv, struct err *err);

#endif
