#ifndef HOST_MESSAGES_H
#define HOST_MESSAGES_H

#include <jansson.h>

#include "tests/host/http.h"
#include "tests/host/machine.h"

/* The bodies of docs/protocol.md 4, 5 and 9. */

#define MESSAGES_ID_MAX 64

struct launch_answer {
	uint8_t session[256], owner_cert[4096];
	size_t session_len, owner_cert_len; /* judged by the firmware */
	uint32_t policy;
	char session_id[MESSAGES_ID_MAX + 1]; /* empty: none */
	int kernel_hashes;                    /* -1: not said */
	long expires_in_s;                    /* -1: not said */
};

struct validate_answer {
	uint8_t header[256];
	size_t header_len;
	struct secret payload; /* owned */
	bool inject, has_address;
	uint64_t address;
};

/** messages_launch(m, o, err): the request; NULL on failure. */
json_t *messages_launch(
    const struct machine *m, const struct options *o, struct err *err);

/** messages_validate(m, o, answer, measurement, err): the same. */
json_t *messages_validate(const struct machine *m, const struct options *o,
    const struct launch_answer *answer, struct span measurement,
    struct err *err);

/** messages_read_launch(out, body, o, err): errors ERR_MALFORMED */
int messages_read_launch(
    struct launch_answer *out, struct span body, struct err *err);
int messages_read_validate(
    struct validate_answer *out, struct span body, struct err *err);
void validate_answer_free(struct validate_answer *a);

/** messages_problem(a, err): any answer but 200, as an error. */
void messages_problem(const struct http_answer *a, struct err *err);

/** messages_problem_json(a): {"status", "type", ...} for --json; owned. */
json_t *messages_problem_json(const struct http_answer *a);

/** messages_bytes(object, name, data): add base64.  0, or -1. */
int messages_bytes(json_t *object, const char *name, struct span data);

/** messages_text(out, object, err): JSON text, owned, without a NUL. */
int messages_text(struct secret *out, const json_t *object, struct err *err);

/** messages_url(out, cap, o, uuid, what, err): SERVICE/vm/UUID/WHAT. */
int messages_url(char *out, size_t cap, const struct options *o,
    const char *uuid, const char *what, struct err *err);

#endif
