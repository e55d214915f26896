#include "relay/resp.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

/* An answer of a hostile Redis: in bounds, and the same however it comes. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { .code = ERR_NONE };
	struct span in, part;
	struct resp whole, again;
	uint8_t *copy = malloc(size);
	int rc = 1;

	MUST(copy != NULL || size == 0);
	if (size > 0)
		memcpy(copy, data, size);
	in = span_of(copy, size);
	while (rc == 1) {
		part = in;
		rc = resp_next(&whole, &in, &err);
		if (rc != 1) {
			MUST(in.len == part.len);
			break;
		}
		MUST(in.len < part.len && part.len - in.len <= RESP_MAX);
		MUST(resp_count(&whole) <= RESP_ITEMS_MAX);
		/* One byte less is not enough, and these bytes are. */
		part.len -= in.len + 1;
		MUST(resp_next(&again, &part, &err) == 0);
		part.len++;
		MUST(resp_next(&again, &part, &err) == 1 && part.len == 0);
	}
	/* What is waited for is never more than one answer. */
	MUST(rc != 0 || in.len < RESP_MAX);
	MUST(rc >= 0 || err.code == ERR_MALFORMED || err.code == ERR_LIMIT);
	free(copy);
	return 0;
}
