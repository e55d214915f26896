#include "tests/bench/driver/commands.h"

#include "common/clock.h"
#include "tests/bench/driver/histogram.h"
#include "tests/bench/driver/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Many agents.  Lines on the standard input say how many there shall be ("add
 * 1000"); a line on the output says when all are up, and, with --check, when a
 * host has had a right answer through every tunnel since it came.
 */

#define CHECKERS 32
#define CHECK_AGAIN_MS 20

struct agent {
	TAILQ_ENTRY(agent) waiting;
	struct agents *all;
	uint32_t number;
	struct link *now; /* NULL: none */
	struct link *old; /* serves until another is up */
	bool dialling;
	bool up;
	bool answered;
	unsigned tries;
	uint64_t lost_at_ms;
	struct loop_timer dial;
};

TAILQ_HEAD(agent_list, agent);

struct agents {
	const struct options *o;
	struct loop *loop;
	struct link_settings settings;
	struct host_target target;
	struct agent *list;
	uint32_t count;
	uint32_t up;
	uint32_t answered;
	uint32_t dialling;
	uint64_t losses;
	uint64_t refused; /* answers to checks */
	bool told;
	struct agent_list to_dial;  /* while too many dials are under way */
	struct agent_list to_check; /* up, and not asked yet */
	struct host *checkers[CHECKERS];
	bool busy[CHECKERS];
	struct loop_timer check_again;
	struct loop_fd commands;
	struct histogram claim_us;
	struct histogram ping_us;
};

static void
tell(struct agents *a)
{
	bool whole =
	    a->up == a->count && (!a->o->has_check || a->answered == a->count);

	if (!whole) {
		a->told = false;
		return;
	}
	if (a->told)
		return;
	a->told = true;
	printf("{\"event\":\"up\",\"tunnels\":%u,\"at_ms\":%llu,"
	       "\"losses\":%llu,\"refused\":%llu,\"claim_p50_us\":%llu,"
	       "\"claim_max_us\":%llu,\"ping_p50_us\":%llu}\n",
	    a->count, (unsigned long long)clock_ms(),
	    (unsigned long long)a->losses, (unsigned long long)a->refused,
	    (unsigned long long)histogram_at(&a->claim_us, 0.5),
	    (unsigned long long)a->claim_us.max,
	    (unsigned long long)histogram_at(&a->ping_us, 0.5));
	fflush(stdout);
}

/*
 * Dialling.
 */

static void on_up(
    void *arg, struct link *l, uint64_t claim_us, uint64_t ping_us);
static void on_move(
    void *arg, struct link *l, uint32_t min_ms, uint32_t max_ms);
static void on_gone(void *arg, struct link *l, const char *why);

static const struct link_ops agent_link = {
	.up = on_up,
	.move = on_move,
	.gone = on_gone,
};

/* As agent/net/backoff.h: under a cap of 0.5 s six times, which doubles then. */
static uint64_t
wait_ms(struct agent *agent)
{
	const struct options *o = agent->all->o;
	uint32_t cap = o->jitter_ms, least = o->retry_ms;

	if (o->backoff) {
		least = 20;
		if (agent->tries < 12)
			agent->tries++;
		cap = 500u << (agent->tries > 6 ? agent->tries - 6 : 0);
	}
	return least + (cap > 0 ? (uint32_t)random() % cap : 0);
}

static void
settled(struct agent *agent)
{
	struct agents *a = agent->all;
	struct agent *next;

	if (!agent->dialling)
		return;
	agent->dialling = false;
	a->dialling--;
	next = TAILQ_FIRST(&a->to_dial);
	if (next == NULL)
		return;
	TAILQ_REMOVE(&a->to_dial, next, waiting);
	loop_timer_set(&next->dial, 0);
}

static void
dial(void *arg)
{
	struct agent *agent = arg;
	struct agents *a = agent->all;

	if (a->dialling >= a->o->most) {
		TAILQ_INSERT_TAIL(&a->to_dial, agent, waiting);
		return;
	}
	agent->dialling = true;
	a->dialling++;
	agent->now =
	    link_dial(&a->settings, a->loop, agent->number, &agent_link, agent);
	if (agent->now == NULL) {
		settled(agent);
		loop_timer_set(&agent->dial, wait_ms(agent));
	}
}

static void
lower(struct agent *agent)
{
	struct agents *a = agent->all;

	if (agent->up && !agent->answered && a->o->has_check)
		TAILQ_REMOVE(&a->to_check, agent, waiting);
	if (agent->up)
		a->up--;
	if (agent->answered)
		a->answered--;
	agent->up = agent->answered = false;
	tell(a);
}

static void
on_gone(void *arg, struct link *l, const char *why)
{
	struct agent *agent = arg;

	(void)why;
	link_free(l);
	if (l == agent->old) {
		agent->old = NULL;
		if (agent->now == NULL || agent->dialling) {
			agent->all->losses++;
			lower(agent);
		}
		return;
	}
	agent->now = NULL;
	settled(agent);
	if (agent->old == NULL) {
		if (agent->up)
			agent->all->losses++;
		lower(agent);
	}
	loop_timer_set(&agent->dial, wait_ms(agent));
}

/* Make before break (docs/protocol.md 12.5). */
static void
on_move(void *arg, struct link *l, uint32_t min_ms, uint32_t max_ms)
{
	struct agent *agent = arg;

	if (l != agent->now || agent->old != NULL)
		return;
	agent->old = l;
	agent->now = NULL;
	loop_timer_set(
	    &agent->dial, min_ms + (uint32_t)random() % (max_ms - min_ms + 1));
}

/*
 * Checks.
 */

static void
check_some(void *arg)
{
	struct agents *a = arg;
	struct agent *agent;

	for (int i = 0; i < CHECKERS; i++) {
		if (a->busy[i])
			continue;
		agent = TAILQ_FIRST(&a->to_check);
		if (agent == NULL)
			return;
		/* To the end: with a wrong answer it comes again. */
		TAILQ_REMOVE(&a->to_check, agent, waiting);
		TAILQ_INSERT_TAIL(&a->to_check, agent, waiting);
		a->busy[i] = true;
		host_post(a->checkers[i], agent->number);
	}
}

static void
on_checked(void *arg, struct host *h, enum host_result result)
{
	struct agents *a = arg;
	struct agent *agent = &a->list[host_vm(h) - a->o->first];

	for (int i = 0; i < CHECKERS; i++)
		if (a->checkers[i] == h)
			a->busy[i] = false;
	if (result == HOST_OK && agent->up && !agent->answered) {
		TAILQ_REMOVE(&a->to_check, agent, waiting);
		agent->answered = true;
		a->answered++;
		tell(a);
	}
	if (result == HOST_OK) {
		check_some(a);
		return;
	}
	a->refused++;
	loop_timer_set(&a->check_again, CHECK_AGAIN_MS);
}

static void
on_up(void *arg, struct link *l, uint64_t claim_us, uint64_t ping_us)
{
	struct agent *agent = arg;
	struct agents *a = agent->all;

	histogram_add(&a->claim_us, claim_us);
	histogram_add(&a->ping_us, ping_us);
	settled(agent);
	agent->tries = 0;
	if (agent->old != NULL && l == agent->now)
		link_leave(agent->old);
	if (agent->up)
		return;
	agent->up = true;
	a->up++;
	if (a->o->has_check) {
		TAILQ_INSERT_TAIL(&a->to_check, agent, waiting);
		check_some(a);
	}
	tell(a);
}

/*
 * Commands.
 */

static void
add(struct agents *a, uint32_t more)
{
	if (more > a->o->count - a->count)
		more = a->o->count - a->count;
	a->told = false;
	a->count += more;
	for (uint32_t i = a->count - more; i < a->count; i++) {
		struct agent *agent = &a->list[i];

		agent->all = a;
		agent->number = a->o->first + i;
		loop_timer_init(&agent->dial, a->loop, dial, agent);
		dial(agent);
	}
}

static void
on_command(void *arg, unsigned events)
{
	struct agents *a = arg;
	char line[64];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);

	(void)events;
	if (n <= 0) {
		loop_stop(a->loop);
		return;
	}
	line[n] = '\0';
	if (strncmp(line, "add ", 4) == 0)
		add(a, (uint32_t)strtoul(line + 4, NULL, 10));
}

static int
make_checkers(struct agents *a, struct err *err)
{
	const struct options *o = a->o;

	a->target = (struct host_target){ .ctx = a->settings.ctx,
		.to = o->check,
		.base = o->base,
		.action = o->action,
		.token = o->token };
	for (int i = 0; i < CHECKERS; i++) {
		a->checkers[i] = host_new(&a->target, a->loop, on_checked, a);
		if (a->checkers[i] == NULL)
			return err_set(err, ERR_MEMORY, "no memory");
	}
	return 0;
}

int
command_agents(const struct options *o, struct loop *loop, struct err *err)
{
	static struct agents a;

	a.o = o;
	a.loop = loop;
	a.settings = (struct link_settings){ .to = o->to,
		.base = o->base,
		.delay_ms = o->delay_ms,
		.ping = o->ping,
		.stuck = o->stuck,
		.keys = calloc(o->count, sizeof(struct evp_pkey_st *)),
		.first = o->first };
	TAILQ_INIT(&a.to_dial);
	TAILQ_INIT(&a.to_check);
	loop_timer_init(&a.check_again, loop, check_some, &a);
	a.list = calloc(o->count, sizeof(*a.list));
	if (a.list == NULL || a.settings.keys == NULL)
		return err_set(err, ERR_MEMORY, "no memory");
	a.settings.ctx = wire_client_ctx(o->cert, o->key, err);
	if (a.settings.ctx == NULL || make_checkers(&a, err) != 0 ||
	    loop_fd_init(
		&a.commands, loop, STDIN_FILENO, on_command, &a, err) != 0)
		return -1;
	loop_fd_want(&a.commands, LOOP_READ);
	return loop_run(loop, err);
}
