#ifndef COMMON_CONF_FOREIGN_H
#define COMMON_CONF_FOREIGN_H

#include <stdbool.h>

struct yaml_event_s;

/** conf_foreign(e): a YAML event that neither a configuration nor a
 * registration may have: an anchor, an alias, which can make a small file
 * large, or a tag. */
bool conf_foreign(const struct yaml_event_s *e);

#endif
