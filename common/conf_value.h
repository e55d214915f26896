#ifndef COMMON_CONF_VALUE_H
#define COMMON_CONF_VALUE_H

#include "common/conf.h"

/* Values of a table's keys <-> text, for conf.c and conf_example.c alone. */

/** conf_value_at(out, key): the key's field in the struct ${out}. */
void *conf_value_at(void *out, const struct conf_key *key);

/** conf_value_is_list(key): CONF_STRINGS, CONF_FLAGS or CONF_MAPS. */
bool conf_value_is_list(const struct conf_key *key);

/** conf_value_set(key, field, text, err): a value that is no list; ${field} is
 * unchanged on failure.  errors ERR_USAGE, ERR_MEMORY */
int conf_value_set(
    const struct conf_key *key, void *field, const char *text, struct err *err);

/** conf_value_add(key, field, text, err): one more entry of a CONF_STRINGS or
 * CONF_FLAGS.  errors ERR_USAGE, ERR_MEMORY */
int conf_value_add(
    const struct conf_key *key, void *field, const char *text, struct err *err);

/** conf_value_add_map(key, field, err): one more struct of a CONF_MAPS, with
 * the defaults of its table; NULL: ERR_USAGE, ERR_MEMORY. */
void *conf_value_add_map(
    const struct conf_key *key, void *field, struct err *err);

/** conf_value_count(key, field, err): has the list enough entries?  errors
 * ERR_USAGE */
int conf_value_count(
    const struct conf_key *key, const void *field, struct err *err);

/** conf_value_split(key, field, text, err): all entries of a list from
 * "a, b".  errors ERR_USAGE, ERR_MEMORY */
int conf_value_split(
    const struct conf_key *key, void *field, const char *text, struct err *err);

/** conf_value_clear(key, field): release and zero. */
void conf_value_clear(const struct conf_key *key, void *field);

#endif
