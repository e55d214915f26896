#ifndef AGENT_TIMES_H
#define AGENT_TIMES_H

#include <stdint.h>

#include "common/err.h"

/*
 * Time, as a table of functions, so that tests need not sleep.  All timers
 * and expiries use boot time, which counts while the machine is suspended and
 * which nobody sets; wall time is for people, for X.509 and for what must
 * outlive a boot (docs/operations-agent.md, "Time").
 */
struct times {
	int64_t (*boot_ms)(void *arg); /* since the machine started */
	int64_t (*wall_ms)(void *arg); /* since 1970 */
	void *arg;
};

#define TIMES_BOOT_ID_LEN 16

/** times_system(): CLOCK_BOOTTIME and CLOCK_REALTIME. */
struct times times_system(void);

int64_t times_boot_ms(const struct times *c);
int64_t times_wall_ms(const struct times *c);

/**
 * times_boot_id(out): what names this run of the kernel; zeros if it does not
 * tell, which never equals a stored one.
 */
void times_boot_id(uint8_t out[TIMES_BOOT_ID_LEN]);

/** times_rfc3339(out, wall_ms): UTC, like "2026-11-23T01:02:03.004Z". */
#define TIMES_TEXT_LEN 32
char *times_rfc3339(char out[TIMES_TEXT_LEN], int64_t wall_ms);

/**
 * times_parse(out, text, err):
 * "2026-12-31T23:59:59Z", or "2026-12-31" for its beginning, as wall_ms.
 *   errors  ERR_USAGE: neither, or a day that no calendar has
 */
int times_parse(int64_t *out, const char *text, struct err *err);

#endif
