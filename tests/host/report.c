#include "tests/host/report.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base64.h"
#include "common/hex.h"
#include "common/secret.h"

void
report(const struct options *o, const char *who, const char *fmt, ...)
{
	va_list ap;

	if (!o->transcript)
		return;
	(void)printf("%6s | ", who);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)putchar('\n');
}

void
report_bytes(const struct options *o, const char *who, const char *what,
    struct span data)
{
	char text[2 * 64 + 1];

	if (data.len > 64)
		data.len = 64;
	report(o, who, "%s%s", what, hex_encode(text, sizeof(text), data));
}

/* Text if it is text, else "hex:" and digits. */
static void
print_secret(struct span secret)
{
	bool text = secret.len > 0;

	for (size_t i = 0; i < secret.len; i++)
		if (secret.ptr[i] < 0x20 || secret.ptr[i] == 0x7f)
			text = false;
	if (text) {
		(void)fwrite(secret.ptr, 1, secret.len, stdout);
		return;
	}
	(void)fputs("hex:", stdout);
	for (size_t i = 0; i < secret.len; i++)
		(void)printf("%02x", secret.ptr[i]);
}

static void
print_json(const char *uuid, struct span secret)
{
	size_t cap = base64_len(secret.len) + 1;
	struct secret text = { 0 };
	json_t *line;

	if (secret_alloc(&text, cap, NULL) != 0)
		return;
	line = json_pack("{s:s, s:s, s:s}", "result", "opened", "uuid", uuid,
	    "secret-base64", base64_encode((char *)text.ptr, cap, secret));
	if (line != NULL)
		(void)json_dumpf(line, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(line);
	secret_free(&text);
}

void
report_secret(const struct options *o, const char *uuid, struct span secret)
{
	if (o->json) {
		print_json(uuid, secret);
		return;
	}
	(void)fputs("secret opened by the secure processor: ", stdout);
	print_secret(secret);
	(void)putchar('\n');
}

void
report_refused(
    const struct options *o, const char *uuid, enum psp_status status)
{
	if (o->json)
		(void)printf("{\"result\":\"not-opened\",\"uuid\":\"%s\","
			     "\"firmware-error\":%d}\n",
		    uuid, (int)status);
	else
		(void)printf("another guest's secret refused by the secure "
			     "processor: firmware error %d (%s)\n",
		    (int)status, psp_status_name(status));
}
