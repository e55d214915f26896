#ifndef AGENT_CLOCK_H
#define AGENT_CLOCK_H

#include <stdint.h>

/*
 * Time, as a table of functions, so that tests need not sleep.  All timers
 * and expiries use boot time, which counts while the machine is suspended and
 * which nobody sets; wall time is for people, for X.509 and for what must
 * outlive a boot (docs/operations-agent.md, "Time").
 */
struct clock {
	int64_t (*boot_ms)(void *arg); /* since the machine started */
	int64_t (*wall_ms)(void *arg); /* since 1970 */
	void *arg;
};

#define CLOCK_BOOT_ID_LEN 16

/** clock_system(): CLOCK_BOOTTIME and CLOCK_REALTIME. */
struct clock clock_system(void);

int64_t clock_boot_ms(const struct clock *c);
int64_t clock_wall_ms(const struct clock *c);

/**
 * clock_boot_id(out): what names this run of the kernel; zeros if it does not
 * tell, which never equals a stored one.
 */
void clock_boot_id(uint8_t out[CLOCK_BOOT_ID_LEN]);

/** clock_rfc3339(out, wall_ms): UTC, like "2026-11-23T01:02:03.004Z". */
#define CLOCK_TEXT_LEN 32
char *clock_rfc3339(char out[CLOCK_TEXT_LEN], int64_t wall_ms);

#endif
