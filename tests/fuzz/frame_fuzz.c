#include "common/frame.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

/* Whatever is read can be written, and reads the same again. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t once[FRAME_MAX], twice[FRAME_MAX];
	struct writer w = writer_of(once, sizeof(once));
	struct writer w2 = writer_of(twice, sizeof(twice));
	struct frame f, again;
	struct err err = { .code = ERR_NONE };
	uint8_t *in = malloc(size);

	MUST(in != NULL || size == 0);
	if (size > 0)
		memcpy(in, data, size);
	if (frame_decode(&f, span_of(in, size), &err) != 0) {
		MUST(err.code == ERR_MALFORMED || err.code == ERR_LIMIT);
		MUST(err.code == ERR_MALFORMED || f.type == FRAME_REQUEST ||
		    f.type == FRAME_RESPONSE);
	} else if (f.type < 0x80) {
		MUST(f.stream <= FRAME_STREAM_MAX);
		MUST(frame_encode(&w, &f, &err) == 0 && w.len <= size);
		MUST(frame_decode(&again, writer_span(&w), &err) == 0);
		MUST(frame_encode(&w2, &again, &err) == 0);
		MUST(span_equal(writer_span(&w), writer_span(&w2)));
	}
	free(in);
	return 0;
}
