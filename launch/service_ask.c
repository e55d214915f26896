#include <stdio.h>
#include <string.h>

#include "launch/report.h"
#include "launch/service_inside.h"
#include "launch/wait.h"

int
service_tell(const struct service_answer *out, struct err *err)
{
	const struct answer_problem *p = &out->problem;

	if (out->tried.status == 0)
		return err_set(err, ERR_IO, "no answer: %s", out->why);
	if (out->tried.status == 200)
		return err_set(
		    err, ERR_MALFORMED, "status 200, but no application/json");
	if (p->type[0] == '\0')
		return err_set(err, ERR_UNTRUSTED,
		    "status %ld without a problem type", out->tried.status);
	return err_set(err, ERR_UNTRUSTED, "status %ld %s%s%.100s%s%.64s%s",
	    out->tried.status, p->type, p->detail[0] != '\0' ? ": " : "",
	    p->detail, out->request_id[0] != '\0' ? " (request " : "",
	    out->request_id, out->request_id[0] != '\0' ? ")" : "");
}

/* An answer that will not change: whose word is it? */
static enum outcome
final(const struct service_answer *a)
{
	if (a->tried.status == 200 && a->json)
		return OUTCOME_OK;
	/* A redirect, or HTML with status 200, comes from another server. */
	if (a->tried.status < 400)
		return OUTCOME_UNREACHABLE;
	return OUTCOME_REFUSED;
}

enum outcome
service_ask(struct service_answer *out, struct service *s, const char *path,
    struct span body, const char *key, struct err *err)
{
	const struct service_fields fields = { "application/json", key };
	const int64_t allowed = (int64_t)s->timeout_s * 1000;
	int64_t start = wait_now_ms();
	bool pending = false;

	for (unsigned tries = 0;; tries++) {
		int64_t gone = wait_now_ms() - start, left, wait;
		uint16_t dice = 0;
		enum outcome rc;

		left = gone < allowed ? allowed - gone : 1;
		/* All that is left: a relay may hold a request for minutes
		 * while the owner decides, and tells when it gives up. */
		service_perform(out, s, path, body, &fields, (uint64_t)left);
		if (!retry_worth(&out->tried)) {
			rc = final(out);
			if (rc != OUTCOME_OK)
				service_tell(out, err);
			return rc;
		}
		service_tell(out, err);
		/* A try that our own time cut off says nothing new: the next
		 * one waits for the owner as the last one did.  In progress is
		 * one that waits for her already (docs/protocol.md 7). */
		if (out->tried.status != 0)
			pending = out->tried.in_progress ||
			    answer_problem_is(
				&out->problem, "approval-pending");
		(void)secret_random(&dice, sizeof(dice), NULL);
		wait = (int64_t)retry_pause_ms(&out->tried, tries, dice);
		if (wait_now_ms() - start + wait >= allowed) {
			err_wrap(err, "no final answer in %u s", s->timeout_s);
			if (!pending)
				return OUTCOME_UNREACHABLE;
			err_wrap(err, "the owner has not decided");
			return OUTCOME_PENDING;
		}
		report_say("%s; again in %lld.%lld s", err->msg,
		    (long long)wait / 1000, (long long)wait % 1000 / 100);
		wait_rest_ms(wait);
	}
}

void
service_path(char *out, size_t cap, const struct uuid *uuid, const char *verb)
{
	char text[UUID_TEXT_LEN + 1];

	(void)snprintf(out, cap, "/vm/%s/%s", uuid_format(text, uuid), verb);
}

int
service_key(char out[UUID_TEXT_LEN + 1], struct err *err)
{
	uint8_t random[16];
	struct uuid u;

	if (secret_random(random, sizeof(random), err) != 0)
		return -1;
	uuid_v4(&u, random);
	uuid_format(out, &u);
	return 0;
}
