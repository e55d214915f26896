#ifndef RELAY_ACCOUNT_H
#define RELAY_ACCOUNT_H

#include "common/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What each tenant holds right now, and how much it may.  A tenant is known by
 * its name; its account gets a number that is never used again, never moves,
 * and lives as long as the process: over reloads, and after the tenant is
 * gone, since tunnels of it may still be closing.  Safe from every thread.
 */

#define ACCOUNT_NAME_MAX 64

enum account_kind {
	ACCOUNT_TUNNELS, /* keys with a tunnel */
	ACCOUNT_CLAIMS,  /* UUIDs with a route */
	ACCOUNT_STREAMS, /* requests under way */
	ACCOUNT_KINDS
};

/* 0 requests: as many as come.  What is beyond is refused, not queued. */
struct account_limits {
	uint32_t max[ACCOUNT_KINDS];
	uint32_t requests; /* a second; as many may come at once */
	uint64_t memory;   /* bytes of bodies under way */
};

struct account {
	uint32_t id;
	char name[ACCOUNT_NAME_MAX + 1];
	_Atomic uint32_t held[ACCOUNT_KINDS];
	_Atomic uint64_t memory;
	_Atomic uint64_t full_ns; /* when the bucket is full again */
	_Atomic uint64_t told_ms; /* last NOTICE about a quota */
	_Atomic uint64_t refused; /* for metrics: over a quota, in all */
	_Atomic uint32_t max[ACCOUNT_KINDS];
	_Atomic uint32_t max_requests;
	_Atomic uint64_t max_memory;
};

struct accounts;

/** accounts_new(out, err): errors ERR_MEMORY */
int accounts_new(struct accounts **out, struct err *err);
void accounts_free(struct accounts *a);

/**
 * accounts_of(out, a, name, err):
 * The account of the tenant ${name}, made at the first call; with no limits of
 * its own yet, it may hold nothing.
 *   errors  ERR_LIMIT: name of 0 or over ACCOUNT_NAME_MAX bytes; ERR_MEMORY
 */
int accounts_of(struct account **out, struct accounts *a, const char *name,
    struct err *err);

/** accounts_find(a, name): NULL: there is none yet. */
struct account *accounts_find(struct accounts *a, const char *name);

/** accounts_get(a, id): NULL: there is none. */
struct account *accounts_get(struct accounts *a, uint32_t id);

/** accounts_count(a): ids are below it. */
uint32_t accounts_count(struct accounts *a);

/** account_set_limits(a, limits): what is held already stays. */
void account_set_limits(struct account *a, const struct account_limits *limits);

/** account_take(a, kind): one more; false: that would be over the limit. */
bool account_take(struct account *a, enum account_kind kind);
/** account_give(a, kind): one less; never more often than taken. */
void account_give(struct account *a, enum account_kind kind);

/** account_charge(a, len): ${len} bytes more; false: over the limit. */
bool account_charge(struct account *a, size_t len);
void account_discharge(struct account *a, size_t len);

/** account_request(a, now_us): a token of the bucket; false: there is none. */
bool account_request(struct account *a, uint64_t now_us);

/** account_tell(a, now_ms): count a refusal; true, at most every
 * ACCOUNT_TELL_MS: its agents should hear of it. */
#define ACCOUNT_TELL_MS 10000
bool account_tell(struct account *a, uint64_t now_ms);

#endif
