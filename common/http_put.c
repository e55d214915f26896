#include "common/http_head.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The half of http_head that writes. */

static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 425, "Too Early" },
	{ 426, "Upgrade Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
};

const char *
http_reason(unsigned status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

static void
put(struct writer *w, const char *s)
{
	writer_put(w, span_str(s));
}

void
http_put_status(struct writer *w, unsigned status)
{
	if (status < 100 || status > 599) {
		w->failed = true;
		return;
	}
	put(w, "HTTP/1.1 ");
	writer_decimal(w, status);
	put(w, " ");
	put(w, http_reason(status));
	put(w, "\r\n");
}

void
http_put_request(struct writer *w, const char *method, struct span target)
{
	if (!http_is_token(span_str(method)) || target.len == 0 ||
	    !http_is_value(target) || memchr(target.ptr, ' ', target.len) ||
	    memchr(target.ptr, '\t', target.len)) {
		w->failed = true;
		return;
	}
	put(w, method);
	put(w, " ");
	writer_put(w, target);
	put(w, " HTTP/1.1\r\n");
}

void
http_put_field(struct writer *w, const char *name, struct span value)
{
	if (!http_is_token(span_str(name)) || !http_is_value(value)) {
		w->failed = true;
		return;
	}
	put(w, name);
	put(w, ": ");
	writer_put(w, value);
	put(w, "\r\n");
}

void
http_put_number(struct writer *w, const char *name, uint64_t value)
{
	uint8_t text[20];
	struct writer digits = writer_of(text, sizeof(text));

	writer_decimal(&digits, value);
	http_put_field(w, name, writer_span(&digits));
}

void
http_put_date(struct writer *w, int64_t unix_s)
{
	/* Not strftime(): its names follow the locale. */
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t at = (time_t)unix_s;
	char text[64];
	struct tm tm;

	if (gmtime_r(&at, &tm) == NULL) {
		w->failed = true;
		return;
	}
	snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT",
	    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
	http_put_field(w, "Date", span_str(text));
}

void
http_put_end(struct writer *w)
{
	put(w, "\r\n");
}
