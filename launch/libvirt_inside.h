#ifndef LAUNCH_LIBVIRT_INSIDE_H
#define LAUNCH_LIBVIRT_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "launch/libvirt.h"
#include "launch/libvirt_api.h"

/* For libvirt.c and libvirt_guest.c alone. */

struct libvirt {
	struct libvirt_api api;
	virConnectPtr conn;
	/*
	 * Answers the daemon's pings while we wait for the owner, which may
	 * take minutes; without it the daemon would hang up after 30 s.
	 */
	pthread_t loop;
	bool looping;
	atomic_bool ending;
	int timer;
};

struct libvirt_guest {
	struct libvirt *l;
	virDomainPtr domain;
};

/** libvirt_tell(l, what, err): libvirt's words on its last refusal.  Returns
 * OUTCOME_CONFIG. */
enum outcome libvirt_tell(
    const struct libvirt *l, const char *what, struct err *err);

#endif
