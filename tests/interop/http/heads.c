#include "common/http_head.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Heads on stdin, each behind its length (u32, big-endian); for each one line
 * on stdout: "no STATUS", or "ok METHOD TARGET LENGTH UPGRADE NAME:VALUE ...",
 * texts in hex.
 */

static void
put_hex(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		printf("%02x", s.ptr[i]);
}

static void
put_head(const struct http_head *head)
{
	printf("ok ");
	put_hex(head->method);
	putchar(' ');
	put_hex(head->target);
	if (head->has_length)
		printf(" %llu", (unsigned long long)head->length);
	else
		printf(" -");
	printf(" %d", head->upgrade);
	for (size_t i = 0; i < head->field_count; i++) {
		putchar(' ');
		put_hex(head->fields[i].name);
		putchar(':');
		put_hex(head->fields[i].value);
	}
	putchar('\n');
}

static void
judge(struct span in)
{
	struct http_scan scan = { 0 };
	struct http_head head;
	unsigned status = 0;
	size_t len;
	struct err err;

	switch (http_scan(&scan, in, &len, &status, &err)) {
	case HTTP_SCAN_MORE:
		printf("no 0\n");
		return;
	case HTTP_SCAN_BAD:
		printf("no %u\n", status);
		return;
	case HTTP_SCAN_DONE:
		break;
	}
	if (http_head_parse(&head, span_of(in.ptr, len), &status, &err) != 0)
		printf("no %u\n", status);
	else
		put_head(&head);
}

int
main(void)
{
	uint32_t len;

	while (fread(&len, sizeof(len), 1, stdin) == 1) {
		uint8_t *in;

		len = ntohl(len);
		if (len > 1 << 20 || (in = malloc(len + 1)) == NULL ||
		    fread(in, 1, len, stdin) != len)
			return 1;
		judge(span_of(in, len));
		free(in);
	}
	return 0;
}
