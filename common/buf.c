#include "common/buf.h"

#include "common/secret.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256 /* bytes of the first allocation */

void
buf_init(struct buf *b, size_t max, bool wipe)
{
	*b = (struct buf){ .max = max, .wipe = wipe };
}

static void
release(struct buf *b, uint8_t *ptr, size_t len)
{
	if (b->wipe)
		secret_wipe(ptr, len);
	free(ptr);
}

void
buf_free(struct buf *b)
{
	release(b, b->ptr, b->cap);
	buf_init(b, b->max, b->wipe);
}

size_t
buf_len(const struct buf *b)
{
	return b->end - b->at;
}

size_t
buf_room(const struct buf *b)
{
	return b->max - buf_len(b);
}

/* Bring the queue to the front of its memory. */
static void
pack(struct buf *b)
{
	size_t len = buf_len(b);

	if (b->at == 0)
		return;
	if (len > 0)
		memmove(b->ptr, b->ptr + b->at, len);
	if (b->wipe)
		secret_wipe(b->ptr + len, b->at);
	b->at = 0;
	b->end = len;
}

/* A copy and not realloc(), which would leave the old bytes behind. */
static int
grow(struct buf *b, size_t want, struct err *err)
{
	size_t len = buf_len(b), cap = b->cap < FIRST_CAP ? FIRST_CAP : b->cap;
	uint8_t *ptr;

	while (cap < want)
		cap *= 2;
	if (cap > b->max)
		cap = b->max;
	if ((ptr = malloc(cap)) == NULL)
		return err_set(err, ERR_MEMORY, "no memory for %zu bytes", cap);
	if (len > 0)
		memcpy(ptr, b->ptr + b->at, len);
	release(b, b->ptr, b->cap);
	b->ptr = ptr;
	b->cap = cap;
	b->at = 0;
	b->end = len;
	return 0;
}

uint8_t *
buf_reserve(struct buf *b, size_t len, struct err *err)
{
	if (len > buf_room(b)) {
		err_set(err, ERR_LIMIT,
		    "%zu bytes behind %zu queued ones, at most %zu", len,
		    buf_len(b), b->max);
		return NULL;
	}
	/* Moving costs what is queued; allocating costs that and more. */
	if (len > b->cap - b->end && len <= b->cap - buf_len(b))
		pack(b);
	if ((b->ptr == NULL || len > b->cap - b->end) &&
	    grow(b, buf_len(b) + len, err) != 0)
		return NULL;
	return b->ptr + b->end;
}

void
buf_commit(struct buf *b, size_t len)
{
	assert(len <= b->cap - b->end);
	b->end += len;
}

int
buf_append(struct buf *b, struct span in, struct err *err)
{
	uint8_t *at;

	if (in.len == 0)
		return 0;
	if ((at = buf_reserve(b, in.len, err)) == NULL)
		return -1;
	memcpy(at, in.ptr, in.len);
	buf_commit(b, in.len);
	return 0;
}

struct span
buf_span(const struct buf *b)
{
	return b->ptr == NULL ? span_of(NULL, 0)
			      : span_of(b->ptr + b->at, buf_len(b));
}

uint8_t *
buf_data(struct buf *b)
{
	return b->ptr == NULL ? NULL : b->ptr + b->at;
}

void
buf_consume(struct buf *b, size_t len)
{
	assert(len <= buf_len(b));
	if (b->wipe && len > 0)
		secret_wipe(b->ptr + b->at, len);
	b->at += len;
	if (b->at == b->end)
		b->at = b->end = 0;
}

void
buf_trim(struct buf *b)
{
	if (buf_len(b) == 0)
		buf_free(b);
}
