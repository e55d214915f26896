#include "common/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *const log_level_words[] = { "error", "warn", "info", "debug",
	NULL };
const char *const log_format_words[] = { "text", "json", "journal", NULL };

/* See log.h: the one state here, each part read and set whole. */
static _Atomic int log_fd = STDERR_FILENO;
static _Atomic int log_level = LOG_LEVEL_INFO;
static _Atomic int log_format = LOG_FORMAT_TEXT;

/* A line that is being written; always room for the newline. */
struct line {
	char text[LOG_LINE_MAX];
	size_t len;
	bool cut;
};

#define TAIL 8 /* bytes kept free for the end of a line that was cut */

static void
put(struct line *l, const char *s)
{
	size_t len = strlen(s);

	if (l->cut || len > sizeof(l->text) - TAIL - l->len) {
		l->cut = true;
		return;
	}
	memcpy(l->text + l->len, s, len);
	l->len += len;
}

static void
end(struct line *l, const char *tail)
{
	const char *dots = l->cut ? "..." : "";

	memcpy(l->text + l->len, dots, strlen(dots));
	l->len += strlen(dots);
	memcpy(l->text + l->len, tail, strlen(tail));
	l->len += strlen(tail);
}

static void
put_escaped(struct line *l, const char *s, bool json)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;
		char one[8];

		if (c == '\\' || (json && c == '"'))
			snprintf(one, sizeof(one), "\\%c", c);
		else if (c >= ' ' && c <= '~')
			snprintf(one, sizeof(one), "%c", c);
		else
			snprintf(
			    one, sizeof(one), json ? "\\u%04x" : "\\x%02x", c);
		put(l, one);
	}
}

/* RFC 3339, UTC, milliseconds. */
static void
put_time(struct line *l)
{
	struct timespec ts = { 0 };
	struct tm tm = { 0 };
	char day[32], text[48];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03ldZ", day, ts.tv_nsec / 1000000);
	put(l, text);
}

static void
put_text(
    struct line *l, enum log_level level, const char *subject, const char *msg)
{
	char word[16];

	put_time(l);
	snprintf(word, sizeof(word), " %-5s ", log_level_words[level]);
	put(l, word);
	if (subject[0] != '\0') {
		put_escaped(l, subject, false);
		put(l, ": ");
	}
	put_escaped(l, msg, false);
	end(l, "\n");
}

static void
put_json_head(struct line *l, enum log_level level, const char *subject)
{
	put(l, "{\"time\":\"");
	put_time(l);
	put(l, "\",\"level\":\"");
	put(l, log_level_words[level]);
	put(l, "\",\"subject\":\"");
	put_escaped(l, subject, true);
	put(l, "\"");
}

static void
put_json(
    struct line *l, enum log_level level, const char *subject, const char *msg)
{
	put_json_head(l, level, subject);
	put(l, ",\"msg\":\"");
	put_escaped(l, msg, true);
	end(l, "\"}\n");
}

static void
put_journal(
    struct line *l, enum log_level level, const char *subject, const char *msg)
{
	/* sd-daemon(3): error 3, warning 4, info 6, debug 7. */
	static const char *const prefixes[] = { "<3>", "<4>", "<6>", "<7>" };

	put(l, prefixes[level]);
	if (subject[0] != '\0') {
		put_escaped(l, subject, false);
		put(l, ": ");
	}
	put_escaped(l, msg, false);
	end(l, "\n");
}

__attribute__((format(printf, 3, 0))) static void
write_line(enum log_level level, const struct log_subject *s, const char *fmt,
    va_list ap)
{
	static void (*const put_line[])(
	    struct line *, enum log_level, const char *, const char *) = {
		[LOG_FORMAT_TEXT] = put_text,
		[LOG_FORMAT_JSON] = put_json,
		[LOG_FORMAT_JOURNAL] = put_journal,
	};
	const char *subject = s == NULL ? "" : s->text;
	char msg[LOG_LINE_MAX];
	struct line l = { .len = 0 };
	ssize_t written;

	vsnprintf(msg, sizeof(msg), fmt, ap);
	put_line[log_format](&l, level, subject, msg);
	/* A log that cannot be written must not stop what it tells of. */
	written = write(log_fd, l.text, l.len);
	(void)written;
}

/* A field that has no room is left out whole: what is cut is no JSON. */
static void
put_field(struct line *l, const struct log_field *f)
{
	struct line before = *l;

	put(l, ",\"");
	put(l, f->name);
	put(l, f->number ? "\":" : "\":\"");
	put_escaped(l, f->text, true);
	if (!f->number)
		put(l, "\"");
	if (l->cut)
		*l = before;
}

void
log_fields(const struct log_subject *s, const struct log_field *fields,
    size_t count, const char *fmt, ...)
{
	struct line l = { .len = 0 };
	ssize_t written;
	va_list ap;

	if (!log_enabled(LOG_LEVEL_INFO))
		return;
	if (log_format != LOG_FORMAT_JSON) {
		va_start(ap, fmt);
		write_line(LOG_LEVEL_INFO, s, fmt, ap);
		va_end(ap);
		return;
	}
	put_json_head(&l, LOG_LEVEL_INFO, s == NULL ? "" : s->text);
	for (size_t i = 0; i < count; i++)
		put_field(&l, &fields[i]);
	end(&l, "}\n");
	written = write(log_fd, l.text, l.len);
	(void)written;
}

void
log_subject_set(struct log_subject *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->text, sizeof(s->text), fmt, ap);
	va_end(ap);
}

void
log_open(int fd, enum log_level level, enum log_format format)
{
	log_fd = fd;
	log_level = level;
	log_format = format;
}

void
log_set_level(enum log_level level)
{
	log_level = level;
}

bool
log_enabled(enum log_level level)
{
	return (int)level <= log_level;
}

bool
log_at_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;
	char rest;

	/* systemd.exec(5): "device:inode" of the stream, which a child with
	 * its stderr elsewhere inherits too. */
	return stream != NULL &&
	    sscanf(stream, "%llu:%llu%c", &dev, &ino, &rest) == 2 &&
	    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev &&
	    st.st_ino == ino;
}

#define LOG_FUNCTION(name, level)                                              \
	void name(const struct log_subject *s, const char *fmt, ...)           \
	{                                                                      \
		va_list ap;                                                    \
                                                                               \
		if (!log_enabled(level))                                       \
			return;                                                \
		va_start(ap, fmt);                                             \
		write_line(level, s, fmt, ap);                                 \
		va_end(ap);                                                    \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
