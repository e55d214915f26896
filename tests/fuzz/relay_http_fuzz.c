#include "common/http_head.h"
#include "common/admit.h"
#include "relay/path.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * A host's head, from its bytes to a verdict, as the relay goes about it.
 * Nobody here has a token, so nobody may get in.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct admit_token token = { .name = "t" };
	static const struct admit_hosts hosts = { true, true, &token, 1 };
	char identity[ADMIT_IDENTITY_MAX + 1];
	struct admit_shown shown = { 0 };
	struct http_scan scan = { 0 };
	struct http_head head;
	struct path path = { 0 };
	const char *allow;
	unsigned status;
	uint8_t *exact = malloc(size != 0 ? size : 1);
	size_t len;

	if (exact == NULL)
		return 0;
	memcpy(exact, data, size);
	if (http_scan(&scan, span_of(exact, size), &len, &status, NULL) !=
		HTTP_SCAN_DONE ||
	    http_head_parse(&head, span_of(exact, len), &status, NULL) != 0)
		goto out;
	path_route(&path, &allow, "/sev", PATH_INTERNAL, head.method, head.path,
	    head.has_query);
	shown.authorization_count =
	    http_get(&head, "authorization", &shown.authorization);
	if (admit_host(identity, &hosts, &shown, NULL) == 0)
		abort();
out:
	free(exact);
	return 0;
}
