#include "relay/busy.h"

bool
busy_due(const struct busy *b, uint64_t now_us)
{
	return b->at_us == 0 || now_us - b->at_us >= BUSY_LEAST_US;
}

unsigned
busy_look(struct busy *b, uint64_t now_us, uint64_t cpu_us)
{
	uint64_t past = now_us - b->at_us;
	bool known = b->at_us != 0 && past > 0 && past <= BUSY_MOST_US &&
	    cpu_us >= b->cpu_us;

	b->percent = known ? (unsigned)((cpu_us - b->cpu_us) * 100 / past)
			   : BUSY_UNKNOWN;
	b->at_us = now_us;
	b->cpu_us = cpu_us;
	b->used = 0;
	return b->percent;
}
