#include "common/frame.h"

#include "common/utf8.h"

#include <string.h>

bool
frame_is_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == '\0' || s.ptr[i] == '\r' || s.ptr[i] == '\n')
			return false;
	return utf8_is_valid(s);
}

/* One entry; false if ${rest} is empty or, then with ${rest} untouched, if it
 * does not hold a whole good entry. */
static bool
take_name(struct span *rest, struct frame_claim_name *out)
{
	struct reader r = reader_of(*rest);

	reader_copy(&r, out->uuid.bytes, sizeof(out->uuid.bytes));
	out->label = reader_take(&r, reader_u8(&r));
	if (!reader_ok(&r) || out->label.len > FRAME_LABEL_MAX)
		return false;
	*rest = r.rest;
	return true;
}

bool
frame_next_name(struct span *rest, struct frame_claim_name *out)
{
	return rest->len > 0 && take_name(rest, out);
}

bool
frame_next_result(
    struct span *rest, struct uuid *uuid, enum frame_result *result)
{
	struct reader r = reader_of(*rest);
	uint8_t code;

	reader_copy(&r, uuid->bytes, sizeof(uuid->bytes));
	code = reader_u8(&r);
	if (!reader_ok(&r) || code > FRAME_CLAIM_STANDBY)
		return false;
	*result = (enum frame_result)code;
	*rest = r.rest;
	return true;
}

bool
frame_next_uuid(struct span *rest, struct uuid *out)
{
	struct reader r = reader_of(*rest);

	reader_copy(&r, out->bytes, sizeof(out->bytes));
	if (!reader_ok(&r))
		return false;
	*rest = r.rest;
	return true;
}

/* RFC 9110 5.6.2, without upper case. */
static bool
is_lower_token(struct span in)
{
	static const char marks[] = "!#$%&'*+.^_`|~";

	if (in.len == 0)
		return false;
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.ptr[i];

		if ((c < 'a' || c > 'z') && c != '-' && (c < '0' || c > '9') &&
		    (c == '\0' || strchr(marks, c) == NULL))
			return false;
	}
	return true;
}

static bool
is_header_value(struct span in)
{
	for (size_t i = 0; i < in.len; i++)
		if ((in.ptr[i] < ' ' && in.ptr[i] != '\t') || in.ptr[i] > '~')
			return false;
	return true;
}

bool
frame_next_header(struct span *rest, struct span *name, struct span *value)
{
	struct reader r = reader_of(*rest);

	if (rest->len == 0)
		return false;
	*name = reader_take(&r, reader_u8(&r));
	*value = reader_take(&r, reader_be16(&r));
	if (!reader_ok(&r) || !is_lower_token(*name) ||
	    !is_header_value(*value))
		return false;
	*rest = r.rest;
	return true;
}

void
frame_put_name(struct writer *w, const struct uuid *uuid, struct span label)
{
	if (label.len > FRAME_LABEL_MAX) {
		w->failed = true;
		return;
	}
	frame_put_uuid(w, uuid);
	writer_u8(w, (uint8_t)label.len);
	writer_put(w, label);
}

void
frame_put_result(
    struct writer *w, const struct uuid *uuid, enum frame_result result)
{
	frame_put_uuid(w, uuid);
	writer_u8(w, (uint8_t)result);
}

void
frame_put_uuid(struct writer *w, const struct uuid *uuid)
{
	writer_put(w, span_of(uuid->bytes, sizeof(uuid->bytes)));
}

void
frame_put_header(struct writer *w, struct span name, struct span value)
{
	if (!is_lower_token(name) || name.len > UINT8_MAX ||
	    !is_header_value(value) || value.len > UINT16_MAX) {
		w->failed = true;
		return;
	}
	writer_u8(w, (uint8_t)name.len);
	writer_put(w, name);
	writer_be16(w, (uint16_t)value.len);
	writer_put(w, value);
}

bool
frame_find_header(struct span headers, const char *name, struct span *value)
{
	struct span key;

	while (frame_next_header(&headers, &key, value))
		if (span_is(key, name))
			return true;
	*value = span_of(NULL, 0);
	return false;
}
