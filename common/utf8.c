#include "common/utf8.h"

/* Bytes of the well-formed character at the head of ${in}, or 0. */
static size_t
char_len(struct span in)
{
	uint8_t c = in.ptr[0], low = 0x80, high = 0xbf;
	size_t len;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (in.len < len)
		return 0;
	/* Overlong forms, surrogates and numbers over U+10FFFF differ from
	 * good ones in the second byte. */
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	if (in.ptr[1] < low || in.ptr[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((in.ptr[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool
utf8_is_valid(struct span s)
{
	while (s.len > 0) {
		size_t len = char_len(s);

		if (len == 0)
			return false;
		s = span_of(s.ptr + len, s.len - len);
	}
	return true;
}
