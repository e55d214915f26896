#ifndef LAUNCH_SERVICE_H
#define LAUNCH_SERVICE_H

#include "common/secret.h"
#include "launch/answer.h"
#include "launch/outcome.h"
#include "launch/retry.h"

/*
 * The attestation service as a compute host sees it: two POSTs over HTTPS
 * (docs/protocol.md 2 to 9).  Certificates are always verified, redirects are
 * never followed, and no proxy of the environment is asked.
 */

#define SERVICE_BODY_MAX 65536 /* docs/protocol.md 3 */
#define SERVICE_HEAD_MAX 32768 /* twice what is allowed, for 1xx */
#define SERVICE_TIMEOUT_S 120  /* docs/protocol.md 7 */

struct service_config {
	const char *url;        /* the base, https */
	const char *ca;         /* PEM, or NULL: the system's */
	const char *cert, *key; /* of this host (mTLS), or NULL */
	const char *token_file; /* bearer token, or NULL */
	bool tls12;             /* 1.2 will do; else 1.3 */
	unsigned timeout_s;     /* for one request with all its tries */
};

struct service_answer {
	struct retry_try tried;        /* of the last try */
	bool json;                     /* its media type is application/json */
	bool oversize;                 /* it went over one of the caps */
	size_t head_len;               /* bytes of heads so far */
	struct secret body;            /* owned */
	struct answer_problem problem; /* of a status other than 200 */
	char request_id[80];           /* "" if the service gave none */
	char why[160];                 /* if there was no answer */
};

struct service;

/** service_setup(): once, before any thread. errors ERR_INTERNAL */
int service_setup(struct err *err);

/** service_new(out, config, err): ${config} is borrowed.
 *   errors  ERR_USAGE: URL, token or certificate files; ERR_IO, ERR_MEMORY */
int service_new(
    struct service **out, const struct service_config *config, struct err *err);
void service_free(struct service *s);

/** service_base(s): the URL in front of all paths. */
const char *service_base(const struct service *s);

/**
 * service_ask(out, s, path, body, key, err):
 * POST ${body} to the base and ${path} until there is a final answer or the
 * time is up.  ${key}, if not NULL, is the Idempotency-Key of all tries.
 * ${out} is released first, and must be with service_answer_free().
 *   returns  OUTCOME_OK: status 200 and JSON; OUTCOME_REFUSED: another final
 *            status; OUTCOME_UNREACHABLE: none in time, or what answers is no
 *            such service; OUTCOME_PENDING: until then the owner had not
 *            decided
 */
enum outcome service_ask(struct service_answer *out, struct service *s,
    const char *path, struct span body, const char *key, struct err *err);

/** service_try(out, s, path, body, type): one try, at most a minute, with
 * that media type; {NULL, 0} for ${body} makes it a GET. */
void service_try(struct service_answer *out, struct service *s,
    const char *path, struct span body, const char *type);

/** service_tell(out, err): the last try in words.  Returns -1. */
int service_tell(const struct service_answer *out, struct err *err);

/** service_path(out, cap, uuid, verb): "/vm/UUID/VERB". */
void service_path(
    char *out, size_t cap, const struct uuid *uuid, const char *verb);

/** service_key(out, err): a fresh Idempotency-Key.  errors ERR_INTERNAL */
int service_key(char out[UUID_TEXT_LEN + 1], struct err *err);

void service_answer_free(struct service_answer *a);

#endif
