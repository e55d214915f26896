#include "agent/net/keyplan.h"

#include <string.h>

static struct keyplan_chip *
find(struct keyplan *p, const uint8_t id[KEYPLAN_CHIP_LEN])
{
	size_t i;

	for (i = 0; i < KEYPLAN_CHIPS_MAX; i++)
		if (p->chips[i].used &&
		    memcmp(p->chips[i].id, id, KEYPLAN_CHIP_LEN) == 0)
			return &p->chips[i];
	return NULL;
}

/* An unused place, or that of the chip which nobody wants for longest. */
static struct keyplan_chip *
place(struct keyplan *p)
{
	struct keyplan_chip *best = NULL;
	size_t i;

	for (i = 0; i < KEYPLAN_CHIPS_MAX; i++) {
		struct keyplan_chip *c = &p->chips[i];

		if (!c->used)
			return c;
		if (!c->wanted && (best == NULL || c->order < best->order))
			best = c;
	}
	return best;
}

bool
keyplan_want(struct keyplan *p, const uint8_t id[KEYPLAN_CHIP_LEN])
{
	struct keyplan_chip *c = find(p, id);

	if (c == NULL) {
		c = place(p);
		if (c == NULL)
			return false;
		*c = (struct keyplan_chip){ .used = true };
		memcpy(c->id, id, KEYPLAN_CHIP_LEN);
	}
	if (!c->wanted)
		c->order = ++p->order;
	c->wanted = true;
	return true;
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

const struct keyplan_chip *
keyplan_next(const struct keyplan *p, int64_t now_ms, int64_t *wait_ms)
{
	const struct keyplan_chip *first = NULL;
	size_t i;

	*wait_ms = -1;
	for (i = 0; i < KEYPLAN_CHIPS_MAX; i++) {
		const struct keyplan_chip *c = &p->chips[i];
		int64_t left;

		if (!c->used || !c->wanted)
			continue;
		left = later(c->not_before_ms, p->not_before_ms) - now_ms;
		if (left > 0) {
			if (*wait_ms < 0 || left < *wait_ms)
				*wait_ms = left;
		} else if (first == NULL || c->order < first->order) {
			first = c;
		}
	}
	return first;
}

/* Half of it for certain, half by chance. */
static int64_t
spread(int64_t ms, uint32_t random)
{
	return ms / 2 + (int64_t)((uint64_t)ms / 2 * random / UINT32_MAX);
}

static int64_t
back_off(struct keyplan *p, uint32_t retry_after_s, uint32_t random)
{
	int64_t ms = KEYPLAN_BACKOFF_MS;
	uint32_t i;

	if (p->failures < UINT32_MAX)
		p->failures++;
	if (retry_after_s > KEYPLAN_RETRY_AFTER_MAX_S)
		retry_after_s = KEYPLAN_RETRY_AFTER_MAX_S;
	if (retry_after_s > 0)
		return (int64_t)retry_after_s * 1000;
	for (i = 1; i < p->failures && ms < KEYPLAN_BACKOFF_MAX_MS; i++)
		ms *= 2;
	if (ms > KEYPLAN_BACKOFF_MAX_MS)
		ms = KEYPLAN_BACKOFF_MAX_MS;
	return spread(ms, random);
}

void
keyplan_done(struct keyplan *p, const uint8_t id[KEYPLAN_CHIP_LEN],
    enum keyplan_result result, uint32_t retry_after_s, uint32_t random,
    int64_t now_ms)
{
	struct keyplan_chip *c = find(p, id);
	int64_t wait_ms = 0;

	if (result == KEYPLAN_BUSY)
		wait_ms = back_off(p, retry_after_s, random);
	else
		p->failures = 0;
	p->not_before_ms = now_ms + later(wait_ms, p->gap_ms);
	if (c == NULL || result == KEYPLAN_BUSY)
		return;
	c->wanted = false;
	if (result == KEYPLAN_GOT)
		c->used = false;
	else
		c->not_before_ms = now_ms +
		    (result == KEYPLAN_LIE ? KEYPLAN_LIE_MS
					   : KEYPLAN_UNKNOWN_MS);
}
