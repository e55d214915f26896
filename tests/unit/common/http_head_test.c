#include "common/http_head.h"

#include "tests/unit/common/exact.h"

#include <stdio.h>

/* A text with NULs in it. */
#define TEXT(s)                                                                \
	{                                                                      \
		(const uint8_t *)(s), sizeof(s) - 1                            \
	}

/* As a server does: find the end, then parse; also what the scan refuses. */
static int
take(struct http_head *head, struct span in, unsigned *status, struct err *err)
{
	struct http_scan scan = { 0 };
	size_t len = 0;

	*status = 0;
	switch (http_scan(&scan, in, &len, status, err)) {
	case HTTP_SCAN_BAD:
		return -1;
	case HTTP_SCAN_MORE:
		return err_set(err, ERR_MALFORMED, "no end");
	case HTTP_SCAN_DONE:
		break;
	}
	return http_head_parse(head, span_of(in.ptr, len), status, err);
}

#define CHUNKED                                                                \
	"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

/* clang-format off */
/* The 32 probes: what other servers were found to let pass. */
static const struct {
	const char *name;
	struct span in;
	unsigned status;
	const char *says;
} probes[] = {
	{ "CL and TE", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
	    501, "Transfer-Encoding" },
	{ "TE and CL", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
	    501, "Transfer-Encoding" },
	{ "two different CL", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
	    400, "2 Content-Length" },
	{ "two equal CL", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
	    400, "2 Content-Length" },
	{ "CL +0", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: +0\r\n\r\n"), 400, "is no number" },
	{ "CL 0x0", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 0x0\r\n\r\n"), 400, "is no number" },
	{ "CL 0, 0", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 0, 0\r\n\r\n"), 400, "is no number" },
	{ "CL -1", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: -1\r\n\r\n"), 400, "is no number" },
	{ "CL 0 0", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 0 0\r\n\r\n"), 400, "is no number" },
	{ "TE xchunked", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Transfer-Encoding: xchunked\r\n\r\n"), 501, "Transfer-Encoding" },
	{ "TE chunked, identity", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Transfer-Encoding: chunked, identity\r\n\r\n"),
	    501, "Transfer-Encoding" },
	{ "space before the colon", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Transfer-Encoding : chunked\r\n\r\n"), 400, "no token" },
	{ "TE with vertical tab", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Transfer-Encoding: \vchunked\r\n\r\n"), 400, "visible ASCII" },
	{ "bare LF lines", TEXT("GET /a HTTP/1.1\nHost: x\n\n"),
	    400, "bare LF" },
	{ "bare CR in a value", TEXT("GET /a HTTP/1.1\r\nHost: x\r\n"
	    "A: b\rc\r\n\r\n"), 400, "bare CR" },
	{ "obs-fold", TEXT("GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n"
	    " c\r\n\r\n"), 400, "starts with white space" },
	{ "NUL in a value", TEXT("GET /a HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n"
	    "\r\n"), 400, "NUL" },
	{ "chunk extension with LF", TEXT(CHUNKED "0;a\n\r\n\r\n"),
	    501, "Transfer-Encoding" },
	{ "chunk size 0x0", TEXT(CHUNKED "0x0\r\n\r\n"),
	    501, "Transfer-Encoding" },
	{ "chunk size overflow", TEXT(CHUNKED "10000000000000000\r\n"),
	    501, "Transfer-Encoding" },
	{ "chunk without CRLF", TEXT(CHUNKED "1\r\naX0\r\n\r\n"),
	    501, "Transfer-Encoding" },
	{ "bare LF in chunks", TEXT(CHUNKED "1\na\n0\n\n"),
	    501, "Transfer-Encoding" },
	{ "no Host", TEXT("GET /a HTTP/1.1\r\n\r\n"), 400, "0 Host" },
	{ "two Hosts", TEXT("GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"),
	    400, "2 Host" },
	{ "HTTP/1.0 with TE", TEXT("POST /a HTTP/1.0\r\nHost: x\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n"), 505, "HTTP/1.0" },
	{ "absolute-form", TEXT("GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n"),
	    400, "origin-form" },
	{ "HTTP/9.9", TEXT("GET /a HTTP/9.9\r\nHost: x\r\n\r\n"),
	    505, "HTTP/9.9" },
	{ "space before the first field", TEXT("GET /a HTTP/1.1\r\n"
	    " Host: x\r\n\r\n"), 400, "starts with white space" },
	{ "no colon", TEXT("GET /a HTTP/1.1\r\nHost: x\r\nA\r\n\r\n"),
	    400, "without a colon" },
	{ "empty name", TEXT("GET /a HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n"),
	    400, "no token" },
	{ "lower-case method", TEXT("get /a HTTP/1.1\r\nHost: x\r\n\r\n"),
	    400, "upper-case" },
	{ "HTTP/2 preface", TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	    505, "HTTP/2.0" },
};
/* clang-format on */

static void
refuses_the_32_probes(void **state)
{
	struct http_head head;
	struct err err;
	unsigned status;

	(void)state;
	assert_int_equal(COUNT(probes), 32);
	for (size_t i = 0; i < COUNT(probes); i++) {
		uint8_t *in = exact(probes[i].in);

		if (take(&head, span_of(in, probes[i].in.len), &status, &err) !=
		    -1)
			fail_msg("%s: accepted", probes[i].name);
		assert_says(probes[i].name, err.msg, probes[i].says);
		if (status != probes[i].status)
			fail_msg("%s: %u", probes[i].name, status);
		free(in);
	}
}

/* clang-format off */
static const struct {
	const char *name;
	struct span in;
	unsigned status;
	const char *says;
} bad[] = {
	{ "empty head", TEXT("\r\n"), 400, "three parts" },
	{ "NUL first", TEXT("\0"), 400, "NUL" },
	{ "no target", TEXT("GET HTTP/1.1\r\nHost: x\r\n\r\n"), 400,
	    "three parts" },
	{ "no method", TEXT(" /a HTTP/1.1\r\nHost: x\r\n\r\n"), 400,
	    "method of 0" },
	{ "long method", TEXT("ABCDEFGHIJKLMNOPQ /a HTTP/1.1\r\nHost: x\r\n\r\n"),
	    400, "method of 17" },
	{ "two spaces", TEXT("GET  /a HTTP/1.1\r\nHost: x\r\n\r\n"), 400,
	    "no HTTP version" },
	{ "space behind the version", TEXT("GET /a HTTP/1.1 \r\nHost: x\r\n\r\n"),
	    400, "no HTTP version" },
	{ "four parts", TEXT("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"), 400,
	    "no HTTP version" },
	{ "http/1.1", TEXT("GET /a http/1.1\r\nHost: x\r\n\r\n"), 400,
	    "no HTTP version" },
	{ "HTTP/1.10", TEXT("GET /a HTTP/1.10\r\nHost: x\r\n\r\n"), 400,
	    "no HTTP version" },
	{ "HTTP/1.0", TEXT("GET /a HTTP/1.0\r\n\r\n"), 505, "HTTP/1.0" },
	{ "HTTP/1.2", TEXT("GET /a HTTP/1.2\r\nHost: x\r\n\r\n"), 505,
	    "HTTP/1.2" },
	{ "asterisk", TEXT("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), 400,
	    "origin-form" },
	{ "authority", TEXT("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"), 400,
	    "origin-form" },
	{ "fragment", TEXT("GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"), 400,
	    "byte 0x23 in the target" },
	{ "byte over ASCII in the target", TEXT("GET /\xc3\xa4 HTTP/1.1\r\n"
	    "Host: x\r\n\r\n"), 400, "byte 0xc3 in the target" },
	{ "tab in the target", TEXT("GET /\t HTTP/1.1\r\nHost: x\r\n\r\n"), 400,
	    "byte 0x09 in the target" },
	{ "backslash", TEXT("GET /\\ HTTP/1.1\r\nHost: x\r\n\r\n"), 400,
	    "byte 0x5c in the target" },
	{ "empty Host", TEXT("GET /a HTTP/1.1\r\nHost: \r\n\r\n"), 400,
	    "empty Host" },
	{ "user in Host", TEXT("GET /a HTTP/1.1\r\nHost: u@x\r\n\r\n"), 400,
	    "byte 0x40 in Host" },
	{ "list in Host", TEXT("GET /a HTTP/1.1\r\nHost: x,y\r\n\r\n"), 400,
	    "byte 0x2c in Host" },
	{ "path in Host", TEXT("GET /a HTTP/1.1\r\nHost: x/y\r\n\r\n"), 400,
	    "byte 0x2f in Host" },
	{ "slash in a name", TEXT("GET /a HTTP/1.1\r\nHost: x\r\nA/b: c\r\n\r\n"),
	    400, "no token" },
	{ "high byte in a name", TEXT("GET /a HTTP/1.1\r\nHost: x\r\n\xff: c\r\n"
	    "\r\n"), 400, "no token" },
	{ "high byte in a value", TEXT("GET /a HTTP/1.1\r\nHost: x\r\nA: \xff\r\n"
	    "\r\n"), 400, "visible ASCII" },
	{ "DEL in a value", TEXT("GET /a HTTP/1.1\r\nHost: x\r\nA: \x7f\r\n\r\n"),
	    400, "visible ASCII" },
	{ "CR CR LF", TEXT("GET /a HTTP/1.1\r\nHost: x\r\r\n\r\n"), 400,
	    "bare CR" },
	{ "empty CL", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length:\r\n\r\n"), 400, "empty Content-Length" },
	{ "tab in CL", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 1\t\r\n\r\n"), 400, "tab in Content-Length" },
	{ "huge CL", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 1000000000000000000\r\n\r\n"), 413,
	    "of 19 digits" },
	{ "PUT without CL", TEXT("PUT /a HTTP/1.1\r\nHost: x\r\n\r\n"), 411,
	    "no Content-Length" },
	{ "PATCH without CL", TEXT("PATCH /a HTTP/1.1\r\nHost: x\r\n\r\n"),
	    411, "no Content-Length" },
	{ "HTTP/2.1", TEXT("GET /a HTTP/2.1\r\nHost: x\r\n\r\n"), 505,
	    "HTTP/2.1, want" },
	{ "HTTP/1x1", TEXT("GET /a HTTP/1x1\r\nHost: x\r\n\r\n"), 400,
	    "no HTTP version" },
	{ "HTTP/:.1", TEXT("GET /a HTTP/:.1\r\nHost: x\r\n\r\n"), 400,
	    "no HTTP version" },
	{ "HTTP/1./", TEXT("GET /a HTTP/1./\r\nHost: x\r\n\r\n"), 400,
	    "no HTTP version" },
	{ "tab before a name", TEXT("GET /a HTTP/1.1\r\nHost: x\r\n"
	    "\tA: b\r\n\r\n"), 400, "starts with white space" },
	{ "POST without CL", TEXT("POST /a HTTP/1.1\r\nHost: x\r\n\r\n"), 411,
	    "no Content-Length" },
	{ "TE on GET", TEXT("GET /a HTTP/1.1\r\nHost: x\r\n"
	    "transfer-encoding: gzip\r\n\r\n"), 501, "Transfer-Encoding" },
	{ "empty TE", TEXT("GET /a HTTP/1.1\r\nHost: x\r\n"
	    "Transfer-Encoding:\r\n\r\n"), 501, "Transfer-Encoding" },
	{ "unknown Expect", TEXT("GET /a HTTP/1.1\r\nHost: x\r\n"
	    "Expect: more\r\n\r\n"), 417, "Expect" },
	{ "two Expects", TEXT("GET /a HTTP/1.1\r\nHost: x\r\n"
	    "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"), 417,
	    "Expect" },
	{ "Early-Data", TEXT("GET /a HTTP/1.1\r\nHost: x\r\n"
	    "Early-Data: 1\r\n\r\n"), 425, "Early-Data" },
};
/* clang-format on */

static void
refuses_malformed_heads(void **state)
{
	struct http_head head;
	struct err err;
	unsigned status;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		uint8_t *in = exact(bad[i].in);

		if (take(&head, span_of(in, bad[i].in.len), &status, &err) !=
		    -1)
			fail_msg("%s: accepted", bad[i].name);
		assert_says(bad[i].name, err.msg, bad[i].says);
		if (status != bad[i].status)
			fail_msg("%s: %u", bad[i].name, status);
		free(in);
	}
}

static const struct span good = TEXT("POST /sev/vm/x/launch?a=b HTTP/1.1\r\n"
				     "Host: relay.example:9443\r\n"
				     "User-Agent: \t test/1 (x; y) \t\r\n"
				     "content-LENGTH: 0042\r\n"
				     "Connection: keep-alive, Upgrade\r\n"
				     "connection: , CLOSE ,\r\n"
				     "Expect: 100-Continue\r\n"
				     "X-Empty:\r\n"
				     "\r\n");

static void
reads_a_good_head(void **state)
{
	uint8_t *in = exact(good);
	struct http_head head;
	struct span v;
	struct err err;
	unsigned status;

	(void)state;
	assert_int_equal(take(&head, span_of(in, good.len), &status, &err), 0);
	assert_true(span_is(head.method, "POST"));
	assert_true(span_is(head.target, "/sev/vm/x/launch?a=b"));
	assert_true(span_is(head.path, "/sev/vm/x/launch"));
	assert_true(head.has_query && span_is(head.query, "a=b"));
	assert_true(span_is(head.host, "relay.example:9443"));
	assert_true(head.has_length && head.length == 42);
	assert_true(head.expect_continue && head.close && head.upgrade);
	assert_int_equal(head.field_count, 7);
	assert_int_equal(http_get(&head, "user-agent", &v), 1);
	assert_true(span_is(v, "test/1 (x; y)"));
	assert_int_equal(http_get(&head, "x-empty", &v), 1);
	assert_int_equal(v.len, 0);
	assert_int_equal(http_get(&head, "connection", &v), 2);
	assert_int_equal(http_get(&head, "host2", &v), 0);
	assert_null(v.ptr);
	free(in);
}

/* The same memory serves a connection's next request: nothing stays of the
 * one before it. */
static void
forgets_the_head_before(void **state)
{
	static const char next[] = "GET /b HTTP/1.1\r\nHost: y\r\n\r\n";
	struct http_head head;
	unsigned status;
	struct err err;

	(void)state;
	assert_int_equal(take(&head, good, &status, &err), 0);
	assert_int_equal(take(&head, span_str(next), &status, &err), 0);
	assert_true(span_is(head.path, "/b") && span_is(head.host, "y"));
	assert_false(head.has_query || head.has_length);
	assert_false(head.expect_continue || head.close || head.upgrade);
	assert_int_equal(head.query.len + head.length, 0);
	assert_int_equal(head.field_count, 1);
}

/* What Connection says counts, and no other field's words. */
static void
reads_lists_of_one_field(void **state)
{
	static const struct {
		const char *field;
		bool close, upgrade;
	} cases[] = {
		{ "X: close, upgrade", false, false },
		{ "Connections: close", false, false },
		{ "Connection: closed", false, false },
		{ "Connection: CLOSE", true, false },
		{ "Connection: keep-alive ,Upgrade", false, true },
		{ "Connection: ,, close\t, upgrade", true, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_head head;
		char text[128];
		unsigned status;
		struct err err;

		snprintf(text, sizeof(text),
		    "GET /a HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", cases[i].field);
		assert_int_equal(take(&head, span_str(text), &status, &err), 0);
		assert_int_equal(head.close, cases[i].close);
		assert_int_equal(head.upgrade, cases[i].upgrade);
	}
}

/* Each byte that a Host, a target or a method may not have, and all others. */
static void
judges_byte_by_byte(void **state)
{
	static const struct {
		const char *head;
		const char *tail;
		const char *good; /* besides digits and letters */
	} places[] = {
		{ "GET /a HTTP/1.1\r\nHost: x", "x\r\n\r\n",
		    "!$%&'*+-._~[]:()=;" },
		{ "GET /a", "a HTTP/1.1\r\nHost: x\r\n\r\n",
		    "!$%&'()*+,-./:;=?@[]_{}~" },
		{ "GET /a HTTP/1.1\r\nHost: x\r\na", "a: b\r\n\r\n",
		    "!#$%&'*+-.^_`|~:" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(places); i++)
		for (int c = 1; c < 256; c++) {
			bool may = (c >= '0' && c <= '9') ||
			    (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			    strchr(places[i].good, c) != NULL;
			struct http_head head;
			char text[128];
			unsigned status;
			struct err err;

			snprintf(text, sizeof(text), "%s%c%s", places[i].head,
			    c, places[i].tail);
			if ((take(&head, span_str(text), &status, &err) == 0) !=
			    may)
				fail_msg(
				    "place %zu: byte 0x%02x", i, (unsigned)c);
		}
}

/* Every cut of a head is a head that is not complete, and nothing else. */
static void
waits_for_the_end_at_any_split(void **state)
{
	struct err err;

	(void)state;
	for (size_t cut = 0; cut < good.len; cut++) {
		uint8_t *part = exact(span_of(good.ptr, cut));
		struct http_scan scan = { 0 };
		size_t len = 0;
		unsigned status;

		assert_int_equal(
		    http_scan(&scan, span_of(part, cut), &len, &status, &err),
		    HTTP_SCAN_MORE);
		assert_int_equal(http_scan(&scan, good, &len, &status, &err),
		    HTTP_SCAN_DONE);
		assert_int_equal(len, good.len);
		free(part);
	}
}

/* A head of ${lines} lines and ${len} bytes; 0: as it comes. */
static struct span
make(size_t lines, size_t len, size_t target)
{
	static char text[2 * HTTP_HEAD_MAX];
	size_t at = 0;

	at += (size_t)sprintf(
	    text, "GET /%0*d HTTP/1.1\r\nHost: x\r\n", (int)target - 1, 0);
	for (size_t i = 2; i < lines; i++)
		at += (size_t)sprintf(text + at, "A: b\r\n");
	if (len > 0) {
		at += (size_t)sprintf(text + at, "F: ");
		while (at < len - 4)
			text[at++] = 'x';
		at += (size_t)sprintf(text + at, "\r\n");
	}
	at += (size_t)sprintf(text + at, "\r\n");
	return span_of(text, at);
}

static void
holds_its_limits_to_the_byte(void **state)
{
	static const struct {
		const char *name;
		size_t lines, len, target;
		unsigned status; /* 0: good */
	} cases[] = {
		{ "64 lines", 64, 0, 2, 0 },
		{ "65 lines", 65, 0, 2, 431 },
		{ "16384 bytes", 2, 16384, 2, 0 },
		{ "16385 bytes", 2, 16385, 2, 431 },
		{ "target of 512", 2, 0, 512, 0 },
		{ "target of 513", 2, 0, 513, 414 },
		{ "target of 2000", 2, 0, 2000, 414 },
	};
	struct http_head head;
	struct err err;
	unsigned status;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span in =
		    make(cases[i].lines, cases[i].len, cases[i].target);
		uint8_t *copy = exact(in);

		take(&head, span_of(copy, in.len), &status, &err);
		if (status != cases[i].status)
			fail_msg("%s: %u %s", cases[i].name, status, err.msg);
		free(copy);
	}
}

/* A byte that can end in nothing good is refused before more is awaited. */
static void
refuses_early(void **state)
{
	static const struct {
		const char *name;
		struct span in;
		unsigned status;
	} cases[] = {
		{ "LF", TEXT("GET\n"), 400 },
		{ "CR and more", TEXT("GET\rx"), 400 },
		{ "TLS hello", TEXT("\x16\x03\x01\x00"), 400 },
	};
	static uint8_t endless[1000];
	struct http_scan scan = { 0 };
	struct err err;
	unsigned status;
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		scan = (struct http_scan){ 0 };
		assert_int_equal(
		    http_scan(&scan, cases[i].in, &len, &status, &err),
		    HTTP_SCAN_BAD);
		assert_int_equal(status, cases[i].status);
	}
	memset(endless, 'a', sizeof(endless));
	scan = (struct http_scan){ 0 };
	assert_int_equal(http_scan(&scan, span_of(endless, sizeof(endless)),
			     &len, &status, &err),
	    HTTP_SCAN_BAD);
	assert_int_equal(status, 414);
}

static void
writes_heads_that_nobody_can_split(void **state)
{
	static const struct span evil[] = { TEXT("a\r\nX: y"), TEXT("a\nb"),
		TEXT("a\0b"), TEXT("a\rb"), TEXT("\x7f"), TEXT("\xc3\xa4") };
	uint8_t out[256];
	struct writer w = writer_of(out, sizeof(out));

	(void)state;
	http_put_status(&w, 503);
	http_put_field(&w, "Retry-After", span_str("5"));
	http_put_number(&w, "Content-Length", 18446744073709551615u);
	http_put_date(&w, 784111777);
	http_put_end(&w);
	assert_true(span_is(writer_span(&w),
	    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n"
	    "Content-Length: 18446744073709551615\r\n"
	    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"));
	for (size_t i = 0; i < COUNT(evil); i++) {
		w = writer_of(out, sizeof(out));
		http_put_field(&w, "A", evil[i]);
		assert_false(writer_ok(&w));
		w = writer_of(out, sizeof(out));
		http_put_request(&w, "GET", evil[i]);
		assert_false(writer_ok(&w));
	}
	w = writer_of(out, sizeof(out));
	http_put_field(&w, "A b", span_str("c"));
	assert_false(writer_ok(&w));
	w = writer_of(out, sizeof(out));
	http_put_status(&w, 99);
	assert_false(writer_ok(&w));
	w = writer_of(out, sizeof(out));
	http_put_request(&w, "GET", span_str("/a b"));
	assert_false(writer_ok(&w));
	w = writer_of(out, sizeof(out));
	http_put_request(&w, "GET", span_str("/a"));
	assert_true(span_is(writer_span(&w), "GET /a HTTP/1.1\r\n"));
	w = writer_of(out, 8);
	http_put_status(&w, 200);
	assert_false(writer_ok(&w));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_the_32_probes),
		cmocka_unit_test(refuses_malformed_heads),
		cmocka_unit_test(reads_a_good_head),
		cmocka_unit_test(forgets_the_head_before),
		cmocka_unit_test(reads_lists_of_one_field),
		cmocka_unit_test(judges_byte_by_byte),
		cmocka_unit_test(waits_for_the_end_at_any_split),
		cmocka_unit_test(holds_its_limits_to_the_byte),
		cmocka_unit_test(refuses_early),
		cmocka_unit_test(writes_heads_that_nobody_can_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
