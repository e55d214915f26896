#include "relay/parcel.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

/* What one relay hands to the next reads the same when it is written again. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t once[PARCEL_MAX];
	struct writer w = writer_of(once, sizeof(once));
	struct parcel p;
	struct err err = { .code = ERR_NONE };
	uint8_t *in = malloc(size);

	MUST(in != NULL || size == 0);
	if (size > 0)
		memcpy(in, data, size);
	if (parcel_parse(&p, span_of(in, size), &err) != 0) {
		MUST(err.code == ERR_MALFORMED);
	} else {
		parcel_put(&w, &p);
		MUST(writer_ok(&w) && w.len == size);
	}
	free(in);
	return 0;
}
