#ifndef LAUNCH_DEADLINE_H
#define LAUNCH_DEADLINE_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "common/err.h"

/*
 * An end to calls that may never return: libvirt answers its client's pings
 * while what was asked hangs, and opens a connection without any limit.
 */
struct deadline {
	pthread_mutex_t lock;
	timer_t timer;
	bool made, armed;
	void (*late)(void *ctx); /* ends the process */
	void *ctx;
};

/** deadline_start(d, late, ctx, err): ${late} is called in a thread of its
 * own, and must not return.  errors ERR_MEMORY */
int deadline_start(
    struct deadline *d, void (*late)(void *ctx), void *ctx, struct err *err);

/** deadline_set(d, s): so many seconds from now; 0: no end.  It is never
 * passed by a thread that has come this far in time. */
void deadline_set(struct deadline *d, unsigned s);

#endif
