#include "tests/bench/driver/histogram.h"

#include <stddef.h>

/* Values below HISTOGRAM_STEPS have a bucket each. */
static size_t
bucket_of(uint64_t us)
{
	unsigned power = 0;
	size_t at;

	while (us >> power >= 2 * HISTOGRAM_STEPS)
		power++;
	at = us < HISTOGRAM_STEPS
	    ? us
	    : (power + 1) * HISTOGRAM_STEPS + (us >> power) - HISTOGRAM_STEPS;
	return at < HISTOGRAM_POWERS * HISTOGRAM_STEPS
	    ? at
	    : HISTOGRAM_POWERS * HISTOGRAM_STEPS - 1;
}

/* The middle of a bucket. */
static uint64_t
value_of(size_t bucket)
{
	size_t power;

	if (bucket < 2 * HISTOGRAM_STEPS)
		return bucket;
	power = bucket / HISTOGRAM_STEPS - 1;
	return ((uint64_t)(bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS)
		   << power) +
	    ((uint64_t)1 << power) / 2;
}

void
histogram_add(struct histogram *h, uint64_t us)
{
	h->count++;
	if (us > h->max)
		h->max = us;
	h->buckets[bucket_of(us)]++;
}

uint64_t
histogram_at(const struct histogram *h, double part)
{
	uint64_t seen = 0, want = (uint64_t)((double)h->count * part);

	if (h->count == 0)
		return 0;
	for (size_t i = 0; i < HISTOGRAM_POWERS * HISTOGRAM_STEPS; i++) {
		seen += h->buckets[i];
		if (seen > want)
			return value_of(i);
	}
	return h->max;
}
