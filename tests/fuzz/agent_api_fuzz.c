#include <stdlib.h>

#include "agent/api/api.h"
#include "agent/json.h"
#include "agent/vault/owner.h"
#include "common/http_head.h"

/* The owner's API: a head and a body of anybody's making.  Whatever comes,
 * there is one whole answer, and what reaches the vault is in form. */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	json_setup();
	return 0;
}

static int
ask(void *arg, unsigned op, struct span in, struct buf *out, struct err *err)
{
	struct registration *r = NULL;

	(void)arg;
	if (op == OWNER_REGISTER) {
		if (registration_decode(&r, in, err) != 0)
			__builtin_trap();
		registration_free(r);
	}
	return buf_append(out, span_str("{\"a\":1}"), err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_scan scan = { 0 };
	struct api_request in = { 0 };
	struct api_answer out;
	struct http_head head;
	unsigned status = 0;
	size_t head_len = 0;

	if (http_scan(&scan, span_of(data, size), &head_len, &status, NULL) !=
		HTTP_SCAN_DONE ||
	    http_head_parse(&head, span_of(data, head_len), &status, NULL) != 0)
		return 0;
	in.method = head.method;
	in.path = head.path;
	in.has_query = head.has_query;
	(void)http_get(&head, "content-type", &in.content_type);
	in.body = span_of(data + head_len, size - head_len);
	api_handle(&out, &in, ask, NULL);
	if (out.status < 200 || out.status > 599 || out.content_type == NULL ||
	    buf_len(&out.body) == 0)
		__builtin_trap();
	api_answer_free(&out);
	return 0;
}
