#include "launch/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_LEN 1024

void
report_say(const char *fmt, ...)
{
	static const char prefix[] = "attest-launch: ";
	char text[512], line[LINE_MAX_LEN];
	size_t len = strlen(prefix);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)snprintf(line, sizeof(line), "%s", prefix);
	for (const char *c = text; *c != '\0' && len + 6 < sizeof(line); c++) {
		/* A service's words must not move a terminal's cursor. */
		if (*c >= ' ' && *c <= '~')
			line[len++] = *c;
		else
			len += (size_t)snprintf(line + len, sizeof(line) - len,
			    "\\x%02x", (unsigned char)*c);
	}
	line[len++] = '\n';
	/* One write: lines of several programs share stderr. */
	(void)!write(STDERR_FILENO, line, len);
}

void
report_step(const struct report *r, const char *step, json_t *object)
{
	json_t *o;

	if (!r->json) {
		json_decref(object);
		return;
	}
	o = json_pack("{s:s}", "step", step);
	if (o != NULL &&
	    (object == NULL || json_object_update(o, object) == 0)) {
		(void)json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		(void)fputc('\n', stdout);
		(void)fflush(stdout);
	}
	json_decref(o);
	json_decref(object);
}

static void
add_text(json_t *o, const char *name, const char *text)
{
	if (text[0] != '\0')
		(void)json_object_set_new(o, name, json_string(text));
}

enum outcome
report_end(const struct report *r, enum outcome o,
    const struct service_answer *said, const struct err *err)
{
	json_t *object;

	report_say("%s", err->msg);
	object = json_pack("{s:s, s:s, s:i}", "command", r->verb, "outcome",
	    outcome_name(o), "exit", (int)o);
	/* A message that was cut may be no UTF-8; it is then left out. */
	add_text(object, "message", err->msg);
	if (said != NULL && said->tried.status != 0) {
		(void)json_object_set_new(
		    object, "status", json_integer(said->tried.status));
		add_text(object, "type", said->problem.type);
		add_text(object, "detail", said->problem.detail);
		add_text(object, "origin", said->problem.origin);
		add_text(object, "request-id", said->request_id);
	}
	report_step(r, "end", object);
	return o;
}
