#ifndef LAUNCH_CLEAN_H
#define LAUNCH_CLEAN_H

#include <stdint.h>

#include "launch/record.h"

/*
 * The end of a launch whose launcher is gone: its guest, if it never ran, is
 * destroyed; one that runs, or ran, is somebody's by now and is left alone.
 */

/* What one look at libvirt came to. */
enum clean_sight {
	CLEAN_ABSENT,    /* no guest with that mark */
	CLEAN_DESTROYED, /* it was there, and libvirt has ended it */
	CLEAN_KILLED,    /* libvirt was told to end it, and did not say so */
	CLEAN_IN_USE,    /* it runs, or has run */
	CLEAN_NO_ANSWER
};

enum clean_end {
	CLEAN_AGAIN, /* look again */
	CLEAN_NONE,  /* there is no guest */
	CLEAN_ENDED, /* it is destroyed */
	CLEAN_LEFT,  /* it is in use */
	CLEAN_LATER  /* it was asked for, and may still be to come */
};

struct clean_rule {
	unsigned patience_s;  /* 0: for ever */
	unsigned in_flight_s; /* for a guest that may still be to come */
	/* The launcher said that it failed: no guest stays. */
	bool also_running;
	bool ask_qemu; /* of each guest; else if the record is not enough */
};

/* What is known after some looks.  Zero-initialised. */
struct clean {
	bool killed, absent;
	int64_t absent_since_s;
};

/** clean_judge(c, seen, words, in_flight_s, now_s): what follows from one more
 * look; ${words} are those of the record.  No I/O. */
enum clean_end clean_judge(struct clean *c, enum clean_sight seen,
    unsigned words, unsigned in_flight_s, int64_t now_s);

/**
 * clean_run(v, id, rule):
 * Look until it is settled, each time in a process of its own, so that no
 * call of libvirt can hold us.  From a process with one thread.
 *   returns  never CLEAN_AGAIN but when the patience is over: libvirt did not
 *            answer
 */
enum clean_end clean_run(
    const struct record_view *v, const char *id, const struct clean_rule *rule);

#endif
