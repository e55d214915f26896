#ifndef LAUNCH_ANSWER_H
#define LAUNCH_ANSWER_H

#include <jansson.h>

#include "common/secret.h"
#include "common/uuid.h"

/*
 * The service's words, bytes -> decisions.  Members that docs/protocol.md does
 * not name are passed over; those it names must be right.
 */

#define ANSWER_SESSION_LEN 128
#define ANSWER_CERT_LEN 2084
#define ANSWER_HEADER_LEN 52
#define ANSWER_PAYLOAD_MAX 16384 /* AMD 55766 6.6: 16 KiB in one packet */

/* docs/protocol.md 4 */
struct answer_launch {
	uint8_t session[ANSWER_SESSION_LEN];
	uint8_t owner_cert[ANSWER_CERT_LEN];
	uint32_t policy;
	bool kernel_hashes; /* false if the service does not say */
	bool es;            /* scheme amd-sev-es */
	char session_id[UUID_TEXT_LEN + 1]; /* "" if the service has none */
	bool has_expiry;
	uint32_t expires_in_s;
};

/** answer_launch_read(out, body, err): errors ERR_MALFORMED, ERR_LIMIT,
 * ERR_UNSUPPORTED: a scheme that is not SEV */
int answer_launch_read(
    struct answer_launch *out, struct span body, struct err *err);

/** answer_launch_json(a, err): the same for a manager; NULL: ERR_MEMORY.
 *   lifetime  caller: json_decref() */
json_t *answer_launch_json(const struct answer_launch *a, struct err *err);

/* docs/protocol.md 5 */
struct answer_validate {
	bool inject; /* false: no secret, just start the CPUs */
	uint8_t header[ANSWER_HEADER_LEN];
	struct secret payload; /* owned; a multiple of 16 bytes */
	bool has_address;
	uint64_t address; /* guest-physical */
};

/** answer_validate_read(out, body, err): errors ERR_MALFORMED, ERR_LIMIT,
 * ERR_MEMORY; ${out} is then empty */
int answer_validate_read(
    struct answer_validate *out, struct span body, struct err *err);
json_t *answer_validate_json(const struct answer_validate *a, struct err *err);
void answer_validate_free(struct answer_validate *a);

/* docs/protocol.md 9 (RFC 9457); "" for what is not there. */
struct answer_problem {
	char type[96];
	char title[96];
	char detail[160];
	char instance[80];
	char origin[16];
};

/** answer_problem_read(out, body): whatever ${body} is; a body that is no
 * problem gives empty texts. */
void answer_problem_read(struct answer_problem *out, struct span body);

/** answer_problem_is(p, name): the type is urn:attest-relay:problem:NAME. */
bool answer_problem_is(const struct answer_problem *p, const char *name);

#endif
