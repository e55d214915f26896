#ifndef AGENT_API_API_H
#define AGENT_API_API_H

#include "agent/register/register.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/span.h"

/*
 * The owner's API (docs/protocol.md 14): what `attest-agent vm` does, over
 * HTTP, for programs.  From request to answer; no socket here.
 *
 *	GET    /vm           all VMs
 *	GET    /vm/{uuid}    one
 *	POST   /vm/{uuid}    register it, in the JSON of docs/protocol.md 14
 *	DELETE /vm/{uuid}    forget it, and end its sessions
 *	GET    /status       of the tunnel
 */

#define API_BODY_MAX REGISTER_JSON_MAX
#define API_TYPE_MAX 64

/* Asks the vault, as the command line does (agent/vault/owner.h). */
typedef int api_ask_fn(
    void *arg, unsigned op, struct span in, struct buf *out, struct err *err);

struct api_request {
	struct span method;
	struct span path; /* without a query */
	bool has_query;
	struct span content_type; /* empty with ptr NULL: absent */
	struct span body;
	/* Who asks may name files: her programs run as the same user.  Else
	 * everything has to be in the body. */
	bool may_read_files;
};

struct api_answer {
	unsigned status;
	const char *content_type;
	const char *allow; /* NULL: no such header */
	struct buf body;   /* api_answer_free() */
};

/** api_handle(out, in, ask, arg): blocks for as long as ${ask} does. */
void api_handle(struct api_answer *out, const struct api_request *in,
    api_ask_fn *ask, void *arg);

/** api_refuse(out, status, detail): a problem of our own (RFC 9457). */
void api_refuse(struct api_answer *out, unsigned status, const char *detail);

void api_answer_free(struct api_answer *a);

#endif
