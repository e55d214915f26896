#ifndef RELAY_SERVE_H
#define RELAY_SERVE_H

#include "relay/setup.h"

struct serve_options {
	const char *file; /* of the configuration, for reloads */
	bool takeover;    /* take the place of a relay that runs, if one does */
};

/**
 * serve(setup, options, err):
 * The relay's life: bind, drop privileges, start the workers, say that it is
 * ready, accept until SIGTERM or SIGINT, drain, and end.  The second signal
 * ends at once.  SIGHUP reloads.
 */
int serve(struct relay_setup *setup, const struct serve_options *options,
    struct err *err);

#endif
