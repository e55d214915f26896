#ifndef RELAY_DIRECTORY_IMPL_H
#define RELAY_DIRECTORY_IMPL_H

#include "relay/directory.h"
#include "relay/directory_redis.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * What directory.c (the thread, wishes in and out) and directory_lease.c (what
 * we hold there) share.  All but the atomics belongs to the thread.
 */

#define DIRECTORY_KEY_TEXT (2 * UUID_KEY_LEN + 1)
#define DIRECTORY_UUID_TEXT (2 * sizeof(struct uuid) + 1)

TAILQ_HEAD(directory_ops, directory_op);
TAILQ_HEAD(directory_leases, directory_lease);

/* A UUID that a tunnel of ours serves, as the directory has it. */
struct directory_lease {
	TAILQ_ENTRY(directory_lease) link; /* whose turn it is to be renewed */
	struct uuid uuid;
	struct directory_tunnel tunnel;
	uint32_t capabilities;
	uint8_t mode;
	uint16_t rank;
	bool certain;
	bool bind;
	bool lost; /* a newer tunnel has it; until ours has left, nobody else */
	bool owed; /* its withdrawal is, and the tunnel is gone */
	bool sent; /* the withdrawal was, and may have been done */
	uint64_t renew_ms;
	uint64_t sure_ms; /* when the directory was last asked, and had it */
};

/* A script under way. */
struct directory_call {
	enum directory_script script;
	struct directory_op *op; /* CLAIM: of claims[index]; FIND; else NULL */
	size_t index;
	bool renewal;
	struct uuid uuid;
	uint8_t key[UUID_KEY_LEN];
	uint64_t session;
	uint64_t sent_ms;
};

struct directory {
	struct relay *relay;
	struct loop *loop; /* owned */
	pthread_t thread;
	bool running;
	struct redis *redis;
	char node[DIRECTORY_NODE_MAX + 1];
	char address[DIRECTORY_ADDRESS_MAX + 1];
	char incarnation[17]; /* another one for each start */
	uint32_t lease_ms;
	uint32_t fence_ms;
	struct directory_ops waiting; /* CLAIMs that cannot be judged yet */
	void *tree;                   /* of leases, by UUID and key; owned */
	struct directory_leases leases;
	size_t calls; /* under way */
	bool up_now;
	bool closing;
	struct loop_timer timer;
	struct loop_timer last_timer;
	_Atomic bool up;
	_Atomic int64_t ahead_ms;
};

/** directory_call(d, call, args, count): run it with a copy of ${call}.  False:
 * the directory is down, or no memory. */
bool directory_call(struct directory *d, const struct directory_call *call,
    const char *const *args, size_t count);

/** directory_home(op): to the worker it came from. */
void directory_home(struct directory_op *op);

/** directory_claim(d, op): judge what can be; takes ${op}. */
void directory_claim(struct directory *d, struct directory_op *op);

/** directory_claimed(d, call, a): the script of one claim or renewal said
 * ${a}, NULL: nothing. */
void directory_claimed(struct directory *d, const struct directory_call *call,
    const struct redis_answer *a);

/** directory_withdraw(d, op): takes ${op}. */
void directory_withdraw(struct directory *d, struct directory_op *op);
void directory_withdrawn(struct directory *d, const struct directory_call *call,
    const struct redis_answer *a);

/** directory_unbind(d, uuid, key): what we hold of it binds ${key} no more; NULL:
 * no key. */
void directory_unbind(
    struct directory *d, const struct uuid *uuid, const uint8_t *key);

/** directory_heard(d, text): "UUID KEY SESSION": a newer tunnel has it. */
void directory_heard(struct directory *d, struct span text);

/** directory_again(d): it is up: claim all that we hold, and what waits. */
void directory_again(struct directory *d);

/** directory_renew(d): what is due. */
void directory_renew(struct directory *d);

/** directory_give_up(d): the fence of a claim is near, as its renewals failed:
 * what others may soon take is not ours any more. */
void directory_give_up(struct directory *d);

/** directory_leases_free(d): forget all. */
void directory_leases_free(struct directory *d);

#endif
