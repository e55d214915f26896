#ifndef TESTS_BENCH_DRIVER_CPU_H
#define TESTS_BENCH_DRIVER_CPU_H

#include <stdint.h>

/** cpu_us(pid): processor time of all threads of a process so far, from the
 * scheduler's own account, in microseconds; 0 if it is gone. */
uint64_t cpu_us(int pid);

#endif
