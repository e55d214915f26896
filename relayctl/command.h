#ifndef RELAYCTL_COMMAND_H
#define RELAYCTL_COMMAND_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * The commands, as a table: what is read from the command line becomes the
 * members of a request, what comes back is shown by columns.
 */

enum param_kind {
	PARAM_NONE,
	PARAM_TEXT,
	PARAM_NUMBER,
	PARAM_SECONDS, /* 90, 90s, 10m, 24h, 365d */
	PARAM_SIZE,    /* 4096, 64KiB, 16MiB, 1GiB */
	PARAM_FLAG,    /* without a value */
	PARAM_LIST,    /* positional: all that is left */
	PARAM_LOCAL    /* not sent: for what is shown */
};

struct param {
	const char *name; /* of the flag, and of the member */
	enum param_kind kind;
};

#define COMMAND_PARAMS 8

struct column {
	const char *title;
	const char *member;
	bool ms; /* a number, milliseconds since 1970 */
};

#define COMMAND_COLUMNS 9

#define COMMAND_NEEDS 2

struct command {
	const char *noun;
	const char *verb; /* NULL: it has none; the first of a noun: default */
	const char *method;
	const char *path;
	struct param positional;
	struct param params[COMMAND_PARAMS];
	const char *list; /* member of the answer that is a list, or NULL */
	struct column columns[COMMAND_COLUMNS];
	/* Shows the answer instead of the columns. */
	void (*show)(const json_t *answer, const json_t *local);
	const char *needs[COMMAND_NEEDS]; /* members that must be given */
};

/** command_find(argc, argv, used): the row for these words, of which ${used}
 * were taken; NULL: none. */
const struct command *command_find(int argc, char **argv, int *used);

/**
 * command_read(c, body, local, argc, argv, err):
 * The words behind the command into members; ${body} stays NULL if there are
 * none.  errors ERR_USAGE
 */
int command_read(const struct command *c, json_t **body, json_t **local,
    int argc, char **argv, struct err *err);

/** command_show(c, answer, local): for people, on stdout. */
void command_show(
    const struct command *c, const json_t *answer, const json_t *local);

#endif
