#ifndef HOST_MESSAGES_H
#define HOST_MESSAGES_H

#include <jansson.h>

#include "tests/host/answers.h"
#include "tests/host/machine.h"

/* What a host sends (docs/protocol.md 4 and 5). */

/** messages_launch(m, o, err): the request; NULL on failure. */
json_t *messages_launch(
    const struct machine *m, const struct options *o, struct err *err);

/** messages_validate(m, o, answer, measurement, err): the same. */
json_t *messages_validate(const struct machine *m, const struct options *o,
    const struct launch_answer *answer, struct span measurement,
    struct err *err);

/** messages_text(out, object, err): JSON text, owned, without a NUL. */
int messages_text(struct secret *out, const json_t *object, struct err *err);

/** messages_url(out, cap, o, uuid, what, err): SERVICE/vm/UUID/WHAT. */
int messages_url(char *out, size_t cap, const struct options *o,
    const char *uuid, const char *what, struct err *err);

#endif
