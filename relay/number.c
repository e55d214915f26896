#include "relay/number.h"

#define DIGITS_MAX 20

bool
number_parse(uint64_t *out, struct span text, uint64_t max)
{
	uint64_t n = 0;

	if (text.len == 0 || text.len > DIGITS_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = text.ptr[i] - (unsigned)'0';

		if (digit > 9 || digit > max || n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*out = n;
	return true;
}
