#include "common/span.h"

#include <string.h>

struct span
span_of(const void *ptr, size_t len)
{
	return (struct span){ ptr, len };
}

struct span
span_str(const char *str)
{
	return span_of(str, strlen(str));
}

bool
span_equal(struct span a, struct span b)
{
	return a.len == b.len &&
	    (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool
span_is(struct span a, const char *str)
{
	return span_equal(a, span_str(str));
}

struct reader
reader_of(struct span in)
{
	return (struct reader){ in, false };
}

bool
reader_ok(const struct reader *r)
{
	return !r->failed;
}

bool
reader_done(const struct reader *r)
{
	return !r->failed && r->rest.len == 0;
}

struct span
reader_take(struct reader *r, size_t len)
{
	struct span got = { NULL, 0 };

	if (r->failed || len > r->rest.len) {
		r->failed = true;
		return got;
	}
	got = span_of(r->rest.ptr, len);
	if (len > 0)
		r->rest.ptr += len;
	r->rest.len -= len;
	return got;
}

void
reader_copy(struct reader *r, void *out, size_t len)
{
	struct span got = reader_take(r, len);

	if (len == 0)
		return;
	if (got.ptr == NULL)
		memset(out, 0, len);
	else
		memcpy(out, got.ptr, len);
}

/* ${len} bytes as a number, most significant first. */
static uint64_t
read_be(struct reader *r, size_t len)
{
	struct span got = reader_take(r, len);
	uint64_t v = 0;

	for (size_t i = 0; i < got.len; i++)
		v = v << 8 | got.ptr[i];
	return v;
}

/* ${len} bytes as a number, least significant first. */
static uint64_t
read_le(struct reader *r, size_t len)
{
	struct span got = reader_take(r, len);
	uint64_t v = 0;

	for (size_t i = got.len; i > 0; i--)
		v = v << 8 | got.ptr[i - 1];
	return v;
}

uint8_t
reader_u8(struct reader *r)
{
	return (uint8_t)read_be(r, 1);
}

uint16_t
reader_le16(struct reader *r)
{
	return (uint16_t)read_le(r, 2);
}

uint32_t
reader_le32(struct reader *r)
{
	return (uint32_t)read_le(r, 4);
}

uint64_t
reader_le64(struct reader *r)
{
	return read_le(r, 8);
}

uint16_t
reader_be16(struct reader *r)
{
	return (uint16_t)read_be(r, 2);
}

uint32_t
reader_be32(struct reader *r)
{
	return (uint32_t)read_be(r, 4);
}

uint64_t
reader_be64(struct reader *r)
{
	return read_be(r, 8);
}

struct writer
writer_of(void *out, size_t cap)
{
	return (struct writer){ out, cap, 0, false };
}

bool
writer_ok(const struct writer *w)
{
	return !w->failed;
}

struct span
writer_span(const struct writer *w)
{
	if (w->failed)
		return span_of(NULL, 0);
	return span_of(w->ptr, w->len);
}

/* Room for ${len} bytes, or NULL and a failed writer. */
static uint8_t *
claim(struct writer *w, size_t len)
{
	uint8_t *at;

	if (w->failed || len > w->cap - w->len) {
		w->failed = true;
		return NULL;
	}
	at = w->ptr + w->len;
	w->len += len;
	return at;
}

void
writer_put(struct writer *w, struct span in)
{
	uint8_t *at;

	if (in.len == 0)
		return;
	if ((at = claim(w, in.len)) != NULL)
		memcpy(at, in.ptr, in.len);
}

void
writer_zeros(struct writer *w, size_t len)
{
	uint8_t *at;

	if (len == 0)
		return;
	if ((at = claim(w, len)) != NULL)
		memset(at, 0, len);
}

static void
write_be(struct writer *w, uint64_t v, size_t len)
{
	uint8_t *at = claim(w, len);

	if (at == NULL)
		return;
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(v >> 8 * (len - 1 - i));
}

static void
write_le(struct writer *w, uint64_t v, size_t len)
{
	uint8_t *at = claim(w, len);

	if (at == NULL)
		return;
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

void
writer_u8(struct writer *w, uint8_t v)
{
	write_be(w, v, 1);
}

void
writer_le16(struct writer *w, uint16_t v)
{
	write_le(w, v, 2);
}

void
writer_le32(struct writer *w, uint32_t v)
{
	write_le(w, v, 4);
}

void
writer_le64(struct writer *w, uint64_t v)
{
	write_le(w, v, 8);
}

void
writer_be16(struct writer *w, uint16_t v)
{
	write_be(w, v, 2);
}

void
writer_be32(struct writer *w, uint32_t v)
{
	write_be(w, v, 4);
}

void
writer_be64(struct writer *w, uint64_t v)
{
	write_be(w, v, 8);
}

void
writer_decimal(struct writer *w, uint64_t v)
{
	uint8_t digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	writer_put(w, span_of(digits + at, sizeof(digits) - at));
}
