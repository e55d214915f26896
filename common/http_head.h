#ifndef COMMON_HTTP_HEAD_H
#define COMMON_HTTP_HEAD_H

#include "common/err.h"
#include "common/span.h"

/*
 * HTTP/1.1 heads, the narrow subset of RFC 9112 that docs/protocol.md 8 asks
 * for; no I/O.  A server reads bytes, asks http_scan() where the head ends,
 * and gives http_head_parse() exactly that.  Everything refused is answered
 * and the connection closed: after a head that two readers could read
 * differently nothing behind it can be trusted (security of the relay: the
 * 32 probes in tests/unit/common/http_head_test.c).
 *
 * Refused by choice though RFC 9112 would let us: bare LF, obs-fold, equal
 * Content-Lengths, absolute-form, any Transfer-Encoding (501), HTTP/1.0 (505).
 */

#define HTTP_HEAD_MAX 16384 /* bytes, with the empty line */
#define HTTP_LINES_MAX 64   /* request line and fields */
#define HTTP_FIELDS_MAX (HTTP_LINES_MAX - 1)
#define HTTP_TARGET_MAX 512
#define HTTP_METHOD_MAX 16

/* A field; the name as it came (compare with http_name_is()), the value
 * without the white space around it. */
struct http_field {
	struct span name;
	struct span value;
};

/* A request head.  All spans are borrowed from the bytes parsed. */
struct http_head {
	struct span method; /* upper-case letters, 1..16 */
	struct span target; /* origin-form, 1..512 bytes */
	struct span path;   /* target up to the first '?' */
	struct span query;  /* behind it */
	bool has_query;     /* "/a?" has one, an empty one */
	struct span host;
	bool has_length;
	uint64_t length; /* Content-Length; 0 if absent */
	bool expect_continue;
	bool close;   /* Connection: close */
	bool upgrade; /* Connection: upgrade */
	size_t field_count;
	struct http_field fields[HTTP_FIELDS_MAX];
};

enum http_scan_result { HTTP_SCAN_MORE, HTTP_SCAN_DONE, HTTP_SCAN_BAD };

/* Zero-initialise for each request. */
struct http_scan {
	size_t at;      /* bytes looked at */
	size_t lines;   /* complete lines seen */
	size_t line_at; /* where the current line starts */
};

/**
 * http_scan(s, in, head_len, status, err):
 * Look for the end of a head in ${in}, all bytes received so far; each byte
 * is looked at once over all calls.  Refuses bare CR, bare LF, NUL, a request
 * line or head over its limit as soon as the byte is seen.
 *   HTTP_SCAN_DONE  the head is the first *${head_len} bytes
 *   HTTP_SCAN_MORE  call again with more behind the same bytes
 *   HTTP_SCAN_BAD   answer *${status} (400, 414, 431) and close; ${err} says
 *                   why, for the log
 */
enum http_scan_result http_scan(struct http_scan *s, struct span in,
    size_t *head_len, unsigned *status, struct err *err);

/**
 * http_head_parse(out, in, status, err):
 * Parse the complete head ${in}, empty line included.
 *   lifetime  ${out} holds spans into ${in}
 *   errors    answer *${status} and close:
 *             400 malformed, 411 POST without Content-Length, 413
 *             Content-Length of more than 18 digits, 414 target over 512,
 *             417 unknown Expect, 425 Early-Data, 431 head or lines over the
 *             limit, 501 Transfer-Encoding, 505 other than HTTP/1.1
 *   source    RFC 9112 2 to 6; docs/protocol.md 8, 9
 * Methods, paths, queries and the size of the body are judged by the resource.
 */
int http_head_parse(
    struct http_head *out, struct span in, unsigned *status, struct err *err);

/** http_name_is(name, lower): equal to the lower-case ${lower}, any case. */
bool http_name_is(struct span name, const char *lower);

/**
 * http_get(head, lower, value):
 * How often the field ${lower} (lower-case) occurs; its first value goes to
 * ${value}, which is {NULL, 0} if there is none.
 */
size_t http_get(
    const struct http_head *head, const char *lower, struct span *value);

/**
 * http_list_has(head, lower, token):
 * Is ${token} (lower-case) in the comma-separated lists of the fields
 * ${lower}, any case?
 */
bool http_list_has(
    const struct http_head *head, const char *lower, const char *token);

/** http_list_next(rest, item): next non-empty item of a comma list; false at
 * its end. */
bool http_list_next(struct span *rest, struct span *item);

/** http_is_token(s): one or more tchar (RFC 9110 5.6.2). */
bool http_is_token(struct span s);

/** http_is_value(s): visible ASCII, space and tab only; may be empty. */
bool http_is_value(struct span s);

/** http_reason(status): reason phrase; "Unknown" for others. */
const char *http_reason(unsigned status);

/*
 * Builders.  A head is always written from parsed fields, never copied.  A
 * name that is no token or a value with CR, LF, NUL, other control characters
 * or non-ASCII fails the writer.
 */
void http_put_status(struct writer *w, unsigned status);
void http_put_request(struct writer *w, const char *method, struct span target);
void http_put_field(struct writer *w, const char *name, struct span value);
void http_put_number(struct writer *w, const char *name, uint64_t value);
/** http_put_date(w, unix_s): Date, IMF-fixdate (RFC 9110 5.6.7). */
void http_put_date(struct writer *w, int64_t unix_s);
/** http_put_end(w): the empty line. */
void http_put_end(struct writer *w);

#endif
