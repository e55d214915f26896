#ifndef RELAY_SERVE_H
#define RELAY_SERVE_H

#include "relay/setup.h"

/**
 * serve(setup, err):
 * The relay's life: bind, drop privileges, start the workers, say that it is
 * ready, accept until SIGTERM or SIGINT, drain, and end.  The second signal
 * ends at once.
 */
int serve(struct relay_setup *setup, struct err *err);

#endif
