#ifndef RELAY_BUSY_H
#define RELAY_BUSY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How busy a thread was lately, as another one sees it: by its processor time,
 * read when somebody wants to know.  Who is watched does nothing for it.  Pure.
 */

#define BUSY_LEAST_US 10000   /* looks that follow sooner tell the same */
#define BUSY_MOST_US 10000000 /* of what lies further back nothing is known */
#define BUSY_UNKNOWN 101

struct busy {
	uint64_t at_us;  /* the last look; 0: none yet */
	uint64_t cpu_us; /* the thread's processor time then */
	unsigned percent;
	unsigned used; /* for the caller; 0 after each new look */
};

/** busy_due(b, now_us): would a look tell something new? */
bool busy_due(const struct busy *b, uint64_t now_us);

/** busy_look(b, now_us, cpu_us): percent of one processor since the last look;
 * BUSY_UNKNOWN if there was none of late. */
unsigned busy_look(struct busy *b, uint64_t now_us, uint64_t cpu_us);

#endif
