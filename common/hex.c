#include "common/hex.h"

#include <assert.h>

char *
hex_encode(char *out, size_t cap, struct span in)
{
	static const char digits[] = "0123456789abcdef";

	assert(cap / 2 >= in.len && cap > 2 * in.len);
	for (size_t i = 0; i < in.len; i++) {
		out[2 * i] = digits[in.ptr[i] >> 4];
		out[2 * i + 1] = digits[in.ptr[i] & 15];
	}
	out[2 * in.len] = '\0';
	return out;
}

static int
digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
hex_decode(uint8_t *out, size_t out_len, struct span in, struct err *err)
{
	if (in.len / 2 != out_len || in.len % 2 != 0)
		return err_set(err, ERR_MALFORMED,
		    "hex of %zu characters, want %zu", in.len, 2 * out_len);
	for (size_t i = 0; i < out_len; i++) {
		int high = digit(in.ptr[2 * i]), low = digit(in.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return err_set(err, ERR_MALFORMED,
			    "no hex digit at character %zu",
			    high < 0 ? 2 * i : 2 * i + 1);
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
