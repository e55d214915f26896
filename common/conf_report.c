#include "common/conf_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct conf_place {
	char *key; /* owned: "tenants[2].keys[0]" */
	unsigned line, column;
};

static void
append(struct conf_report *r, const char *line)
{
	size_t len = r->text == NULL ? 0 : strlen(r->text);
	char *text = realloc(r->text, len + strlen(line) + 1);

	/* Without memory the count alone must do. */
	if (text == NULL)
		return;
	memcpy(text + len, line, strlen(line) + 1);
	r->text = text;
}

__attribute__((format(printf, 4, 0))) static void
complain(struct conf_report *r, unsigned line, unsigned column, const char *fmt,
    va_list ap)
{
	const char *file = r->file == NULL ? "configuration" : r->file;
	char words[512], whole[1024];

	if (++r->errors > CONF_ERRORS_MAX) {
		if (r->errors == CONF_ERRORS_MAX + 1)
			append(r, "more errors follow\n");
		return;
	}
	vsnprintf(words, sizeof(words), fmt, ap);
	if (line > 0)
		snprintf(whole, sizeof(whole), "%.400s:%u:%u: error: %s", file,
		    line, column, words);
	else
		snprintf(
		    whole, sizeof(whole), "%.400s: error: %s", file, words);
	/* The words may quote the file, and the file may hold escapes. */
	for (char *c = whole; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	append(r, whole);
	append(r, "\n");
}

void
conf_report_error(
    struct conf_report *r, unsigned line, unsigned column, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(r, line, column, fmt, ap);
	va_end(ap);
}

void
conf_report_place(
    struct conf_report *r, const char *key, unsigned line, unsigned column)
{
	struct conf_place *places = r->places;

	if ((r->place_count & (r->place_count - 1)) == 0) {
		places = reallocarray(places,
		    r->place_count == 0 ? 1 : 2 * r->place_count,
		    sizeof(*places));
		if (places == NULL)
			return;
		r->places = places;
	}
	places[r->place_count] =
	    (struct conf_place){ strdup(key), line, column };
	if (places[r->place_count].key != NULL)
		r->place_count++;
}

/* The place of ${key}, or of the nearest thing around it. */
static const struct conf_place *
find(const struct conf_report *r, const char *key)
{
	char name[256];
	size_t len;

	snprintf(name, sizeof(name), "%s", key);
	for (len = strlen(name); len > 0; len--) {
		/* "a.b[2].c" -> "a.b[2]" -> "a.b" -> "a" */
		if (len < strlen(key) && key[len] != '.' && key[len] != '[')
			continue;
		name[len] = '\0';
		for (size_t i = 0; i < r->place_count; i++)
			if (strcmp(r->places[i].key, name) == 0)
				return &r->places[i];
	}
	return NULL;
}

void
conf_report_near(const struct conf_report *r, const char *key, unsigned *line,
    unsigned *column)
{
	const struct conf_place *place = find(r, key);

	if (place == NULL)
		return;
	*line = place->line;
	*column = place->column;
}

int
conf_complain(struct conf_report *r, const char *key, const char *fmt, ...)
{
	unsigned line = 0, column = 0;
	char words[384];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	conf_report_near(r, key, &line, &column);
	conf_report_error(r, line, column, "%s: %s", key, words);
	return -1;
}

void
conf_report_free(struct conf_report *r)
{
	for (size_t i = 0; i < r->place_count; i++)
		free(r->places[i].key);
	free(r->places);
	free(r->text);
	free(r->file);
	*r = (struct conf_report){ .errors = 0 };
}
