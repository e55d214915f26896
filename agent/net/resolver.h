#ifndef AGENT_NET_RESOLVER_H
#define AGENT_NET_RESOLVER_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/*
 * Names to addresses on a thread of its own: getaddrinfo() may take many
 * seconds, in which the tunnels that stand must not wait.
 */

#define RESOLVER_ADDRESSES 16 /* of one name; more are left out */
#define RESOLVER_TEXT_LEN 46  /* INET6_ADDRSTRLEN */

struct resolver;

struct resolver_answer {
	struct resolver_answer *next;
	unsigned tag; /* of the question */
	char host[256];
	size_t count; /* 0: ${why} */
	char addresses[RESOLVER_ADDRESSES]
		      [RESOLVER_TEXT_LEN]; /* no two alike */
	char why[100];
};

/**
 * resolver_start(out, wake, arg, err):
 * ${wake}, called from the resolver's thread, says that there are answers.
 *   errors  ERR_MEMORY, ERR_IO
 */
int resolver_start(
    struct resolver **out, void (*wake)(void *arg), void *arg, struct err *err);

/** resolver_stop(r): no wake follows.  Does not wait for a look-up under way.
 * NULL is fine. */
void resolver_stop(struct resolver *r);

/** resolver_ask(r, tag, host): its answer will have ${tag}.  -1: no memory */
int resolver_ask(struct resolver *r, unsigned tag, const char *host);

/** resolver_take(r): all answers, oldest first; free() each. */
struct resolver_answer *resolver_take(struct resolver *r);

#endif
