#include "relay/directory_read.h"

#include "common/hex.h"
#include "relay/number.h"

#include <string.h>

#define UUID_DIGITS (2 * sizeof(struct uuid))
#define KEY_DIGITS ((size_t)2 * UUID_KEY_LEN)
#define SESSION_DIGITS 20

static bool
take_word(char *out, size_t cap, struct span text)
{
	if (text.len == 0 || text.len >= cap)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return false;
	memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
	return true;
}

/* Node, address, session, key, mode, rank, capabilities. */
static bool
take_entry(struct directory_entry *out, const struct span *field)
{
	uint64_t mode, rank, capabilities;

	if (!take_word(out->node, sizeof(out->node), field[0]) ||
	    !take_word(out->address, sizeof(out->address), field[1]) ||
	    !number_parse(&out->session, field[2], UINT64_MAX) ||
	    field[3].len != KEY_DIGITS ||
	    hex_decode(out->key, sizeof(out->key), field[3], NULL) != 0 ||
	    !number_parse(&mode, field[4], 1) ||
	    !number_parse(&rank, field[5], UINT16_MAX) ||
	    !number_parse(&capabilities, field[6], UINT32_MAX))
		return false;
	out->mode = (uint8_t)mode;
	out->rank = (uint16_t)rank;
	out->capabilities = (uint32_t)capabilities;
	return true;
}

bool
directory_read_found(
    struct directory_found *out, const struct span *texts, size_t count)
{
	if (count == 0)
		return false;
	out->preferred_known = texts[0].len == KEY_DIGITS &&
	    hex_decode(
		out->preferred, sizeof(out->preferred), texts[0], NULL) == 0;
	out->count = 0;
	for (size_t i = 1; i + DIRECTORY_FOUND_FIELDS <= count &&
	     out->count < DIRECTORY_FOUND_MAX;
	     i += DIRECTORY_FOUND_FIELDS)
		if (take_entry(&out->entries[out->count], &texts[i]))
			out->count++;
	return true;
}

bool
directory_read_lost(struct uuid *uuid, uint8_t key[UUID_KEY_LEN],
    uint64_t *session, struct span text)
{
	struct reader r = reader_of(text);
	struct span uuid_text = reader_take(&r, UUID_DIGITS);
	bool spaces = reader_u8(&r) == ' ';
	struct span key_text = reader_take(&r, KEY_DIGITS), session_text;

	spaces &= reader_u8(&r) == ' ';
	session_text = reader_take(&r, SESSION_DIGITS);
	return reader_done(&r) && spaces &&
	    hex_decode(uuid->bytes, sizeof(uuid->bytes), uuid_text, NULL) ==
	    0 &&
	    hex_decode(key, UUID_KEY_LEN, key_text, NULL) == 0 &&
	    number_parse(session, session_text, UINT64_MAX);
}
