#ifndef TESTS_BENCH_DRIVER_HISTOGRAM_H
#define TESTS_BENCH_DRIVER_HISTOGRAM_H

#include <stdint.h>

/*
 * Latencies in microseconds, in buckets that grow with the value: each power
 * of two has HISTOGRAM_STEPS of them, so that no quantile is off by more than
 * one part in that many, from one microsecond to an hour.
 */

#define HISTOGRAM_STEPS 64
#define HISTOGRAM_POWERS 32

struct histogram {
	uint64_t count;
	uint64_t max; /* us */
	uint64_t buckets[HISTOGRAM_POWERS * HISTOGRAM_STEPS];
};

void histogram_add(struct histogram *h, uint64_t us);

/** histogram_at(h, part): the value, in us, that ${part} (0..1) of all are not
 * over; 0 of none. */
uint64_t histogram_at(const struct histogram *h, double part);

#endif
