#include "agent/sev/guid.h"

#include <string.h>

#include "common/hex.h"

/* Where each byte of the text lies in memory: three fields turn round. */
static const uint8_t place[SEV_GUID_LEN] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10,
	11, 12, 13, 14, 15 };

/* Digits of each group of the text, and so the places of the dashes. */
static const uint8_t group[] = { 4, 2, 2, 2, 6 }; /* bytes */

/* Names for GUIDs of secrets that are in use; any other is the owner's. */
static const struct {
	const char *name;
	const char *guid;
} names[] = {
	{ "luks-key", "736869e5-84f0-4973-92ec-06879ce3da0b" },
};

int
sev_guid_parse(struct sev_guid *out, struct span in, struct err *err)
{
	struct reader r;
	size_t at = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (span_is(in, names[i].name))
			in = span_str(names[i].guid);
	if (in.len != SEV_GUID_TEXT_LEN)
		return err_set(err, ERR_MALFORMED,
		    "GUID of %zu characters, want %d (8-4-4-4-12 digits)",
		    in.len, SEV_GUID_TEXT_LEN);
	r = reader_of(in);
	for (size_t g = 0; g < sizeof(group); g++) {
		uint8_t bytes[6];

		if (g > 0 && reader_u8(&r) != '-')
			return err_set(err, ERR_MALFORMED,
			    "GUID without '-' between its groups");
		if (hex_decode(bytes, group[g], reader_take(&r, 2u * group[g]),
			err) != 0)
			return err_wrap(err, "GUID");
		for (size_t i = 0; i < group[g]; i++)
			out->bytes[place[at++]] = bytes[i];
	}
	return 0;
}

char *
sev_guid_format(char out[SEV_GUID_TEXT_LEN + 1], const struct sev_guid *g)
{
	size_t at = 0, byte = 0;

	for (size_t k = 0; k < sizeof(group); k++) {
		if (k > 0)
			out[at++] = '-';
		for (size_t i = 0; i < group[k]; i++, at += 2)
			hex_encode(
			    out + at, 3, span_of(&g->bytes[place[byte++]], 1));
	}
	return out;
}

bool
sev_guid_equal(const struct sev_guid *a, const struct sev_guid *b)
{
	return memcmp(a->bytes, b->bytes, SEV_GUID_LEN) == 0;
}

bool
sev_guid_is_zero(const struct sev_guid *g)
{
	static const struct sev_guid zero;

	return sev_guid_equal(g, &zero);
}
