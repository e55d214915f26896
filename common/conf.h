#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include "common/err.h"
#include "common/span.h"

/*
 * YAML configuration by table.  The table is the one place for names, types,
 * defaults, bounds and words of help; loader, example file and overrides by
 * flags come from it.
 *
 *	struct relay_config { char *name; uint16_t port; struct conf_list vms; };
 *	static const struct conf_key keys[] = {
 *	    { "name", CONF_STRING, offsetof(struct relay_config, name),
 *	      NULL, 1, 255, "RELAY-NAME in the hello",
 *	      .example = "attest.cloud.example" },
 *	    ...
 *	};
 *	static const struct conf_table table = CONF_TABLE(keys,
 *	    struct relay_config);
 *
 * A dot in a name is a section: "public.listen" is `public: {listen: ...}`.
 * Refused, each with file:line:col, and all of them in one run: unknown keys
 * (with the nearest known one), duplicate keys, wrong types, values out of
 * bounds, missing required keys, anchors and aliases (at once: no alias
 * bombs), tags, tabs, more than one document, depth over CONF_DEPTH_MAX.
 */

#define CONF_FILE_MAX (16 * 1024 * 1024)
#define CONF_DEPTH_MAX 8
#define CONF_ERRORS_MAX 50 /* then "more errors follow" and no more */

enum conf_type {
	CONF_STRING,  /* char *, owned, never NULL; min..max bytes */
	CONF_PATH,    /* char *, as CONF_STRING; "" means not set */
	CONF_BOOL,    /* bool; yes no on off true false */
	CONF_INT,     /* int64_t; decimal or 0x..; min..max */
	CONF_PORT,    /* uint16_t; min..max, 0..65535 if both are 0 */
	CONF_MS,      /* uint64_t milliseconds: 250ms 20s 5m 24h 7d; 0 */
	CONF_SIZE,    /* uint64_t bytes: 4096 64KiB 16MiB 1GiB */
	CONF_ENUM,    /* int, index into words */
	CONF_FLAGS,   /* unsigned, list of words: bit i is words[i] */
	CONF_STRINGS, /* struct conf_list of char *; min..max entries */
	CONF_MAPS     /* struct conf_list of sub->size structs; min..max */
};

struct conf_list {
	void *items; /* owned; char *[count], or the structs themselves */
	size_t count;
};

struct conf_table;

struct conf_key {
	const char *name; /* dotted path, words-with-dashes */
	enum conf_type type;
	size_t at; /* offsetof() the field */
	/* As one would write it in the file; "" is an empty string or list;
	 * NULL: the key must be given. */
	const char *dflt;
	int64_t min, max;  /* numbers, lengths or entries; both 0: no bounds */
	const char *about; /* one or more sentences for the example file */
	const char *const *words;     /* CONF_ENUM, CONF_FLAGS; NULL-ended */
	const struct conf_table *sub; /* CONF_MAPS */
	const char *example;          /* shown in the example file */
	/* Judges a CONF_STRING or CONF_PATH, or one entry of CONF_STRINGS;
	 * the message gets the place and the name of the key in front. */
	int (*check)(const char *text, struct err *err);
};

struct conf_table {
	const struct conf_key *keys;
	size_t count;
	size_t size; /* of the struct that the keys fill */
};

#define CONF_TABLE(keys, type)                                                 \
	{                                                                      \
		(keys), sizeof(keys) / sizeof((keys)[0]), sizeof(type)         \
	}

/* What a load found wrong, and where each key stood.  Zero-initialise. */
struct conf_report {
	size_t errors;
	char *text; /* owned; "file:line:col: error: words\n" each; or NULL */
	struct conf_place *places; /* owned */
	size_t place_count;
	char *file; /* owned */
};

/**
 * conf_load(out, table, file, report):
 * Defaults, then ${file}, into the struct ${out}, which must be zero.
 *   lifetime  conf_free(out, table) releases it, after failures too
 *   errors    -1: ${report} tells all of them
 */
int conf_load(void *out, const struct conf_table *table, const char *file,
    struct conf_report *report);

/** conf_parse(out, table, name, text, report): the same of bytes in memory. */
int conf_parse(void *out, const struct conf_table *table, const char *name,
    struct span text, struct conf_report *report);

/**
 * conf_defaults(out, table):
 * Defaults alone, for who runs without a file; keys without a default stay
 * zero (strings NULL).  ${out} must be zero.  errors ERR_MEMORY
 */
int conf_defaults(void *out, const struct conf_table *table, struct err *err);

/**
 * conf_set(out, table, name, text, err):
 * Set the key ${name} from ${text} as the file would: `--relay-url URL`.
 * Lists take entries separated by commas; CONF_MAPS cannot be set.
 *   errors  ERR_USAGE: no such key, or ${text} is not for it; ${out} is
 *           unchanged
 */
int conf_set(void *out, const struct conf_table *table, const char *name,
    const char *text, struct err *err);

/**
 * conf_missing(out, table, report):
 * After conf_defaults() and conf_set(): complain of required keys that are
 * still not given (strings NULL, lists empty).  Returns 0 or -1.
 */
int conf_missing(const void *out, const struct conf_table *table,
    struct conf_report *report);

/**
 * conf_same(a, b, table, name):
 * Has the key ${name} the same value in both structs?  Not for CONF_MAPS.
 */
bool conf_same(const void *a, const void *b, const struct conf_table *table,
    const char *name);

/** conf_free(out, table): release all fields and zero the struct. */
void conf_free(void *out, const struct conf_table *table);

/**
 * conf_complain(report, key, fmt, ...):
 * One more error, by a check between fields, at the place of ${key}
 * ("tls.min", "tenants[2].keys[0]", "tenants[2]") if the file has it.
 * Returns -1.
 */
int conf_complain(struct conf_report *report, const char *key, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));

/** conf_report_free(report): release and zero. */
void conf_report_free(struct conf_report *report);

/**
 * conf_example(table, head):
 * The example file: comment lines ${head}, then every key with `about`,
 * bounds, and its default.  It loads.  Keys with both a default and an
 * example show the example behind a `#`.
 *   lifetime  caller frees; NULL: no memory
 */
char *conf_example(const struct conf_table *table, const char *head);

#endif
