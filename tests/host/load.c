#include "tests/host/load.h"

#include <jansson.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/host/file.h"

#define LATE_MS 100 /* behind its time, as no host was free */

/* What is launched: a UUID, and the secret that must come of it. */
struct target {
	const char *uuid;
	struct secret expect; /* ptr NULL: any */
};

struct targets {
	struct target *list; /* owned */
	size_t count;
	struct secret file; /* what the UUIDs point into */
};

/* What all hosts have in common: what is next, and when. */
struct pace {
	double start_ms;
	double period_ms; /* between two launches; 0: no rate */
	double until_ms;  /* of the last one; 0: each host has its number */
	unsigned long last;
	atomic_ulong next;
};

/* One launch that is due. */
struct turn {
	unsigned long number;
	double due_ms;
};

/* One thread's work and its result. */
struct worker {
	pthread_t thread;
	const struct targets *targets;
	struct machine *m;
	const struct options *o;
	struct pace *pace;
	unsigned number;
	bool running;
	double *took_ms; /* owned, one a launch that went well */
	size_t took_cap;
	unsigned long begun, late, ok, outcomes[HOST_WRONG + 1], mixed;
	struct tally tally;
	struct err first; /* failure, for a person */
};

static int
add_line(struct targets *t, char *line, struct err *err)
{
	char *secret = strpbrk(line, " \t");
	struct target *more;

	if (secret != NULL)
		*secret++ = '\0';
	more = realloc(t->list, (t->count + 1) * sizeof(*more));
	if (more == NULL)
		return err_set(err, ERR_MEMORY, "no memory for UUIDs");
	t->list = more;
	t->list[t->count] = (struct target){ .uuid = line };
	if (secret != NULL &&
	    secret_copy(&t->list[t->count].expect, span_str(secret), err) != 0)
		return -1;
	t->count++;
	return 0;
}

static int
targets_load(struct targets *t, const struct options *o,
    const struct secret *expect, struct err *err)
{
	char *line, *next = NULL;
	struct span raw;

	if (o->uuid_file == NULL) {
		t->list = calloc(1, sizeof(*t->list));
		if (t->list == NULL)
			return err_set(err, ERR_MEMORY, "no memory");
		t->count = 1;
		t->list[0].uuid = o->uuid;
		return expect->ptr == NULL
		    ? 0
		    : secret_copy(&t->list[0].expect, secret_span(expect), err);
	}
	if (file_read(&t->file, o->uuid_file, err) != 0)
		return -1;
	raw = secret_span(&t->file);
	/* secret_alloc() left a zero byte behind the last. */
	for (line = raw.len == 0 ? NULL
				 : strtok_r((char *)t->file.ptr, "\n", &next);
	     line != NULL; line = strtok_r(NULL, "\n", &next))
		if (add_line(t, line, err) != 0)
			return -1;
	if (t->count == 0)
		return err_set(err, ERR_USAGE, "%s: no UUID", o->uuid_file);
	return 0;
}

static void
targets_free(struct targets *t)
{
	for (size_t i = 0; i < t->count; i++)
		secret_free(&t->list[i].expect);
	free(t->list);
	secret_free(&t->file);
}

static void
note_time(struct worker *w, double took_ms)
{
	size_t cap = w->took_cap == 0 ? 64 : w->took_cap * 2;
	double *more;

	if (w->ok == w->took_cap) {
		more = realloc(w->took_ms, cap * sizeof(*more));
		if (more == NULL)
			abort();
		w->took_ms = more;
		w->took_cap = cap;
	}
	w->took_ms[w->ok++] = took_ms;
}

/* The next launch of this host, once it is due.  False: that was all. */
static bool
next_turn(struct turn *out, struct worker *w)
{
	struct pace *p = w->pace;
	struct timespec due;

	*out = (struct turn){ .number = w->number + w->begun,
		.due_ms = post_now_ms() };
	if (p->until_ms == 0)
		return w->begun < w->o->launches;
	if (p->period_ms == 0)
		return out->due_ms < p->until_ms;
	out->number = atomic_fetch_add(&p->next, 1);
	out->due_ms = p->start_ms + (double)out->number * p->period_ms;
	if (out->number >= p->last)
		return false;
	if (post_now_ms() > out->due_ms + LATE_MS)
		w->late++;
	due.tv_sec = (time_t)(out->due_ms / 1e3);
	due.tv_nsec = (long)((out->due_ms - (double)due.tv_sec * 1e3) * 1e6);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) ==
	    EINTR)
		continue;
	return true;
}

static void
one_launch(struct worker *w, struct host *h, const struct turn *turn)
{
	const struct target *target =
	    &w->targets->list[turn->number % w->targets->count];
	struct secret secret = { 0 };
	struct err err = { 0 };
	enum outcome rc = host_launch(&secret, h, target->uuid, &err);

	if (rc == HOST_OK && target->expect.ptr != NULL &&
	    !secret_equal(secret_span(&secret), secret_span(&target->expect))) {
		rc = HOST_WRONG;
		err_set(&err, ERR_UNTRUSTED, "another VM's secret");
	}
	if (rc == HOST_WRONG || (rc == HOST_PSP && err.code == ERR_CONFLICT))
		w->mixed++;
	w->outcomes[rc]++;
	if (rc == HOST_OK)
		note_time(w, post_now_ms() - turn->due_ms);
	else if (w->first.code == ERR_NONE)
		w->first = err;
	secret_free(&secret);
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct host h = { 0 };
	struct turn turn;

	if (host_open(&h, w->m, w->o, &w->first) != HOST_OK) {
		w->begun = w->outcomes[HOST_USAGE] = w->o->launches;
		return NULL;
	}
	while (next_turn(&turn, w)) {
		w->begun++;
		one_launch(w, &h, &turn);
	}
	w->tally = h.tally;
	host_close(&h);
	return NULL;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Latencies of all workers, as percentiles. */
static json_t *
latencies(const struct worker *workers, unsigned count, size_t total)
{
	double *all = calloc(total + 1, sizeof(*all));
	json_t *out = NULL;
	size_t n = 0;

	if (all == NULL)
		return NULL;
	for (unsigned i = 0; i < count; i++)
		for (size_t k = 0; k < workers[i].ok; k++)
			all[n++] = workers[i].took_ms[k];
	qsort(all, n, sizeof(*all), by_size);
	if (n > 0)
		out = json_pack("{s:f, s:f, s:f}", "p50", all[n / 2], "p99",
		    all[n * 99 / 100], "max", all[n - 1]);
	free(all);
	return out;
}

static json_t *
statuses(const struct worker *workers, unsigned count)
{
	json_t *out = json_object();

	for (int s = 0; s < TALLY_STATUSES; s++) {
		unsigned long n = 0;
		char name[24];

		for (unsigned i = 0; i < count; i++)
			n += workers[i].tally.statuses[s];
		if (n == 0)
			continue;
		(void)snprintf(name, sizeof(name), "%d", s);
		(void)json_object_set_new(out,
		    s == 0 ? "connection-lost" : name,
		    json_integer((json_int_t)n));
	}
	return out;
}

static enum outcome
summary(const struct worker *workers, const struct options *o, double took_ms)
{
	unsigned long sum[HOST_WRONG + 1] = { 0 }, mixed = 0, retries = 0;
	unsigned long want = 0, late = 0;
	const char *why = NULL;
	json_t *out;

	for (unsigned i = 0; i < o->hosts; i++) {
		for (int k = 0; k <= HOST_WRONG; k++)
			sum[k] += workers[i].outcomes[k];
		want += workers[i].begun;
		late += workers[i].late;
		mixed += workers[i].mixed;
		retries += workers[i].tally.retries;
		if (why == NULL && workers[i].first.code != ERR_NONE)
			why = workers[i].first.msg;
	}
	out = json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, "
			"s:f, s:o, s:o*, s:s*}",
	    "hosts", (int)o->hosts, "begun", (json_int_t)want, "late",
	    (json_int_t)late, "ok", (json_int_t)sum[HOST_OK], "lost",
	    (json_int_t)(want - sum[HOST_OK] - mixed), "mixed-up",
	    (json_int_t)mixed, "refused", (json_int_t)sum[HOST_REFUSED],
	    "unreachable", (json_int_t)sum[HOST_UNREACHABLE], "retries",
	    (json_int_t)retries, "seconds", took_ms / 1e3, "launches-per-s",
	    took_ms > 0 ? (double)sum[HOST_OK] * 1e3 / took_ms : 0.0,
	    "statuses", statuses(workers, o->hosts), "latency-ms",
	    latencies(workers, o->hosts, sum[HOST_OK]), "first-failure", why);
	if (out == NULL)
		return HOST_USAGE;
	(void)json_dumpf(out, stdout, JSON_REAL_PRECISION(6));
	(void)putchar('\n');
	json_decref(out);
	if (mixed > 0)
		return HOST_WRONG;
	if (sum[HOST_OK] == want)
		return HOST_OK;
	return sum[HOST_REFUSED] > 0 ? HOST_REFUSED : HOST_UNREACHABLE;
}

enum outcome
load_run(struct machine *m, const struct options *o,
    const struct secret *expect, struct err *err)
{
	struct worker *workers = calloc(o->hosts, sizeof(*workers));
	struct targets targets = { 0 };
	enum outcome rc = HOST_USAGE;
	struct pace pace = { 0 };

	if (workers == NULL || targets_load(&targets, o, expect, err) != 0)
		goto out;
	pace.start_ms = post_now_ms();
	if (o->seconds > 0)
		pace.until_ms = pace.start_ms + o->seconds * 1e3;
	if (o->rate > 0)
		pace.period_ms = 1e3 / o->rate;
	pace.last = (unsigned long)o->seconds * o->rate;
	for (unsigned i = 0; i < o->hosts; i++) {
		struct worker *w = &workers[i];

		w->targets = &targets;
		w->m = m;
		w->o = o;
		w->pace = &pace;
		w->number = i;
		w->running = pthread_create(&w->thread, NULL, work, w) == 0;
		if (!w->running)
			w->begun = w->outcomes[HOST_USAGE] = o->launches;
	}
	for (unsigned i = 0; i < o->hosts; i++)
		if (workers[i].running)
			(void)pthread_join(workers[i].thread, NULL);
	rc = summary(workers, o, post_now_ms() - pace.start_ms);
	err_set(err, ERR_UNTRUSTED, "not every launch went well");
out:
	for (unsigned i = 0; workers != NULL && i < o->hosts; i++)
		free(workers[i].took_ms);
	free(workers);
	targets_free(&targets);
	return rc;
}
