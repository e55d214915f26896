#ifndef LAUNCH_GUARD_H
#define LAUNCH_GUARD_H

#include <sys/types.h>

#include "launch/record.h"

/*
 * A process that outlives us by as much as it takes to destroy the guest that
 * we were starting.  libvirt's own VIR_DOMAIN_START_AUTODESTROY cannot be taken
 * off a guest again, so that a running guest would end with its launcher, or
 * with the next restart of libvirtd; the guard is what there is until the
 * guest runs, and nothing afterwards.  What it has to do stands in the record,
 * whose lock it shares.
 */
struct guard {
	pid_t pid; /* 0: none */
	int fd;    /* it reads the other end */
};

enum guard_end {
	GUARD_OVER,   /* there is no guest, or a sweep looks again */
	GUARD_TRYING, /* libvirt does not answer; it does not give up */
	GUARD_GONE    /* it was ended itself */
};

/** guard_start(g, record, err): before any thread.  errors ERR_IO */
int guard_start(struct guard *g, struct record *record, struct err *err);

/**
 * guard_end(g, wait_s):
 * It does what the record says, as it would if we died; at most ${wait_s} are
 * waited for that.  Without a guard GUARD_OVER.
 */
enum guard_end guard_end(struct guard *g, unsigned wait_s);

#endif
