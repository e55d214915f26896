#ifndef AGENT_VAULT_BUCKET_H
#define AGENT_VAULT_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* A token bucket, full when zeroed: ${burst} tokens, one back every ${every_ms}.
 * Counts failures only, so that good launches are never held up by it. */
struct bucket {
	uint32_t used;    /* tokens taken and not yet given back */
	int64_t since_ms; /* when the last one came back */
};

/** bucket_take(b, burst, every_ms, now_ms): false: none left. */
bool bucket_take(
    struct bucket *b, uint32_t burst, int64_t every_ms, int64_t now_ms);

/** bucket_wait_s(b, every_ms, now_ms): seconds until one comes back, >= 1. */
uint32_t bucket_wait_s(
    const struct bucket *b, int64_t every_ms, int64_t now_ms);

#endif
