#include "relay/enrol.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is let through has a token that a URL can hold, and says nothing else. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct enrol_request out;
	uint8_t *exact = malloc(size != 0 ? size : 1);
	struct err err = { 0 };

	if (exact == NULL)
		return 0;
	if (size != 0)
		memcpy(exact, data, size);
	if (enrol_read(&out, span_of(exact, size), &err) == 0) {
		size_t len = strnlen(out.token, sizeof(out.token));

		if (len == 0 || len > ENROL_TOKEN_MAX || out.binding > 1)
			abort();
	} else if (err.msg[0] == '\0') {
		abort();
	}
	free(exact);
	return 0;
}
