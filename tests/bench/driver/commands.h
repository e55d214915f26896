#ifndef TESTS_BENCH_DRIVER_COMMANDS_H
#define TESTS_BENCH_DRIVER_COMMANDS_H

#include "tests/bench/driver/host.h"

/* The commands of relay-bench, and what the command line tells them. */

#define PIDS_MAX 8

struct options {
	struct sockaddr_in to;    /* what is dialled, or listened on */
	struct sockaddr_in check; /* agents: where hosts ask */
	bool has_check;
	bool plain;       /* load: no TLS */
	bool fresh;       /* load: a connection for each request */
	const char *cert; /* PEM, with key; or NULL */
	const char *key;
	const char *base;
	const char *token;
	const char *action;
	uint32_t first;       /* number of the first VM */
	uint32_t count;       /* VMs, or agents at once */
	uint32_t connections; /* load */
	uint32_t rate;        /* requests a second; 0: closed loop */
	uint32_t seconds;
	uint32_t warm_ms;   /* not counted */
	uint32_t delay_ms;  /* agents: before they answer */
	bool ping;          /* agents: measure round trips */
	bool stuck;         /* agents: never end the answer to /validate */
	uint32_t most;      /* agents: dials under way at once */
	uint32_t retry_ms;  /* agents: before they dial again ... */
	uint32_t jitter_ms; /* ... and up to so much more */
	bool backoff;       /* agents: as attest-agent does it, instead */
	int pids[PIDS_MAX]; /* load: whose processor time to tell */
	uint32_t pid_count;
};

typedef int command_fn(
    const struct options *o, struct loop *loop, struct err *err);

command_fn command_keys;    /* agents' keys and VMs, for relay.yaml */
command_fn command_backend; /* the plain server behind the peers */
command_fn command_agents;  /* tunnels */
command_fn command_load;    /* hosts */

#endif
