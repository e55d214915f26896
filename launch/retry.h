#ifndef LAUNCH_RETRY_H
#define LAUNCH_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When a request is sent again (docs/protocol.md 7); no clock, no I/O.
 */

/* What one try came to. */
struct retry_try {
	long status;        /* 0: the connection was lost */
	long retry_after_s; /* -1: not said */
	bool hopeless;      /* another try would come to the same */
	bool in_progress;   /* of a 409: the first try still waits there */
};

/** retry_worth(t): connection loss, 502, 503, 504, 429 and 409 in-progress;
 * nothing else. */
bool retry_worth(const struct retry_try *t);

/**
 * retry_pause_ms(t, tries, dice):
 * How long to wait after try number ${tries} (from 0): what the service asked
 * for, else doubling from 100 ms to 6.4 s; and up to a quarter more by chance
 * (${dice} of 0..65535), so that hosts do not come back together.
 */
uint64_t retry_pause_ms(
    const struct retry_try *t, unsigned tries, uint16_t dice);

#endif
