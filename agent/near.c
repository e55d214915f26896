#include "agent/near.h"

#include <string.h>

void
near_put(
    struct writer *w, const uint8_t digest[SEV_SHA256_LEN], const char *words)
{
	size_t len = strlen(words);

	if (len > NEAR_WORDS_MAX)
		len = NEAR_WORDS_MAX;
	writer_put(w, span_of(digest, SEV_SHA256_LEN));
	writer_u8(w, (uint8_t)len);
	writer_put(w, span_of(words, len));
}

bool
near_next(struct reader *r, uint8_t digest[SEV_SHA256_LEN],
    char words[NEAR_WORDS_MAX + 1])
{
	struct span text;
	size_t len;

	if (r->rest.len == 0)
		return false;
	reader_copy(r, digest, SEV_SHA256_LEN);
	len = reader_u8(r);
	text = reader_take(r, len);
	if (!reader_ok(r) || len > NEAR_WORDS_MAX)
		return false;
	if (len > 0)
		memcpy(words, text.ptr, len);
	words[len] = '\0';
	return true;
}
