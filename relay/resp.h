#ifndef RELAY_RESP_H
#define RELAY_RESP_H

#include "common/err.h"
#include "common/span.h"

#include <stdbool.h>

/*
 * Answers of a Redis (RESP 2, redis.io/docs/reference/protocol-spec), as far
 * as a directory gives them: texts, numbers, errors, and flat lists.  All else
 * is refused as soon as it is announced, so that a hostile one makes us keep
 * RESP_MAX bytes at most.  Pure.
 */

#define RESP_LINE_MAX 512 /* bytes of a line, without its end */
#define RESP_TEXT_MAX 256
#define RESP_ITEMS_MAX 64 /* of a list */
#define RESP_MAX ((RESP_ITEMS_MAX + 1) * (RESP_LINE_MAX + RESP_TEXT_MAX + 4))

enum resp_kind { RESP_NIL, RESP_TEXT, RESP_NUMBER, RESP_ERROR, RESP_LIST };

struct resp_item {
	enum resp_kind kind;
	uint64_t number;  /* NUMBER; LIST: of its items */
	struct span text; /* TEXT, ERROR */
};

struct resp {
	struct resp_item head;
	struct resp_item items[RESP_ITEMS_MAX]; /* of a LIST */
};

/**
 * resp_next(out, in, err):
 * Take the next answer off ${in}.
 *   returns   1: there is one; 0: there is only the beginning of one, and
 *             ${in} is as it was; -1
 *   lifetime  ${out} holds spans into ${in}
 *   errors    ERR_MALFORMED: it is none; ERR_LIMIT: over one of the limits
 */
int resp_next(struct resp *out, struct span *in, struct err *err);

/** resp_count(r): items of a list; of all else, 0. */
size_t resp_count(const struct resp *r);

/** resp_is(item, text): is it this very text? */
bool resp_is(const struct resp_item *item, const char *text);

#endif
