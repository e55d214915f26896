#ifndef MOCK_SEV_H
#define MOCK_SEV_H

#include <jansson.h>

#include "tests/mock_qemu/guest.h"

/** sev_command(g, name, arguments): what QEMU answers, {"return": ...} or
 * {"error": ...}; NULL: no command of SEV. */
json_t *sev_command(struct guest *g, const char *name, const json_t *arguments);

/** sev_refusal(words): an answer that is QEMU's error. */
json_t *sev_refusal(const char *words);

#endif
