#ifndef COMMON_CONF_REPORT_H
#define COMMON_CONF_REPORT_H

#include "common/conf.h"

/* How conf.c fills a struct conf_report. */

/** conf_report_error(r, line, column, fmt, ...): one more error; ${line} 0:
 * none is known. */
void conf_report_error(struct conf_report *r, unsigned line, unsigned column,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** conf_report_place(r, key, line, column): where ${key} stands. */
void conf_report_place(
    struct conf_report *r, const char *key, unsigned line, unsigned column);

/** conf_report_near(r, key, line, column): the place of what stands nearest
 * around ${key}; left as they are if nothing does. */
void conf_report_near(const struct conf_report *r, const char *key,
    unsigned *line, unsigned *column);

#endif
