#include "common/conf_foreign.h"

#include <stddef.h>
#include <yaml.h>

bool
conf_foreign(const struct yaml_event_s *e)
{
	switch (e->type) {
	case YAML_ALIAS_EVENT:
		return true;
	case YAML_SCALAR_EVENT:
		return e->data.scalar.anchor != NULL ||
		    e->data.scalar.tag != NULL;
	case YAML_SEQUENCE_START_EVENT:
		return e->data.sequence_start.anchor != NULL ||
		    e->data.sequence_start.tag != NULL;
	case YAML_MAPPING_START_EVENT:
		return e->data.mapping_start.anchor != NULL ||
		    e->data.mapping_start.tag != NULL;
	default:
		return false;
	}
}
