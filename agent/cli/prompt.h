#ifndef AGENT_CLI_PROMPT_H
#define AGENT_CLI_PROMPT_H

#include "common/err.h"
#include "common/secret.h"

#define PROMPT_MAX 1024

/**
 * prompt_secret(out, what, err):
 * Ask at the terminal (/dev/tty) without echo, twice; the newline is not
 * part of it.
 *   errors  ERR_IO: no terminal; ERR_USAGE: empty, too long, or two answers
 */
int prompt_secret(struct secret *out, const char *what, struct err *err);

/** prompt_once(out, what, err): the same, asked once: for one that is known
 * already. */
int prompt_once(struct secret *out, const char *what, struct err *err);

#endif
