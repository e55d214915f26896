#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * One line a change of life, subject first, written by one write().  Whatever
 * comes from the format is escaped as a whole: control characters, backslash
 * and all that is not ASCII become \xNN (\uNNNN in JSON), so a peer's text
 * can neither start a line nor move a terminal's cursor.  There is no call
 * that takes bytes: secrets and bodies have no way in.
 *
 *   text     2026-11-23T01:37:00.123Z info  host 10.0.0.7:40112: closed: idle
 *   json     {"time":"...","level":"info","subject":"...","msg":"..."}
 *   journal  <6>host 10.0.0.7:40112: closed: idle       (sd-daemon(3) prefixes)
 *
 * Safe from every thread.  Level, format and descriptor are the one mutable
 * state of this file, as a line of log has no caller to hand it to.
 */

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL };

/* The words of the configuration, in the order of the enums, NULL-ended. */
extern const char *const log_level_words[];
extern const char *const log_format_words[];

#define LOG_SUBJECT_MAX 95
#define LOG_LINE_MAX 2048 /* bytes with the newline; longer ones are cut */

/* Whom a line is about: "host 10.0.0.7:40112", "tunnel acme/17". */
struct log_subject {
	char text[LOG_SUBJECT_MAX + 1];
};

/** log_subject_set(s, fmt, ...): name ${s}; too long is cut. */
void log_subject_set(struct log_subject *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A member of a line in JSON; ${text} of a ${number} stands bare. */
struct log_field {
	const char *name;
	const char *text;
	bool number;
};

/**
 * log_fields(s, fields, count, fmt, ...):
 * A line at level info for people or for machines: in JSON the fields beside
 * time, level and subject, in the other formats the words.
 */
void log_fields(const struct log_subject *s, const struct log_field *fields,
    size_t count, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/**
 * log_open(fd, level, format):
 * Write to ${fd} (borrowed) from now on.  Without this call: stderr, info,
 * text.
 */
void log_open(int fd, enum log_level level, enum log_format format);

void log_set_level(enum log_level level);

/** log_enabled(level): would a line of this level be written? */
bool log_enabled(enum log_level level);

/** log_at_journal(void): stderr is the journal's ($JOURNAL_STREAM). */
bool log_at_journal(void);

/*
 * ${s} may be NULL.  ${fmt} needs no newline.
 */
void log_error(const struct log_subject *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_warn(const struct log_subject *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_info(const struct log_subject *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_debug(const struct log_subject *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
