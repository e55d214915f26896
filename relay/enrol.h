#ifndef RELAY_ENROL_H
#define RELAY_ENROL_H

#include "common/err.h"
#include "common/span.h"
#include "common/uuid.h"

#include <stdbool.h>

/*
 * The body of an enrolment, of strangers on the internet (docs/protocol.md
 * 12.3).  Pure: bytes in, fields out.
 */

#define ENROL_BODY_MAX 1024
#define ENROL_TOKEN_MAX 128
#define ENROL_SIGNATURE_LEN 64

struct enrol_request {
	char token[ENROL_TOKEN_MAX + 1];
	uint8_t key[UUID_KEY_LEN];
	uint8_t binding; /* 0, 1 */
	uint8_t signature[ENROL_SIGNATURE_LEN];
};

/**
 * enrol_read(out, body, err):
 * One JSON object of "token", "key" ("ed25519:BASE64"), "signature" (base64)
 * and "binding" (0 or 1); unknown members are ignored.
 *   errors  ERR_MALFORMED; ERR_LIMIT; ERR_UNTRUSTED: a key that anybody could
 *           sign for
 */
int enrol_read(struct enrol_request *out, struct span body, struct err *err);

#endif
