#ifndef AGENT_ENROLLED_H
#define AGENT_ENROLLED_H

#include "agent/config.h"
#include "agent/state.h"

/*
 * The relay that this agent enrolled with: relay.yaml of the state folder,
 * with keys of agent.yaml.  It counts where neither agent.yaml nor a flag
 * names a relay.
 */

/** enrolled_write(s, url, ca, no_binding, err): instead of any before.  ${ca} is
 * NULL if the pin alone decides.  errors ERR_IO, ERR_USAGE */
int enrolled_write(const struct state *s, const char *url, const char *ca,
    bool no_binding, struct err *err);

/** enrolled_read(c, dir, err): into ${c}, if it names no relay, of the state
 * folder ${dir} (NULL: the usual one).  No such file is fine.
 * errors ERR_USAGE, those of state_read() */
int enrolled_read(struct config *c, const char *dir, struct err *err);

#endif
