#ifndef AGENT_CLI_SECRET_COMMAND_H
#define AGENT_CLI_SECRET_COMMAND_H

#include "common/err.h"
#include "common/secret.h"

#define SECRET_COMMAND_WORDS_MAX 32
#define SECRET_COMMAND_LEN_MAX 1024
#define SECRET_COMMAND_MS 60000 /* time to type a PIN */

/** One command: words[0] is looked up in PATH; NULL behind the last. */
struct secret_command {
	char text[SECRET_COMMAND_LEN_MAX]; /* the words, NUL behind each */
	char *words[SECRET_COMMAND_WORDS_MAX + 1];
	size_t count;
};

/**
 * secret_command_parse(out, line, err):
 * Words at blanks; '...' and "..." hold blanks together.  There is no shell:
 * no variables, no pipes, no escapes.
 *   lifetime  ${out} holds pointers into itself: do not copy it
 *   errors    ERR_USAGE: no word, or a quote that does not end; ERR_LIMIT
 */
int secret_command_parse(
    struct secret_command *out, const char *line, struct err *err);

/**
 * secret_command_run(out, c, max, wait_ms, err):
 * What it writes to stdout, less one newline at the end; stdin is empty,
 * stderr is ours.  It is killed after ${wait_ms} and when it writes more than
 * ${max} bytes.
 *   errors  ERR_IO: cannot be run, a status other than 0, or too slow;
 *           ERR_LIMIT; ERR_USAGE: it wrote nothing
 */
int secret_command_run(struct secret *out, const struct secret_command *c,
    size_t max, unsigned wait_ms, struct err *err);

#endif
