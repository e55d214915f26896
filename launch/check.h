#ifndef LAUNCH_CHECK_H
#define LAUNCH_CHECK_H

#include <jansson.h>

#include "launch/outcome.h"
#include "launch/service.h"

/** check_service(argc, argv): can this host reach the service, does TLS hold,
 * and is it let in?  No VM is needed, no session is opened. */
enum outcome check_service(int argc, char **argv);

/** check_all(known, said, s, err): the same of ${s}; ${known} is what it says of
 * itself, NULL if it was not reached.
 *   lifetime  caller: json_decref(${known}), service_answer_free(${said}) */
enum outcome check_all(json_t **known, struct service_answer *said,
    struct service *s, struct err *err);

#endif
