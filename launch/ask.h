#ifndef LAUNCH_ASK_H
#define LAUNCH_ASK_H

#include "launch/service.h"

/*
 * The two questions, from a hypervisor's facts to a checked answer; every
 * backend and the single steps go this way.  ${said} is the service's last
 * answer, for report_end(); service_answer_free() it.
 */

/** ask_launch(out, said, s, uuid, facts, key, err):
 * ${key}: Idempotency-Key; NULL: a fresh one.
 *   returns  those of service_ask(); OUTCOME_USAGE: ${facts} will not do */
enum outcome ask_launch(struct answer_launch *out, struct service_answer *said,
    struct service *s, const struct uuid *uuid, json_t *facts, const char *key,
    struct err *err);

/** ask_validate(out, said, s, uuid, facts, err): as above.
 *   lifetime  caller: answer_validate_free() */
enum outcome ask_validate(struct answer_validate *out,
    struct service_answer *said, struct service *s, const struct uuid *uuid,
    json_t *facts, struct err *err);

#endif
