#include "tests/bench/driver/commands.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	command_fn *run;
} commands[] = {
	{ "keys", command_keys },
	{ "backend", command_backend },
	{ "agents", command_agents },
	{ "load", command_load },
};

enum kind { TEXT, NUMBER, FLAG, ADDRESS, PIDS };

#define AT(field) offsetof(struct options, field)

static const struct {
	const char *name;
	enum kind kind;
	size_t at;
} flags[] = {
	{ "to", ADDRESS, AT(to) },
	{ "check", ADDRESS, AT(check) },
	{ "plain", FLAG, AT(plain) },
	{ "fresh", FLAG, AT(fresh) },
	{ "cert", TEXT, AT(cert) },
	{ "key", TEXT, AT(key) },
	{ "base", TEXT, AT(base) },
	{ "token", TEXT, AT(token) },
	{ "action", TEXT, AT(action) },
	{ "first", NUMBER, AT(first) },
	{ "count", NUMBER, AT(count) },
	{ "connections", NUMBER, AT(connections) },
	{ "rate", NUMBER, AT(rate) },
	{ "seconds", NUMBER, AT(seconds) },
	{ "warm-ms", NUMBER, AT(warm_ms) },
	{ "delay-ms", NUMBER, AT(delay_ms) },
	{ "ping", FLAG, AT(ping) },
	{ "stuck", FLAG, AT(stuck) },
	{ "most", NUMBER, AT(most) },
	{ "retry-ms", NUMBER, AT(retry_ms) },
	{ "jitter-ms", NUMBER, AT(jitter_ms) },
	{ "backoff", FLAG, AT(backoff) },
	{ "pid", PIDS, AT(pids) },
};

#define FLAGS (sizeof(flags) / sizeof(flags[0]))

static int
set(struct options *o, size_t i, const char *value, struct err *err)
{
	char *at = (char *)o + flags[i].at, *end;
	uint32_t number;
	bool yes = true;

	switch (flags[i].kind) {
	case TEXT:
		memcpy(at, &value, sizeof(value));
		return 0;
	case FLAG:
		memcpy(at, &yes, sizeof(yes));
		return 0;
	case ADDRESS:
		if (flags[i].at == AT(check))
			o->has_check = true;
		return wire_address(
		    flags[i].at == AT(check) ? &o->check : &o->to, value, err);
	case NUMBER:
	case PIDS:
		break;
	}
	number = (uint32_t)strtoul(value, &end, 10);
	if (*value == '\0' || *end != '\0')
		return err_set(err, ERR_USAGE, "--%s %s: want a number",
		    flags[i].name, value);
	if (flags[i].kind == NUMBER)
		memcpy(at, &number, sizeof(number));
	else if (o->pid_count < PIDS_MAX)
		o->pids[o->pid_count++] = (int)number;
	return 0;
}

static int
parse(struct options *o, int argc, char **argv, struct err *err)
{
	struct option longs[FLAGS + 1];
	int c;

	memset(longs, 0, sizeof(longs));
	for (size_t i = 0; i < FLAGS; i++)
		longs[i] = (struct option){ .name = flags[i].name,
			.has_arg = flags[i].kind == FLAG ? no_argument
							 : required_argument,
			.val = (int)i + 256 };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (c < 256 || set(o, (size_t)c - 256, optarg, err) != 0)
			return c < 256 ? err_set(err, ERR_USAGE,
					     "see tests/bench/driver/main.c")
				       : -1;
	if (o->count == 0 || o->connections == 0)
		return err_set(
		    err, ERR_USAGE, "--count and --connections: at least 1");
	return 0;
}

static void
no_mail(void *arg, struct mail *mail)
{
	(void)arg;
	(void)mail;
}

int
main(int argc, char **argv)
{
	struct options o = { .base = "/sev",
		.token = "none",
		.action = "launch",
		.count = 1,
		.connections = 1,
		.seconds = 5,
		.warm_ms = 500,
		.most = 1000000,
		.retry_ms = 100,
		.jitter_ms = 400 };
	static struct loop *loop;
	struct err err;
	int rc = 2;

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (argc < 2 || strcmp(argv[1], commands[i].name) != 0)
			continue;
		rc = 1;
		if (parse(&o, argc - 1, argv + 1, &err) == 0 &&
		    loop_new(&loop, no_mail, NULL, &err) == 0 &&
		    commands[i].run(&o, loop, &err) == 0)
			return 0;
		fprintf(stderr, "relay-bench: %s\n", err.msg);
	}
	if (rc == 2)
		fprintf(stderr,
		    "usage: relay-bench keys|backend|agents|load FLAGS\n");
	return rc;
}
