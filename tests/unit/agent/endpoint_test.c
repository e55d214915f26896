#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/net/endpoint.h"

/* An endpoint whose links are none: the test says what becomes of them. */

#define LINKS 3

struct link {
	const struct link_config *config;
	bool ready;
};

static struct link links[LINKS];
static size_t dialled;
static int64_t now_ms;

struct link *__wrap_link_dial(struct ws_target *target, const char *address,
    const struct link_config *config, uint64_t id, struct err *err);
void __wrap_link_free(struct link *l);
uint64_t __wrap_link_id(const struct link *l);
bool __wrap_link_is_ready(const struct link *l);
const struct link_facts *__wrap_link_facts(const struct link *l);
int64_t __wrap_link_tick(struct link *l);
void __wrap_link_close(struct link *l, unsigned code, const char *why);
void __wrap_link_retire(struct link *l);

struct link *
__wrap_link_dial(struct ws_target *target, const char *address,
    const struct link_config *config, uint64_t id, struct err *err)
{
	(void)target;
	(void)address;
	(void)id;
	(void)err;
	assert_true(dialled < LINKS);
	links[dialled].config = config;
	return &links[dialled++];
}

void
__wrap_link_free(struct link *l)
{
	l->config = NULL;
}

uint64_t
__wrap_link_id(const struct link *l)
{
	return (uint64_t)(l - links) + 1;
}

bool
__wrap_link_is_ready(const struct link *l)
{
	return l->ready;
}

const struct link_facts *
__wrap_link_facts(const struct link *l)
{
	static const struct link_facts facts;

	(void)l;
	return &facts;
}

int64_t
__wrap_link_tick(struct link *l)
{
	(void)l;
	return INT64_MAX;
}

/* Its relay does not answer: over comes when the test says so. */
void
__wrap_link_close(struct link *l, unsigned code, const char *why)
{
	(void)l;
	(void)code;
	(void)why;
}

void
__wrap_link_retire(struct link *l)
{
	(void)l;
}

static int64_t
clock_ms(void *arg)
{
	(void)arg;
	return now_ms;
}

static void
changed(void *arg, struct endpoint *e)
{
	(void)arg;
	(void)e;
}

static void
becomes_ready(struct link *l)
{
	l->ready = true;
	l->config->ready(l->config->arg, l);
}

static void
goes_away(struct link *l)
{
	static const struct frame_goaway goaway;

	l->config->goaway(l->config->arg, l, &goaway);
}

static void
is_over(struct link *l)
{
	l->config->over(l->config->arg, l, TUNNEL_CLOSE_LOST, "lost");
}

/* A link that was replaced twice is known to nobody, but still calls back. */
static void
idle_without_any_link(void **state)
{
	uint64_t last_link = 0;
	const struct endpoint_options options = { .url = "wss://relay",
		.address = "192.0.2.1",
		.link = { .clock = { clock_ms, clock_ms, NULL } },
		.last_link = &last_link,
		.changed = changed };
	struct endpoint *e;
	size_t i;

	(void)state;
	now_ms = 1000;
	e = endpoint_new(&options, now_ms);
	assert_non_null(e);
	assert_true(endpoint_is_idle(e));
	for (i = 0; i < LINKS; i++) {
		now_ms += 100000; /* longer than any back-off */
		(void)endpoint_tick(e, now_ms);
		assert_int_equal(dialled, i + 1);
		becomes_ready(&links[i]);
		if (i + 1 < LINKS)
			goes_away(&links[i]);
	}
	is_over(&links[1]);
	is_over(&links[2]);
	assert_false(endpoint_is_idle(e));
	is_over(&links[0]);
	assert_true(endpoint_is_idle(e));
	endpoint_free(e);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(idle_without_any_link),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
