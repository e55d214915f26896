#include "common/conf.h"

#include "common/conf_find.h"
#include "common/conf_foreign.h"
#include "common/conf_report.h"
#include "common/conf_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define PATH_MAX_LEN 256 /* of a key with all its sections */
#define KEYS_MAX 256     /* keys written in one mapping */

/* One file on its way through libyaml. */
struct loader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; owned */
	bool has_event;
	bool stop; /* the file cannot be read further */
	unsigned depth;
	struct span text;
	struct conf_report *report;
};

/* One struct that is being filled, or a section of it. */
struct target {
	void *out;
	const struct conf_table *table;
	bool *seen;         /* by index in the table */
	const char *prefix; /* section within the table: "", "public." */
	const char *place;  /* all of it: "", "tenants[2].", "public." */
};

static void take_value(struct loader *l, const struct target *t,
    const char *name, const char *place);

static unsigned
line_of(const struct loader *l)
{
	return (unsigned)l->event.start_mark.line + 1;
}

static unsigned
column_of(const struct loader *l)
{
	return (unsigned)l->event.start_mark.column + 1;
}

#define COMPLAIN(l, ...)                                                       \
	conf_report_error((l)->report, line_of(l), column_of(l), __VA_ARGS__)

/* libyaml's own complaint: nothing behind it can be read. */
static void
complain_syntax(struct loader *l)
{
	const yaml_parser_t *p = &l->parser;
	unsigned line = 1, column = 1;

	/* A reader's error has no mark but an offset in bytes. */
	if (p->error == YAML_READER_ERROR) {
		for (size_t i = 0; i < p->problem_offset && i < l->text.len;
		     i++, column++) {
			if (l->text.ptr[i] != '\n')
				continue;
			line++;
			column = 0;
		}
		conf_report_error(l->report, line, column, "byte %zu: %s",
		    p->problem_offset, p->problem);
	} else
		conf_report_error(l->report, (unsigned)p->problem_mark.line + 1,
		    (unsigned)p->problem_mark.column + 1, "%s%s%s",
		    p->context == NULL ? "" : p->context,
		    p->context == NULL ? "" : ": ",
		    p->problem == NULL ? "unreadable" : p->problem);
}

/* The next event; its type, or YAML_NO_EVENT after which nothing comes. */
static yaml_event_type_t
next(struct loader *l)
{
	if (l->has_event)
		yaml_event_delete(&l->event);
	l->has_event = false;
	if (l->stop)
		return YAML_NO_EVENT;
	if (yaml_parser_parse(&l->parser, &l->event) != 1) {
		l->stop = true;
		complain_syntax(l);
		return YAML_NO_EVENT;
	}
	l->has_event = true;
	if (conf_foreign(&l->event)) {
		COMPLAIN(l,
		    "anchors, aliases and tags are not for "
		    "configurations");
		l->stop = true;
		return YAML_NO_EVENT;
	}
	return l->event.type;
}

/* Go one level down; each one is left with up(). */
static bool
down(struct loader *l)
{
	if (++l->depth <= CONF_DEPTH_MAX)
		return true;
	COMPLAIN(l, "deeper than %d levels", CONF_DEPTH_MAX);
	l->stop = true;
	return false;
}

static void
up(struct loader *l)
{
	l->depth--;
}

/* Pass over the value whose first event is the current one. */
static void
skip(struct loader *l)
{
	yaml_event_type_t type = l->event.type;

	if (type != YAML_SEQUENCE_START_EVENT &&
	    type != YAML_MAPPING_START_EVENT)
		return;
	if (down(l)) {
		while ((type = next(l)) != YAML_NO_EVENT &&
		    type != YAML_SEQUENCE_END_EVENT &&
		    type != YAML_MAPPING_END_EVENT)
			skip(l);
	}
	up(l);
}

/* The text of a scalar; NULL with a complaint if there is none to use. */
static const char *
scalar(struct loader *l, const char *name)
{
	const char *text = (const char *)l->event.data.scalar.value;

	if (strlen(text) != l->event.data.scalar.length) {
		COMPLAIN(l, "%s: NUL in the value", name);
		return NULL;
	}
	if (l->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    (text[0] == '\0' || strcmp(text, "~") == 0 ||
		strcmp(text, "null") == 0)) {
		COMPLAIN(
		    l, "%s: no value; leave the key out for its default", name);
		return NULL;
	}
	return text;
}

/* ${a} and ${b} behind each other.  What is cut is cut in words for a human:
 * names of the table are short. */
static void
join(char out[PATH_MAX_LEN], const char *a, const char *b)
{
	if (snprintf(out, PATH_MAX_LEN, "%s%s", a, b) >= PATH_MAX_LEN)
		out[PATH_MAX_LEN - 2] = '~';
}

static void
complain_unknown(struct loader *l, const struct target *t, const char *word)
{
	char near[CONF_FIND_MAX];

	if (conf_find_nearest(near, t->table, t->prefix, word))
		COMPLAIN(l, "unknown key '%.40s%.60s'; did you mean '%s'?",
		    t->place, word, near);
	else
		COMPLAIN(l, "unknown key '%.40s%.60s'", t->place, word);
}

/*
 * Values.
 */

/* The keys of a mapping whose start is the current event, up to its end. */
static void
take_mapping(struct loader *l, const struct target *t)
{
	char *words[KEYS_MAX];
	size_t count = 0;
	yaml_event_type_t type;

	while ((type = next(l)) != YAML_NO_EVENT &&
	    type != YAML_MAPPING_END_EVENT) {
		char place[PATH_MAX_LEN];
		const char *word;
		bool twice = false;

		word = type == YAML_SCALAR_EVENT
		    ? (const char *)l->event.data.scalar.value
		    : NULL;
		if (word == NULL ||
		    strlen(word) != l->event.data.scalar.length) {
			COMPLAIN(l, "%s",
			    word == NULL ? "a key must be a word"
					 : "NUL in a key");
			skip(l);
			if (next(l) != YAML_NO_EVENT)
				skip(l);
			continue;
		}
		for (size_t i = 0; i < count; i++)
			twice = twice || strcmp(words[i], word) == 0;
		if (count == KEYS_MAX ||
		    (words[count] = strdup(word)) == NULL) {
			COMPLAIN(
			    l, "more than %d keys in one mapping", KEYS_MAX);
			l->stop = true;
			break;
		}
		word = words[count++];
		join(place, t->place, word);
		if (twice)
			COMPLAIN(l, "key '%.80s' is here twice", place);
		else if (conf_find_key(t->table, t->prefix, word) == NULL &&
		    !conf_find_section(t->table, t->prefix, word))
			complain_unknown(l, t, word);
		else {
			take_value(l, t, word, place);
			continue;
		}
		if (next(l) != YAML_NO_EVENT)
			skip(l);
	}
	while (count > 0)
		free(words[--count]);
}

static void
complain_missing(struct conf_report *report, const struct target *t,
    unsigned line, unsigned column)
{
	char key[PATH_MAX_LEN];

	for (size_t i = 0; i < t->table->count; i++) {
		unsigned at_line = line, at_column = column;

		if (t->seen[i] || t->table->keys[i].dflt != NULL)
			continue;
		join(key, t->place, t->table->keys[i].name);
		conf_report_near(report, key, &at_line, &at_column);
		conf_report_error(report, at_line, at_column,
		    "%s is missing: %.200s", key, t->table->keys[i].about);
	}
}

/* A whole struct from the mapping whose start is the current event. */
static void
take_struct(struct loader *l, void *out, const struct conf_table *table,
    const char *place)
{
	struct target t = { out, table, calloc(table->count, sizeof(bool)), "",
		place };
	unsigned line = line_of(l), column = column_of(l);

	if (t.seen == NULL) {
		COMPLAIN(l, "no memory");
		l->stop = true;
		return;
	}
	take_mapping(l, &t);
	/* After a stop keys may stand where nobody looked. */
	if (!l->stop)
		complain_missing(l->report, &t, line, column);
	free(t.seen);
}

static void
take_entry(struct loader *l, const struct conf_key *key, void *field,
    const char *place)
{
	char dotted[PATH_MAX_LEN];
	struct err err;
	const char *text;
	void *item;

	conf_report_place(l->report, place, line_of(l), column_of(l));
	if (key->type == CONF_MAPS) {
		if (l->event.type != YAML_MAPPING_START_EVENT) {
			COMPLAIN(l, "%s: want a mapping", place);
			skip(l);
			return;
		}
		if ((item = conf_value_add_map(key, field, &err)) == NULL) {
			COMPLAIN(l, "%s: %s", place, err.msg);
			l->stop = true;
			return;
		}
		join(dotted, place, ".");
		if (down(l))
			take_struct(l, item, key->sub, dotted);
		up(l);
		return;
	}
	if (l->event.type != YAML_SCALAR_EVENT) {
		COMPLAIN(l, "%s: want text", place);
		skip(l);
	} else if ((text = scalar(l, place)) != NULL &&
	    conf_value_add(key, field, text, &err) != 0) {
		COMPLAIN(l, "%s: %s", place, err.msg);
	}
}

static void
take_list(struct loader *l, const struct conf_key *key, void *field,
    const char *place)
{
	unsigned line = line_of(l), column = column_of(l);
	char entry[PATH_MAX_LEN];
	yaml_event_type_t type;
	struct err err;

	if (l->event.type != YAML_SEQUENCE_START_EVENT) {
		COMPLAIN(l, "%s: want a list", place);
		skip(l);
		return;
	}
	conf_value_clear(key, field);
	if (down(l)) {
		for (size_t i = 0; (type = next(l)) != YAML_NO_EVENT &&
		     type != YAML_SEQUENCE_END_EVENT;
		     i++) {
			snprintf(entry, sizeof(entry), "%.240s[%zu]", place, i);
			take_entry(l, key, field, entry);
		}
	}
	up(l);
	if (!l->stop && conf_value_count(key, field, &err) != 0)
		conf_report_error(
		    l->report, line, column, "%s: %s", place, err.msg);
}

/* The value behind the key ${word}: a section, a list or a scalar. */
static void
take_value(struct loader *l, const struct target *t, const char *word,
    const char *place)
{
	const struct conf_key *key = conf_find_key(t->table, t->prefix, word);
	char prefix[PATH_MAX_LEN], dotted[PATH_MAX_LEN];
	struct target section = *t;
	const char *text;
	struct err err;

	if (next(l) == YAML_NO_EVENT)
		return;
	conf_report_place(l->report, place, line_of(l), column_of(l));
	if (key == NULL) {
		if (l->event.type != YAML_MAPPING_START_EVENT) {
			COMPLAIN(l, "%s: want a section with keys", place);
			skip(l);
			return;
		}
		join(dotted, t->prefix, word);
		join(prefix, dotted, ".");
		join(dotted, place, ".");
		section.prefix = prefix;
		section.place = dotted;
		if (down(l))
			take_mapping(l, &section);
		up(l);
		return;
	}
	t->seen[key - t->table->keys] = true;
	if (conf_value_is_list(key)) {
		take_list(l, key, conf_value_at(t->out, key), place);
	} else if (l->event.type != YAML_SCALAR_EVENT) {
		COMPLAIN(l, "%s: want one value", place);
		skip(l);
	} else if ((text = scalar(l, place)) != NULL &&
	    conf_value_set(key, conf_value_at(t->out, key), text, &err) != 0) {
		COMPLAIN(l, "%s: %s", place, err.msg);
	}
}

/*
 * Files.
 */

/* Tabs, wherever they stand: YAML takes some and refuses others. */
static void
complain_tabs(struct conf_report *report, struct span text)
{
	unsigned line = 1, column = 1;

	for (size_t i = 0; i < text.len; i++, column++) {
		if (text.ptr[i] == '\t')
			conf_report_error(report, line, column,
			    "tab; YAML is indented with spaces");
		if (text.ptr[i] == '\n') {
			line++;
			column = 0;
		}
	}
}

static void
take_document(struct loader *l, void *out, const struct conf_table *table)
{
	struct target empty = { out, table, NULL, "", "" };
	yaml_event_type_t type;

	if (next(l) == YAML_NO_EVENT)
		return;
	type = next(l);
	if (type == YAML_STREAM_END_EVENT) {
		/* Nothing but comments: still a configuration. */
		empty.seen = calloc(table->count, sizeof(bool));
		if (empty.seen != NULL)
			complain_missing(l->report, &empty, 1, 1);
		free(empty.seen);
		return;
	}
	if (type == YAML_NO_EVENT || (type = next(l)) == YAML_NO_EVENT)
		return;
	if (type != YAML_MAPPING_START_EVENT) {
		COMPLAIN(l, "want keys and values");
		skip(l);
	} else {
		if (down(l))
			take_struct(l, out, table, "");
		up(l);
	}
	if (next(l) == YAML_NO_EVENT || next(l) == YAML_NO_EVENT)
		return;
	if (l->event.type != YAML_STREAM_END_EVENT)
		COMPLAIN(l, "a second document");
}

int
conf_parse(void *out, const struct conf_table *table, const char *name,
    struct span text, struct conf_report *report)
{
	struct loader l = { .text = text, .report = report };
	struct err err;

	if (report->file == NULL)
		report->file = strdup(name);
	if (conf_defaults(out, table, &err) != 0) {
		conf_report_error(report, 0, 0, "%s", err.msg);
		return -1;
	}
	if (text.len > CONF_FILE_MAX) {
		conf_report_error(report, 0, 0, "%zu bytes, at most %d",
		    text.len, CONF_FILE_MAX);
		return -1;
	}
	complain_tabs(report, text);
	if (yaml_parser_initialize(&l.parser) != 1) {
		conf_report_error(report, 0, 0, "no memory");
		return -1;
	}
	yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&l.parser, text.ptr, text.len);
	take_document(&l, out, table);
	if (l.has_event)
		yaml_event_delete(&l.event);
	yaml_parser_delete(&l.parser);
	return report->errors == 0 ? 0 : -1;
}

int
conf_load(void *out, const struct conf_table *table, const char *file,
    struct conf_report *report)
{
	FILE *f = fopen(file, "re");
	size_t cap = 4096, len = 0, n;
	char *text = NULL, *more;
	int rc = -1;

	free(report->file);
	report->file = strdup(file);
	if (f == NULL) {
		conf_report_error(report, 0, 0, "%s", strerror(errno));
		goto out;
	}
	do {
		cap *= 2;
		if ((more = realloc(text, cap)) == NULL) {
			conf_report_error(report, 0, 0, "no memory");
			goto out;
		}
		text = more;
		n = fread(text + len, 1, cap - len, f);
		len += n;
	} while (n > 0 && len == cap && len <= CONF_FILE_MAX);
	if (ferror(f) != 0) {
		conf_report_error(report, 0, 0, "%s", strerror(errno));
		goto out;
	}
	rc = conf_parse(out, table, file, span_of(text, len), report);
out:
	if (f != NULL)
		fclose(f);
	free(text);
	return rc;
}
