#ifndef AGENT_CLI_OFFLINE_REPORT_H
#define AGENT_CLI_OFFLINE_REPORT_H

#include <stdbool.h>

#include "common/err.h"

/**
 * offline_report(verb, schema, json, err):
 * Say on stderr why a verb has no answer.  With ${json} stdout gets an object
 * of ${schema} with a member "error", so that a program always finds JSON.
 */
void offline_report(
    const char *verb, const char *schema, bool json, const struct err *err);

/**
 * offline_written(verb, status):
 * ${status}, or 2 and words on stderr if stdout did not take the answer: a
 * digest that is not there must not look like one that is.
 */
int offline_written(const char *verb, int status);

#endif
