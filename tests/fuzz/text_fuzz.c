#include "common/base64.h"
#include "common/hex.h"
#include "common/uuid.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

static struct span
trimmed(struct span in)
{
	while (in.len > 0 && strchr("\r\n ", in.ptr[in.len - 1]) != NULL &&
	    in.ptr[in.len - 1] != '\0')
		in.len--;
	return in;
}

/* Only one text stands for some bytes: what is read is what is written. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	uint8_t *bytes = malloc(size + 1);
	char *text = malloc(2 * size + 8);
	char uuid_text[UUID_TEXT_LEN + 1];
	struct uuid uuid;
	struct err err;
	size_t len;

	MUST(bytes != NULL && text != NULL);
	if (base64_decode(bytes, size, &len, in, &err) == 0) {
		base64_encode(text, base64_len(len) + 1, span_of(bytes, len));
		MUST(span_is(trimmed(in), text));
	}
	base64_encode(text, base64_len(size) + 1, in);
	MUST(base64_decode(bytes, size, &len, span_str(text), &err) == 0);
	MUST(span_equal(span_of(bytes, len), in));
	if (size % 2 == 0 && hex_decode(bytes, size / 2, in, &err) == 0) {
		hex_encode(text, size + 1, span_of(bytes, size / 2));
		for (size_t i = 0; i < size; i++)
			MUST((data[i] | 0x20) == (text[i] | 0x20));
	}
	if (uuid_parse(&uuid, in, &err) == 0) {
		uuid_format(uuid_text, &uuid);
		MUST(size == UUID_TEXT_LEN);
		for (size_t i = 0; i < size; i++)
			MUST((data[i] | 0x20) == (uuid_text[i] | 0x20));
	}
	free(bytes);
	free(text);
	return 0;
}
