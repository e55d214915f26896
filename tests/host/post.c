#include "tests/host/post.h"

#include <stdio.h>
#include <time.h>

#include "common/uuid.h"
#include "tests/host/answers.h"

#define TRY_MS_MAX 30000.0

double
post_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
rest_ms(double ms)
{
	struct timespec t;

	t.tv_sec = (time_t)(ms / 1e3);
	t.tv_nsec = (long)((ms - (double)t.tv_sec * 1e3) * 1e6);
	(void)nanosleep(&t, NULL);
}

static bool
try_again(long status)
{
	return status == 0 || status == 429 || status == 502 || status == 503 ||
	    status == 504;
}

/* What the service asks for, else doubling from 100 ms; a quarter more by
 * chance, so that hosts do not come back together. */
static double
pause_ms(const struct http_answer *a, unsigned tries)
{
	double ms = a->retry_after_s >= 0
	    ? 1e3 * (double)a->retry_after_s
	    : 100.0 * (double)(1U << (tries < 5 ? tries : 5));
	uint16_t dice = 0;

	(void)secret_random(&dice, sizeof(dice), NULL);
	return ms + (ms / 4 + 1) * dice / 65536.0;
}

static void
make_key(char out[UUID_TEXT_LEN + 1])
{
	uint8_t random[16] = { 0 };
	struct uuid u;

	(void)secret_random(random, sizeof(random), NULL);
	uuid_v4(&u, random);
	uuid_format(out, &u);
}

enum outcome
post_until(struct http_answer *out, struct tally *tally, struct http *h,
    const char *url, struct span body, const struct options *o, struct err *err)
{
	double deadline = post_now_ms() + 1e3 * o->timeout_s;
	char key[UUID_TEXT_LEN + 1];

	make_key(key);
	for (unsigned tries = 0;; tries++) {
		double left = deadline - post_now_ms(), wait;

		if (left < 1)
			left = 1;
		http_post(out, h, url, body, o->idempotent ? key : NULL,
		    (long)(left < TRY_MS_MAX ? left : TRY_MS_MAX));
		if (out->status >= 0 && out->status < TALLY_STATUSES)
			tally->statuses[out->status]++;
		if (out->status == 200)
			return HOST_OK;
		if (!try_again(out->status)) {
			answers_problem(out, err);
			return HOST_REFUSED;
		}
		wait = pause_ms(out, tries);
		if (out->hopeless) {
			answers_problem(out, err);
			return HOST_UNREACHABLE;
		}
		if (post_now_ms() + wait >= deadline) {
			answers_problem(out, err);
			err_wrap(err, "no final answer in %u s", o->timeout_s);
			return HOST_UNREACHABLE;
		}
		rest_ms(wait);
		tally->retries++;
	}
}
