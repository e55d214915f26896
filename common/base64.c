#include "common/base64.h"

#include <assert.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t
base64_len(size_t len)
{
	return (len + 2) / 3 * 4;
}

char *
base64_encode(char *out, size_t cap, struct span in)
{
	size_t at = 0;

	assert(cap > base64_len(in.len));
	for (size_t i = 0; i < in.len; i += 3) {
		size_t have = in.len - i < 3 ? in.len - i : 3;
		uint32_t v = (uint32_t)in.ptr[i] << 16;

		if (have > 1)
			v |= (uint32_t)in.ptr[i + 1] << 8;
		if (have > 2)
			v |= in.ptr[i + 2];
		out[at++] = alphabet[v >> 18 & 63];
		out[at++] = alphabet[v >> 12 & 63];
		out[at++] = have > 1 ? alphabet[v >> 6 & 63] : '=';
		out[at++] = have > 2 ? alphabet[v & 63] : '=';
	}
	out[at] = '\0';
	return out;
}

static int
value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return -1;
}

int
base64_decode(uint8_t *out, size_t cap, size_t *len, struct span in,
    struct err *err)
{
	size_t pad = 0, want, at = 0;

	while (in.len > 0 && (in.ptr[in.len - 1] == '\n' ||
	    in.ptr[in.len - 1] == '\r' || in.ptr[in.len - 1] == ' '))
		in.len--;
	if (in.len % 4 != 0)
		return err_set(err, ERR_MALFORMED,
		    "base64 of %zu characters, want a multiple of 4 (RFC 4648)",
		    in.len);
	while (pad < 2 && pad < in.len && in.ptr[in.len - 1 - pad] == '=')
		pad++;
	want = in.len / 4 * 3 - pad;
	if (want > cap)
		return err_set(err, ERR_LIMIT,
		    "base64 of %zu bytes, at most %zu", want, cap);
	for (size_t i = 0; i < in.len; i += 4) {
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int six = i + k >= in.len - pad ? 0 :
			    value(in.ptr[i + k]);

			if (six < 0)
				return err_set(err, ERR_MALFORMED,
				    "no base64 at character %zu (RFC 4648)",
				    i + k);
			v = v << 6 | (uint32_t)six;
		}
		for (size_t k = 0; k < 3; k++) {
			uint8_t byte = (uint8_t)(v >> (16 - 8 * k));

			if (at < want)
				out[at++] = byte;
			else if (byte != 0)
				return err_set(err, ERR_MALFORMED,
				    "base64 with bits behind its last byte "
				    "(RFC 4648 3.5)");
		}
	}
	*len = want;
	return 0;
}
