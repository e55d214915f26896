#include "tests/unit/agent/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/vault/vault_receipt.h"

/*
 * Random schedules of faults: messages between hosts and the vault are lost,
 * doubled and late, hosts and the vault are killed at any moment.  A checker
 * compares what was answered with the owner's log.  SCHEDULES=2000 in the
 * environment runs so many; SEED=N one of them.
 */

#define SCHEDULES 30
#define STEPS 40
#define HOSTS 3
#define FLIGHT_MAX 24
#define RELEASES_MAX 64

enum stage { LAUNCHING, MEASURED, SERVED };

/* A compute host, which repeats itself until it is answered. */
struct host {
	enum stage stage;
	uint32_t life; /* rises with each kill: late answers are not for it */
	uint32_t guest;
	struct vault_validate measure;
};

struct message {
	bool validate;
	size_t host;
	uint32_t life;
	struct vault_launch launch;
	struct vault_validate measure;
};

/* Every release that was answered, whoever heard of it. */
struct release {
	struct sev_measure measure;
	struct vault_validate_answer answer;
};

static struct lab lab;
static struct host hosts[HOSTS];
static struct message *flight[FLIGHT_MAX];
static size_t flying;
static struct release releases[RELEASES_MAX];
static size_t release_count;
static uint64_t dice;

static uint32_t
roll(uint32_t below)
{
	dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(dice >> 33) % below;
}

static void
say(size_t h)
{
	struct message *m;

	if (flying == FLIGHT_MAX)
		return; /* lost */
	m = calloc(1, sizeof(*m));
	assert_non_null(m);
	m->host = h;
	m->life = hosts[h].life;
	m->validate = hosts[h].stage != LAUNCHING;
	if (m->validate)
		m->measure = hosts[h].measure;
	else
		lab_message(&m->launch, &lab);
	flight[flying++] = m;
}

static void
drop(size_t at)
{
	free(flight[at]);
	flight[at] = flight[--flying];
}

static bool
same(const struct sev_measure *a, const struct sev_measure *b)
{
	return memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 &&
	    memcmp(a->nonce, b->nonce, sizeof(a->nonce)) == 0;
}

/* Whoever asks again gets the very bytes. */
static void
note_release(
    const struct vault_validate *m, const struct vault_validate_answer *a)
{
	size_t i;

	for (i = 0; i < release_count; i++)
		if (same(&releases[i].measure, &m->measure)) {
			assert_int_equal(
			    a->payload_len, releases[i].answer.payload_len);
			assert_memory_equal(a->payload,
			    releases[i].answer.payload, a->payload_len);
			assert_memory_equal(a->header,
			    releases[i].answer.header, sizeof(a->header));
			return;
		}
	assert_true(release_count < RELEASES_MAX);
	releases[release_count].measure = m->measure;
	releases[release_count++].answer = *a;
}

static void
hear_launch(const struct message *m, const struct vault_launch_answer *a)
{
	struct host *h = &hosts[m->host];

	if (m->life != h->life || h->stage != LAUNCHING)
		return; /* late */
	h->guest = lab_start(&lab, a);
	lab_measure(&h->measure, &lab, h->guest);
	h->stage = MEASURED;
}

static void
hear_release(const struct message *m, const struct vault_validate_answer *a)
{
	struct host *h = &hosts[m->host];

	if (m->life != h->life || h->stage != MEASURED)
		return;
	assert_true(lab_opens(&lab, h->guest, a, "web1"));
	h->stage = SERVED;
}

/* One message reaches the vault, which may be killed before its commit or
 * after it; the answer may be lost. */
static void
deliver(size_t at, bool kill_before, bool kill_after, bool lost)
{
	static struct vault_launch_answer launch;
	static struct vault_validate_answer release;
	struct message m = *flight[at];
	struct err err = { 0 };

	if (roll(4) != 0) /* else it comes once more, later */
		drop(at);
	assert_int_equal(vault_begin(lab.vault, &err), 0);
	if (m.validate)
		vault_validate(&release, lab.vault, &m.measure);
	else
		vault_launch(&launch, lab.vault, &m.launch);
	if (kill_before) {
		lab_reopen(&lab);
		return;
	}
	if (vault_commit(lab.vault, &err) != 0)
		fail_msg("%s", err.msg);
	if (kill_after)
		lab_reopen(&lab);
	if (m.validate)
		lab_outcome(release.outcome, VAULT_OK);
	else
		lab_outcome(launch.outcome, VAULT_OK);
	if (m.validate)
		note_release(&m.measure, &release);
	if (lost)
		return;
	if (m.validate)
		hear_release(&m, &release);
	else
		hear_launch(&m, &launch);
}

static void
kill_host(size_t h)
{
	hosts[h] = (struct host){ .life = hosts[h].life + 1 };
}

static void
step(void)
{
	switch (roll(8)) {
	case 0:
	case 1:
	case 2:
		say(roll(HOSTS));
		break;
	case 3:
		if (flying > 0)
			drop(roll((uint32_t)flying));
		break;
	case 4:
		if (roll(6) == 0)
			kill_host(roll(HOSTS));
		break;
	default:
		if (flying > 0)
			deliver(roll((uint32_t)flying), roll(6) == 0,
			    roll(6) == 0, roll(4) == 0);
	}
	lab.boot_ms += 10;
	lab.wall_ms += 10;
}

struct counts {
	size_t released, receipts, alarms;
};

static int
count_line(void *arg, const struct store_audit *row)
{
	struct counts *c = arg;

	c->released += strcmp(row->event, "released") == 0 ? 1 : 0;
	c->alarms += strcmp(row->event, "ALARM") == 0 ? 1 : 0;
	return 0;
}

static int
count_receipt(void *arg, const struct vault_receipt *r)
{
	struct counts *c = arg;

	(void)r;
	c->receipts++;
	return 0;
}

/* Every start comes to its end once the faults are over, and log, counter and
 * receipts tell of as many releases as were answered: none twice, none
 * unlogged. */
static void
finish(void)
{
	struct counts c = { 0 };
	struct err err = { 0 };
	uint64_t lines = 0;
	size_t h;

	while (flying > 0)
		deliver(flying - 1, false, false, true);
	for (h = 0; h < HOSTS; h++)
		while (hosts[h].stage != SERVED) {
			say(h);
			while (flying > 0)
				deliver(flying - 1, false, false, false);
		}
	assert_int_equal(vault_log_verify(lab.vault, &lines, &err), 0);
	assert_int_equal(
	    vault_log(lab.vault, 0, NULL, count_line, &c, &err), 0);
	assert_int_equal(
	    vault_receipt_each(lab.vault, 0, count_receipt, &c, &err), 0);
	assert_int_equal(c.released, lab_released(&lab));
	assert_int_equal(c.receipts, c.released);
	assert_int_equal(c.alarms, 0);
	/* A release whose vault died before it answered is asked for again by
	 * its host; one whose host died, too, was logged and never heard. */
	assert_true(release_count <= c.released);
}

static void
run(uint64_t seed)
{
	size_t i;

	dice = seed;
	release_count = 0;
	memset(hosts, 0, sizeof(hosts));
	lab_open(&lab);
	lab_register(&lab, "web1", NULL);
	for (i = 0; i < STEPS; i++)
		step();
	finish();
	lab_close(&lab);
}

static void
schedules(void **state)
{
	const char *count = getenv("SCHEDULES");
	const char *seed = getenv("SEED");
	unsigned long most =
	    count != NULL ? strtoul(count, NULL, 10) : SCHEDULES;
	unsigned long i;

	(void)state;
	if (seed != NULL) {
		run(strtoull(seed, NULL, 10));
		return;
	}
	for (i = 1; i <= most; i++) {
		/* The last one said is the one that failed. */
		if (getenv("VERBOSE") != NULL)
			print_message("SEED=%lu\n", i);
		run(i);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(schedules),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
