#include "common/http_head.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

/* An accepted head obeys the rules that the relay relies on. */
static void
judge(const struct http_head *h)
{
	uint8_t out[2 * HTTP_HEAD_MAX];
	struct writer w = writer_of(out, sizeof(out));
	struct http_head again;
	struct err err;
	unsigned status;
	struct span v;

	MUST(h->method.len >= 1 && h->method.len <= HTTP_METHOD_MAX);
	MUST(h->target.len >= 1 && h->target.len <= HTTP_TARGET_MAX);
	MUST(h->path.len >= 1 && h->path.ptr[0] == '/');
	MUST(h->field_count <= HTTP_FIELDS_MAX);
	MUST(http_get(h, "host", &v) == 1 && v.len > 0);
	MUST(http_get(h, "transfer-encoding", &v) == 0);
	MUST(http_get(h, "content-length", &v) == (h->has_length ? 1 : 0));
	MUST(!span_is(h->method, "POST") || h->has_length);
	for (size_t i = 0; i < h->field_count; i++) {
		MUST(http_is_token(h->fields[i].name));
		MUST(http_is_value(h->fields[i].value));
	}
	/* Written anew from its parts it says the same. */
	writer_put(&w, h->method);
	writer_put(&w, span_str(" "));
	writer_put(&w, h->target);
	writer_put(&w, span_str(" HTTP/1.1\r\n"));
	for (size_t i = 0; i < h->field_count; i++) {
		char name[HTTP_HEAD_MAX];

		memcpy(name, h->fields[i].name.ptr, h->fields[i].name.len);
		name[h->fields[i].name.len] = '\0';
		http_put_field(&w, name, h->fields[i].value);
	}
	http_put_end(&w);
	MUST(writer_ok(&w));
	/* "A:b" grows by a space. */
	if (w.len > HTTP_HEAD_MAX)
		return;
	MUST(http_head_parse(&again, writer_span(&w), &status, &err) == 0);
	MUST(again.field_count == h->field_count && again.length == h->length &&
	    again.close == h->close && again.upgrade == h->upgrade &&
	    span_equal(again.path, h->path));
}

/* The first byte is the size of the pieces that the scan gets. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_scan scan = { 0 }, whole = { 0 };
	enum http_scan_result result = HTTP_SCAN_MORE, once;
	size_t piece, len = 0, once_len = 0, at = 0;
	unsigned status = 0;
	struct http_head head;
	struct err err;
	struct span in;

	if (size < 1)
		return 0;
	piece = data[0] + 1u;
	in = span_of(data + 1, size - 1);
	once = http_scan(&whole, in, &once_len, &status, &err);
	MUST(once != HTTP_SCAN_BAD || status >= 400);
	while (result == HTTP_SCAN_MORE && at < in.len) {
		at = in.len - at < piece ? in.len : at + piece;
		result =
		    http_scan(&scan, span_of(in.ptr, at), &len, &status, &err);
	}
	MUST(result == once && len == once_len);
	status = 0;
	/* Whether or not a scan went before, a parse must be safe. */
	if (http_head_parse(&head,
		result == HTTP_SCAN_DONE ? span_of(in.ptr, len) : in, &status,
		&err) == 0)
		judge(&head);
	else
		MUST(status >= 400 && status < 600);
	return 0;
}
