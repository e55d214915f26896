#ifndef COMMON_CONF_FIND_H
#define COMMON_CONF_FIND_H

#include "common/conf.h"

/* Names of a table, looked up by section, for conf.c alone. */

#define CONF_FIND_MAX 64 /* longest word that is suggested, with its NUL */

/** conf_find_key(table, prefix, word): the key ${word} of the section
 * ${prefix} ("", "public."); NULL: there is none. */
const struct conf_key *conf_find_key(
    const struct conf_table *table, const char *prefix, const char *word);

/** conf_find_section(table, prefix, word): is ${word} a section there? */
bool conf_find_section(
    const struct conf_table *table, const char *prefix, const char *word);

/** conf_find_nearest(out, table, prefix, word): the key or section there that
 * ${word} was probably meant to be; false: nothing is near. */
bool conf_find_nearest(char out[CONF_FIND_MAX], const struct conf_table *table,
    const char *prefix, const char *word);

#endif
