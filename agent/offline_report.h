#ifndef AGENT_OFFLINE_REPORT_H
#define AGENT_OFFLINE_REPORT_H

#include <stdbool.h>

#include "common/err.h"

/**
 * offline_report(verb, schema, json, err):
 * Say on stderr why a verb has no answer.  With ${json} stdout gets an object
 * of ${schema} with a member "error", so that a program always finds JSON.
 */
void offline_report(
    const char *verb, const char *schema, bool json, const struct err *err);

#endif
