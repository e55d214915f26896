#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/err.h"
#include "common/span.h"

/*
 * An owned queue of bytes with a hard cap: append behind, consume in front.
 * The bytes always lie in one piece.  Nothing is allocated before the first
 * byte comes, and buf_trim() gives the memory of an empty queue back, so that
 * an idle connection costs nothing here.
 */
struct buf {
	uint8_t *ptr; /* owned; NULL until the first byte */
	size_t at;    /* offset of the first byte queued */
	size_t end;   /* offset behind the last one */
	size_t cap;   /* bytes allocated */
	size_t max;   /* most bytes that may be queued */
	bool wipe;    /* bytes are zeroed when consumed, moved or freed */
};

/** buf_init(b, max, wipe): an empty queue of at most ${max} bytes. */
void buf_init(struct buf *b, size_t max, bool wipe);

/** buf_free(b): release; ${b} is then empty and may be used again. */
void buf_free(struct buf *b);

/** buf_len(b): bytes queued. */
size_t buf_len(const struct buf *b);

/** buf_room(b): bytes that may still be appended; back-pressure is this. */
size_t buf_room(const struct buf *b);

/**
 * buf_append(b, in, err):
 * Queue all of ${in} or nothing.
 *   errors  ERR_LIMIT: over the cap; ERR_MEMORY.  ${b} is then unchanged
 */
int buf_append(struct buf *b, struct span in, struct err *err);

/**
 * buf_reserve(b, len, err):
 * Room for ${len} bytes behind the queue, to be written by the caller (a
 * read(), a writer) and then taken with buf_commit(b, n), n <= ${len}.
 *   lifetime  until the next call on ${b}
 *   errors    NULL: ERR_LIMIT, ERR_MEMORY; ${b} is unchanged
 */
uint8_t *buf_reserve(struct buf *b, size_t len, struct err *err);

/** buf_commit(b, len): ${len} of the reserved bytes are now queued. */
void buf_commit(struct buf *b, size_t len);

/** buf_span(b): all queued bytes in one piece; valid until ${b} changes. */
struct span buf_span(const struct buf *b);

/** buf_data(b): as buf_span(), for who must change them in place. */
uint8_t *buf_data(struct buf *b);

/** buf_consume(b, len): drop the first ${len} bytes; more than queued aborts. */
void buf_consume(struct buf *b, size_t len);

/** buf_trim(b): give the memory of an empty queue back; else do nothing. */
void buf_trim(struct buf *b);

#endif
