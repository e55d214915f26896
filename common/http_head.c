#include "common/http_head.h"

#include <string.h>

/* Of the first line: method, two spaces, target, version and CRLF. */
#define FIRST_LINE_MAX (HTTP_METHOD_MAX + HTTP_TARGET_MAX + 12)

/* Refuse with ${code}; the caller answers it and closes. */
#define REFUSE(code, ...)                                                      \
	(*status = (code), err_set(err, ERR_MALFORMED, __VA_ARGS__))

/* RFC 9110 5.6.2.  The dash is first as nearly every name has one. */
static bool
is_tchar(uint8_t c)
{
	static const char marks[] = "!#$%&'*+.^_`|~";

	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	    (c >= '0' && c <= '9') || (c != '\0' && strchr(marks, c) != NULL);
}

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

bool
http_is_token(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_tchar(s.ptr[i]))
			return false;
	return s.len > 0;
}

bool
http_is_value(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((s.ptr[i] < ' ' && s.ptr[i] != '\t') || s.ptr[i] > '~')
			return false;
	return true;
}

bool
http_name_is(struct span name, const char *want)
{
	for (size_t i = 0; i < name.len; i++)
		if (want[i] == '\0' || lower(name.ptr[i]) != (uint8_t)want[i])
			return false;
	return want[name.len] == '\0';
}

static struct span
trim(struct span s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = span_of(s.ptr + 1, s.len - 1);
	while (
	    s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/*
 * Where does the head end?
 */

/* Go to the LF of a line of which nothing was seen yet, if it is a good one:
 * most are, and need no look at each byte. */
static void
skip_line(struct http_scan *s, struct span in, size_t end)
{
	const uint8_t *line = in.ptr + s->at;
	const uint8_t *lf = memchr(line, '\n', end - s->at);
	size_t len = lf != NULL ? (size_t)(lf - line) : 0;

	if (len > 1 && len <= FIRST_LINE_MAX &&
	    memchr(line, '\r', len) == lf - 1 &&
	    memchr(line, '\0', len) == NULL)
		s->at += len;
}

enum http_scan_result
http_scan(struct http_scan *s, struct span in, size_t *head_len,
    unsigned *status, struct err *err)
{
	size_t end = in.len < HTTP_HEAD_MAX ? in.len : HTTP_HEAD_MAX;

	for (; s->at < end; s->at++) {
		bool after_cr;
		uint8_t c;

		if (s->at == s->line_at)
			skip_line(s, in, end);
		c = in.ptr[s->at];
		after_cr = s->at > 0 && in.ptr[s->at - 1] == '\r';
		if (c == '\0') {
			REFUSE(400, "NUL at byte %zu of the head", s->at);
			return HTTP_SCAN_BAD;
		}
		if (after_cr != (c == '\n')) {
			REFUSE(400,
			    "bare %s at byte %zu of the head (RFC 9112 "
			    "2.2)",
			    after_cr ? "CR" : "LF", s->at);
			return HTTP_SCAN_BAD;
		}
		if (s->lines == 0 && s->at - s->line_at > FIRST_LINE_MAX) {
			REFUSE(
			    414, "request line over %d bytes", FIRST_LINE_MAX);
			return HTTP_SCAN_BAD;
		}
		if (c != '\n')
			continue;
		if (s->at - s->line_at == 1) {
			*head_len = s->at + 1;
			return HTTP_SCAN_DONE;
		}
		if (++s->lines > HTTP_LINES_MAX) {
			REFUSE(
			    431, "head of more than %d lines", HTTP_LINES_MAX);
			return HTTP_SCAN_BAD;
		}
		s->line_at = s->at + 1;
	}
	if (s->at == HTTP_HEAD_MAX) {
		REFUSE(431, "head of more than %d bytes", HTTP_HEAD_MAX);
		return HTTP_SCAN_BAD;
	}
	return HTTP_SCAN_MORE;
}

/*
 * What does it say?
 */

/* The next line off ${rest}, without its CRLF; bare CR and LF are refused. */
static int
take_line(
    struct span *rest, struct span *line, unsigned *status, struct err *err)
{
	for (size_t i = 0; i < rest->len; i++) {
		uint8_t c = rest->ptr[i];

		if (c != '\r' && c != '\n')
			continue;
		if (c == '\n' || i + 1 == rest->len || rest->ptr[i + 1] != '\n')
			return REFUSE(400, "bare %s in the head (RFC 9112 2.2)",
			    c == '\n' ? "LF" : "CR");
		*line = span_of(rest->ptr, i);
		*rest = span_of(rest->ptr + i + 2, rest->len - i - 2);
		return 0;
	}
	return REFUSE(400, "head without its empty line (RFC 9112 2.1)");
}

/* The bytes of ${rest} up to the next ${mark}, which is dropped too. */
static bool
take_until(struct span *rest, uint8_t mark, struct span *out)
{
	const uint8_t *at =
	    rest->len == 0 ? NULL : memchr(rest->ptr, mark, rest->len);

	if (at == NULL)
		return false;
	*out = span_of(rest->ptr, (size_t)(at - rest->ptr));
	*rest = span_of(at + 1, rest->len - out->len - 1);
	return true;
}

/* Exactly "HTTP/1.1"; "HTTP/d.d" is at least a version. */
static int
judge_version(struct span v, unsigned *status, struct err *err)
{
	if (v.len != 8 || memcmp(v.ptr, "HTTP/", 5) != 0 || v.ptr[6] != '.' ||
	    v.ptr[5] < '0' || v.ptr[5] > '9' || v.ptr[7] < '0' ||
	    v.ptr[7] > '9')
		return REFUSE(400, "no HTTP version (RFC 9112 2.3)");
	if (v.ptr[5] != '1' || v.ptr[7] != '1')
		return REFUSE(
		    505, "HTTP/%c.%c, want HTTP/1.1", v.ptr[5], v.ptr[7]);
	return 0;
}

static int
judge_target(struct http_head *out, unsigned *status, struct err *err)
{
	struct span rest = out->target;

	if (rest.len > HTTP_TARGET_MAX)
		return REFUSE(414, "target of %zu bytes, at most %d", rest.len,
		    HTTP_TARGET_MAX);
	if (rest.len == 0 || rest.ptr[0] != '/')
		return REFUSE(
		    400, "target not in origin-form (RFC 9112 3.2.1)");
	/* Braces, which RFC 3986 has not either, are for the resource to
	 * refuse: "/vm/{UUID}" is 404 (docs/protocol.md 2). */
	for (size_t i = 0; i < rest.len; i++)
		if (rest.ptr[i] <= ' ' || rest.ptr[i] > '~' ||
		    strchr("\"#<>\\^`|", rest.ptr[i]) != NULL)
			return REFUSE(400,
			    "byte 0x%02x in the target (RFC 3986)",
			    rest.ptr[i]);
	out->has_query = take_until(&rest, '?', &out->path);
	if (out->has_query)
		out->query = rest;
	else
		out->path = out->target;
	return 0;
}

static int
parse_request_line(
    struct http_head *out, struct span line, unsigned *status, struct err *err)
{
	if (!take_until(&line, ' ', &out->method) ||
	    !take_until(&line, ' ', &out->target))
		return REFUSE(400,
		    "request line not of three parts "
		    "(RFC 9112 3)");
	if (out->method.len == 0 || out->method.len > HTTP_METHOD_MAX)
		return REFUSE(400, "method of %zu bytes, want 1 to %d",
		    out->method.len, HTTP_METHOD_MAX);
	for (size_t i = 0; i < out->method.len; i++)
		if (out->method.ptr[i] < 'A' || out->method.ptr[i] > 'Z')
			return REFUSE(400,
			    "method of more than upper-case "
			    "letters");
	if (judge_version(line, status, err) != 0)
		return -1;
	return judge_target(out, status, err);
}

static int
parse_field(
    struct http_head *out, struct span line, unsigned *status, struct err *err)
{
	struct http_field *f;

	if (out->field_count == HTTP_FIELDS_MAX)
		return REFUSE(431, "more than %d fields", HTTP_FIELDS_MAX);
	f = &out->fields[out->field_count];
	if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
		return REFUSE(400,
		    "line starts with white space (RFC 9112 2.2, "
		    "5.2)");
	if (!take_until(&line, ':', &f->name))
		return REFUSE(400, "field without a colon (RFC 9112 5)");
	/* "Name :" too: RFC 9112 5.1 wants 400 for exactly that. */
	if (!http_is_token(f->name))
		return REFUSE(400, "field name is no token (RFC 9112 5.1)");
	/* White space that some readers of this number refuse (llhttp). */
	if (http_name_is(f->name, "content-length") && line.len > 0 &&
	    memchr(line.ptr, '\t', line.len) != NULL)
		return REFUSE(400, "tab in Content-Length");
	f->value = trim(line);
	if (!http_is_value(f->value))
		return REFUSE(400,
		    "field value with more than visible ASCII "
		    "(RFC 9110 5.5)");
	out->field_count++;
	return 0;
}

/*
 * Fields that decide where a request ends, or what it asks of the connection.
 */

static int
judge_host(struct http_head *out, unsigned *status, struct err *err)
{
	size_t count = http_get(out, "host", &out->host);

	if (count != 1)
		return REFUSE(
		    400, "%zu Host fields, want one (RFC 9112 3.2)", count);
	if (out->host.len == 0)
		return REFUSE(400, "empty Host (RFC 9110 4.2.2)");
	/* reg-name, IPv4, [IPv6], port: RFC 3986 3.2.2 without userinfo. */
	for (size_t i = 0; i < out->host.len; i++) {
		uint8_t c = out->host.ptr[i];

		if (!is_tchar(c) && strchr("[]:()=;,", c) == NULL)
			return REFUSE(
			    400, "byte 0x%02x in Host (RFC 9112 3.2)", c);
		if (c == ',' || c == '#' || c == '^' || c == '`' || c == '|')
			return REFUSE(
			    400, "byte 0x%02x in Host (RFC 9112 3.2)", c);
	}
	return 0;
}

static int
judge_length(struct http_head *out, unsigned *status, struct err *err)
{
	struct span v;
	size_t count = http_get(out, "content-length", &v);

	if (count == 0) {
		if (span_is(out->method, "POST") ||
		    span_is(out->method, "PUT") ||
		    span_is(out->method, "PATCH"))
			return REFUSE(411, "no Content-Length");
		return 0;
	}
	/* RFC 9112 6.3 would let us merge equal ones; we do not. */
	if (count > 1)
		return REFUSE(
		    400, "%zu Content-Length fields (RFC 9112 6.3)", count);
	if (v.len == 0)
		return REFUSE(400, "empty Content-Length (RFC 9110 8.6)");
	for (size_t i = 0; i < v.len; i++)
		if (v.ptr[i] < '0' || v.ptr[i] > '9')
			return REFUSE(400,
			    "Content-Length is no number "
			    "(RFC 9110 8.6)");
	if (v.len > 18)
		return REFUSE(413, "Content-Length of %zu digits", v.len);
	for (size_t i = 0; i < v.len; i++)
		out->length = out->length * 10 + (v.ptr[i] - '0');
	out->has_length = true;
	return 0;
}

static int
judge_framing(struct http_head *out, unsigned *status, struct err *err)
{
	struct span v;

	if (judge_host(out, status, err) != 0)
		return -1;
	/* Whatever it says and whatever stands beside it: docs/protocol.md 8. */
	if (http_get(out, "transfer-encoding", &v) > 0)
		return REFUSE(501, "Transfer-Encoding (docs/protocol.md 8)");
	if (judge_length(out, status, err) != 0)
		return -1;
	if (http_get(out, "expect", &v) > 0) {
		if (!http_name_is(v, "100-continue") ||
		    http_get(out, "expect", &v) > 1)
			return REFUSE(417,
			    "Expect is not 100-continue "
			    "(RFC 9110 10.1.1)");
		out->expect_continue = true;
	}
	if (http_get(out, "early-data", &v) > 0)
		return REFUSE(425, "Early-Data (RFC 8470 5.1)");
	out->close = http_list_has(out, "connection", "close");
	out->upgrade = http_list_has(out, "connection", "upgrade");
	return 0;
}

int
http_head_parse(
    struct http_head *out, struct span in, unsigned *status, struct err *err)
{
	struct span line;

	out->field_count = 0;
	out->has_query = out->has_length = out->expect_continue = false;
	out->close = out->upgrade = false;
	out->length = 0;
	out->query = out->host = span_of(NULL, 0);
	if (in.len > HTTP_HEAD_MAX)
		return REFUSE(431, "head of %zu bytes, at most %d", in.len,
		    HTTP_HEAD_MAX);
	if (take_line(&in, &line, status, err) != 0 ||
	    parse_request_line(out, line, status, err) != 0)
		return -1;
	for (;;) {
		if (take_line(&in, &line, status, err) != 0)
			return -1;
		if (line.len == 0)
			break;
		if (parse_field(out, line, status, err) != 0)
			return -1;
	}
	if (in.len > 0)
		return REFUSE(400, "%zu bytes behind the head", in.len);
	return judge_framing(out, status, err);
}

/*
 * Questions.
 */

size_t
http_get(const struct http_head *head, const char *name, struct span *value)
{
	size_t count = 0;

	*value = span_of(NULL, 0);
	for (size_t i = 0; i < head->field_count; i++) {
		if (!http_name_is(head->fields[i].name, name))
			continue;
		if (count++ == 0)
			*value = head->fields[i].value;
	}
	return count;
}

bool
http_list_next(struct span *rest, struct span *item)
{
	while (rest->len > 0) {
		if (!take_until(rest, ',', item)) {
			*item = *rest;
			*rest = span_of(NULL, 0);
		}
		*item = trim(*item);
		if (item->len > 0)
			return true;
	}
	return false;
}

bool
http_list_has(const struct http_head *head, const char *name, const char *token)
{
	for (size_t i = 0; i < head->field_count; i++) {
		struct span rest = head->fields[i].value, item;

		if (!http_name_is(head->fields[i].name, name))
			continue;
		while (http_list_next(&rest, &item))
			if (http_name_is(item, token))
				return true;
	}
	return false;
}
