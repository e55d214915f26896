#ifndef COMMON_SPAN_H
#define COMMON_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Borrowed bytes, and a reader and a writer over them that cannot overrun.
 * A short read (write) makes the reader (writer) fail for good: later reads
 * give zeros, and one check at the end judges them all.  Before a value just
 * read steers control flow, check reader_ok().
 */

struct span {
	const uint8_t *ptr; /* borrowed, never freed */
	size_t len;	    /* bytes */
};

struct reader {
	struct span rest;
	bool failed;
};

struct writer {
	uint8_t *ptr; /* borrowed */
	size_t cap;   /* bytes */
	size_t len;   /* bytes written */
	bool failed;
};

/** span_of(ptr, len): the ${len} bytes at ${ptr}. */
struct span span_of(const void *ptr, size_t len);

/** span_str(str): the bytes of a C string, without its NUL. */
struct span span_str(const char *str);

/** span_equal(a, b): same length, same bytes.  Never for secrets. */
bool span_equal(struct span a, struct span b);

/** span_is(a, str): span_equal() with a C string. */
bool span_is(struct span a, const char *str);

struct reader reader_of(struct span in);
/** reader_ok(r): no read so far ran short. */
bool reader_ok(const struct reader *r);
/** reader_done(r): no read ran short, and no byte is left over. */
bool reader_done(const struct reader *r);
/** reader_take(r, len): the next ${len} bytes, borrowed; {NULL, 0} if short. */
struct span reader_take(struct reader *r, size_t len);
/** reader_copy(r, out, len): copy the next ${len} bytes; zeros if short. */
void reader_copy(struct reader *r, void *out, size_t len);
uint8_t reader_u8(struct reader *r);
uint16_t reader_le16(struct reader *r);
uint32_t reader_le32(struct reader *r);
uint64_t reader_le64(struct reader *r);
uint16_t reader_be16(struct reader *r);
uint32_t reader_be32(struct reader *r);
uint64_t reader_be64(struct reader *r);

struct writer writer_of(void *out, size_t cap);
bool writer_ok(const struct writer *w);
/** writer_span(w): what was written so far; {NULL, 0} after a failure. */
struct span writer_span(const struct writer *w);
void writer_put(struct writer *w, struct span in);
void writer_zeros(struct writer *w, size_t len);
void writer_u8(struct writer *w, uint8_t v);
void writer_le16(struct writer *w, uint16_t v);
void writer_le32(struct writer *w, uint32_t v);
void writer_le64(struct writer *w, uint64_t v);
void writer_be16(struct writer *w, uint16_t v);
void writer_be32(struct writer *w, uint32_t v);
void writer_be64(struct writer *w, uint64_t v);
/** writer_decimal(w, v): ${v} in digits, without leading zeros. */
void writer_decimal(struct writer *w, uint64_t v);

#endif
