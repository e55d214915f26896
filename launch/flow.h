#ifndef LAUNCH_FLOW_H
#define LAUNCH_FLOW_H

#include <jansson.h>

#include "launch/answer.h"
#include "launch/measured.h"
#include "launch/options.h"
#include "launch/outcome.h"
#include "launch/report.h"
#include "launch/service.h"

/*
 * What every way of starting a guest has in common: the two questions, what is
 * told of them, and the end.  Zero-initialised; flow_end() releases all of it.
 */
struct flow {
	struct options o;
	struct report report;
	struct service *service;
	struct service_answer said; /* the last one */
	struct answer_launch session;
};

/** flow_options(f, allowed, argc, argv, err): as options_parse().
 *   errors  ERR_USAGE */
int flow_options(
    struct flow *f, unsigned allowed, int argc, char **argv, struct err *err);

/** flow_session(f, facts, err):
 * The owner's session for ${f}->o.uuid on the host of ${facts}, which change;
 * if ${f}->o.has_policy, with that policy and no other. */
enum outcome flow_session(struct flow *f, json_t *facts, struct err *err);

/** flow_validate(out, f, m, err):
 * May the guest that measured ${m} go on, and with what?
 *   lifetime  caller: answer_validate_free() */
enum outcome flow_validate(struct answer_validate *out, struct flow *f,
    const struct measured *m, struct err *err);

/** flow_injected(f, inject): the secret is in, or there is none. */
void flow_injected(struct flow *f, bool inject);

/** flow_end(f, rc, err): the last words if ${rc} is a failure.  Returns it. */
enum outcome flow_end(struct flow *f, enum outcome rc, const struct err *err);

#endif
