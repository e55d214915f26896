#include "relay/path.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A path that is let through is sent on in one form only, and that form is
 * let through again, unchanged. */
static void
check_forward(const struct path *p, struct span method)
{
	struct path again = { 0 };
	const char *allow;

	if (p->forward[0] == '\0')
		return;
	if (path_route(&again, &allow, "", PATH_INTERNAL, method,
		span_str(p->forward), false) != 0 ||
	    again.kind != p->kind || strcmp(again.forward, p->forward) != 0)
		abort();
	for (const char *c = p->forward; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~' || strchr("?#%\\", *c) != NULL)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct path p = { 0 };
	const char *allow;
	struct span method;
	uint8_t *exact;
	unsigned status;

	if (size < 1 || size > 513)
		return 0;
	exact = malloc(size - 1 != 0 ? size - 1 : 1);
	if (exact == NULL)
		return 0;
	memcpy(exact, data + 1, size - 1);
	method = span_str((data[0] & 1) != 0 ? "POST" : "GET");
	status = path_route(&p, &allow, (data[0] & 2) != 0 ? "/sev" : "",
	    (data[0] & 4) != 0 ? PATH_PUBLIC : PATH_INTERNAL, method,
	    span_of(exact, size - 1), (data[0] & 8) != 0);
	free(exact);
	if (status == 0)
		check_forward(&p, method);
	else if (status != 400 && status != 404 && status != 405)
		abort();
	return 0;
}
