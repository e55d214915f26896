#ifndef LAUNCH_WAIT_H
#define LAUNCH_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Time that also passes while the machine sleeps. */

int64_t wait_now_ms(void);

/** wait_rest_ms(ms): all of it, signals or not. */
void wait_rest_ms(int64_t ms);

/** wait_end_ms(pid, ms): has our child ended by then?  It is not reaped. */
bool wait_end_ms(pid_t pid, int64_t ms);

#endif
