#ifndef AGENT_NET_SERVICE_H
#define AGENT_NET_SERVICE_H

#include "agent/door.h"
#include "common/buf.h"
#include "common/problem.h"
#include "common/span.h"

/*
 * A host's request -> the vault's message -> the host's answer; the one place
 * that knows HTTP, JSON and vault.  No I/O.  The same input and the same vault
 * give the same bytes.
 */

#define SERVICE_PATH_MAX 512
#define SERVICE_HEADER_MAX 256

struct service_request {
	struct span method;
	struct span path; /* after {base}: "/vm/{uuid}/launch" */
	/* Empty with ptr NULL: the header was absent. */
	struct span content_type;
	struct span idempotency_key;
	struct span request_id;    /* made or checked by the relay */
	struct span host_identity; /* made by the relay */
	struct span body;
};

enum service_kind {
	SERVICE_ANSWER,   /* status, headers, body */
	SERVICE_NOT_MINE, /* no such VM: RESET not-mine, no answer */
	SERVICE_BROKEN    /* our own fault: RESET internal, no answer */
};

struct service_answer {
	enum service_kind kind;
	unsigned status;
	const char *content_type;
	uint32_t retry_after_s; /* 0: no such header */
	char location[64];      /* "": no such header */
	struct buf body;        /* service_answer_free() */
};

/**
 * service_ask(question, out, in):
 * What the vault is to be asked.
 *   returns  false: nothing, ${out} is the answer already
 */
bool service_ask(struct door_message *question, struct service_answer *out,
    const struct service_request *in);

/** service_tell(out, reply, request_id): the vault's reply in the host's
 * form. */
void service_tell(struct service_answer *out, const struct door_message *reply,
    struct span request_id);

/** service_is_path(path): one that hosts may post to. */
bool service_is_path(struct span path);

/** service_broken(out): our own fault; replaces ${out}. */
void service_broken(struct service_answer *out);

/**
 * service_handle(out, v, in):
 * Both, with a vault of this process and inside a batch of it; ${out} may
 * leave once that is committed.
 */
void service_handle(struct service_answer *out, struct vault *v,
    const struct service_request *in);

/** service_storage(out, request_id): the batch was lost; replaces ${out}. */
void service_storage(struct service_answer *out, struct span request_id);

void service_answer_free(struct service_answer *a);

/*
 * The decoders, by themselves, for tests and fuzzing: body -> message.
 * Returns PROBLEM_COUNT if it is good; else the problem, and for
 * PROBLEM_INVALID_FIELD its pointer.
 */
#define SERVICE_POINTER_LEN 129
enum problem service_read_launch(struct vault_launch *out,
    char pointer[SERVICE_POINTER_LEN], struct span body);
enum problem service_read_validate(struct vault_validate *out,
    char pointer[SERVICE_POINTER_LEN], struct span body);

#endif
