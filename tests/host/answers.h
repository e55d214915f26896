#ifndef HOST_ANSWERS_H
#define HOST_ANSWERS_H

#include <jansson.h>

#include "tests/host/http.h"

/* What the service answers (docs/protocol.md 4, 5 and 9). */

#define ANSWERS_ID_MAX 64

struct launch_answer {
	uint8_t session[256], owner_cert[4096];
	size_t session_len, owner_cert_len; /* judged by the firmware */
	uint32_t policy;
	char session_id[ANSWERS_ID_MAX + 1]; /* empty: none */
	int kernel_hashes;                   /* -1: not said */
	long expires_in_s;                   /* -1: not said */
};

struct validate_answer {
	uint8_t header[256];
	size_t header_len;
	struct secret payload; /* owned */
	bool inject, has_address;
	uint64_t address;
};

/** answers_launch(out, body, err), answers_validate(...): errors
 * ERR_MALFORMED; lengths inside are the firmware's to judge. */
int answers_launch(
    struct launch_answer *out, struct span body, struct err *err);
int answers_validate(
    struct validate_answer *out, struct span body, struct err *err);
void answers_free(struct validate_answer *a);

/** answers_problem(a, err): any answer but 200, as an error. */
void answers_problem(const struct http_answer *a, struct err *err);

/** answers_problem_json(a): {"status", "type", ...} for --json; owned. */
json_t *answers_problem_json(const struct http_answer *a);

#endif
