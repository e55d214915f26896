#ifndef LAUNCH_GUARD_H
#define LAUNCH_GUARD_H

#include <sys/types.h>

#include "common/err.h"

/*
 * A process that outlives us by as much as it takes to destroy the guest that
 * we were starting.  libvirt's own VIR_DOMAIN_START_AUTODESTROY cannot be taken
 * off a guest again, so that a running guest would end with its launcher, or
 * with the next restart of libvirtd; the guard is what there is until the
 * guest runs, and nothing afterwards.
 */
struct guard {
	pid_t pid; /* 0: none */
	int fd;    /* it reads the other end */
};

/** guard_start(g, uri, err): before any thread; ${uri} is libvirt's.
 *   errors  ERR_IO */
int guard_start(struct guard *g, const char *uri, struct err *err);

/**
 * guard_watch(g, name, id, err):
 * From now on the guest ${name}, if it carries the mark ${id}
 * (launch/domain_xml.h), is destroyed when we end: killed, too.
 *   errors  ERR_CLOSED: the guard is gone
 */
int guard_watch(
    struct guard *g, const char *name, const char *id, struct err *err);

/** guard_answered(g, err): libvirt has answered the start; until then the guest
 * might still be to come.  errors ERR_CLOSED */
int guard_answered(struct guard *g, struct err *err);

/** guard_release(g): the guest runs, or there never was one. */
void guard_release(struct guard *g);

/** guard_end(g, err): now; returns when the guest is gone.
 *   errors  ERR_IO: libvirt did not do it in a minute */
int guard_end(struct guard *g, struct err *err);

#endif
