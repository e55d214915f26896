#ifndef LAUNCH_REPORT_H
#define LAUNCH_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "launch/outcome.h"
#include "launch/service.h"

/* Progress for people on stderr, objects for programs on stdout. */

struct report {
	bool json;        /* print objects */
	const char *verb; /* the "command" of the last object */
};

/** report_say(fmt, ...): one line; control characters come out as \xNN. */
void report_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * report_step(r, step, object):
 * {"step": ${step}, ...the members of ${object}} on a line of its own, if JSON
 * is wanted.  Takes ${object}, which may be NULL.
 */
void report_step(const struct report *r, const char *step, json_t *object);

/**
 * report_end(r, o, said, err):
 * The last words of a command that failed: a line, and if JSON is wanted
 * {"step":"end","outcome":...,"exit":...,"message":...} with the problem of
 * ${said} (NULL: no answer was the reason).  Returns ${o}.
 */
enum outcome report_end(const struct report *r, enum outcome o,
    const struct service_answer *said, const struct err *err);

#endif
