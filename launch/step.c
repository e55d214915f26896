#include "launch/step.h"

#include "launch/ask.h"
#include "launch/file.h"
#include "launch/json.h"
#include "launch/options.h"
#include "launch/report.h"

/* What both steps begin with; freed by close_step(). */
struct step {
	struct report report;
	struct options o;
	json_t *facts;
	struct service *service;
	struct service_answer said;
};

/* The UUID comes from a flag or from the object; two must agree. */
static int
find_uuid(struct step *s, struct err *err)
{
	const json_t *v = json_object_get(s->facts, "uuid");
	struct uuid in;

	if (v == NULL && s->o.has_uuid)
		return 0;
	if (v == NULL)
		return err_set(
		    err, ERR_USAGE, "--uuid, or \"uuid\" in the input");
	if (!json_is_string(v) ||
	    uuid_parse(&in,
		span_of(json_string_value(v), json_string_length(v)),
		NULL) != 0)
		return err_set(err, ERR_USAGE, "uuid: not 8-4-4-4-12 digits");
	if (s->o.has_uuid && !uuid_equal(&in, &s->o.uuid))
		return err_set(
		    err, ERR_USAGE, "--uuid is not that of the input");
	s->o.uuid = in;
	return 0;
}

static int
open_step(struct step *s, unsigned more, int argc, char **argv, struct err *err)
{
	struct secret in = { 0 };
	int rc = -1;

	s->report = (struct report){ .json = true, .verb = argv[0] };
	if (options_parse(&s->o,
		OPT_SERVICE | OPT_UUID | OPT_IN | OPT_JSON | more, argc, argv,
		err) != 0 ||
	    file_read(&in, s->o.in, JSON_BODY_MAX, err) != 0)
		goto out;
	if (json_read(&s->facts, secret_span(&in), err) != 0) {
		err_wrap(err, "input");
		goto out;
	}
	if (find_uuid(s, err) != 0 ||
	    service_new(&s->service, &s->o.service, err) != 0)
		goto out;
	rc = 0;
out:
	secret_free(&in);
	return rc;
}

static void
close_step(struct step *s)
{
	json_decref(s->facts);
	service_free(s->service);
	service_answer_free(&s->said);
}

static enum outcome
end_step(struct step *s, enum outcome rc, const struct err *err)
{
	if (rc != OUTCOME_OK)
		(void)report_end(&s->report, rc, &s->said, err);
	close_step(s);
	return rc;
}

static enum outcome
unopened(const struct err *err)
{
	return err->code == ERR_MEMORY || err->code == ERR_INTERNAL
	    ? OUTCOME_BUG
	    : OUTCOME_USAGE;
}

enum outcome
step_launch(int argc, char **argv)
{
	struct answer_launch answer;
	struct step s = { 0 };
	struct err err = { 0 };
	enum outcome rc;
	json_t *out;

	if (open_step(&s, OPT_KEY, argc, argv, &err) != 0)
		return end_step(&s, unopened(&err), &err);
	rc = ask_launch(&answer, &s.said, s.service, &s.o.uuid, s.facts,
	    s.o.idempotency_key, &err);
	if (rc != OUTCOME_OK)
		return end_step(&s, rc, &err);
	out = answer_launch_json(&answer, &err);
	if (out == NULL)
		return end_step(&s, OUTCOME_BUG, &err);
	report_step(&s.report, "launch", out);
	return end_step(&s, OUTCOME_OK, &err);
}

enum outcome
step_validate(int argc, char **argv)
{
	struct answer_validate answer = { 0 };
	struct step s = { 0 };
	struct err err = { 0 };
	enum outcome rc;
	json_t *out;

	if (open_step(&s, 0, argc, argv, &err) != 0)
		return end_step(&s, unopened(&err), &err);
	rc =
	    ask_validate(&answer, &s.said, s.service, &s.o.uuid, s.facts, &err);
	if (rc != OUTCOME_OK)
		return end_step(&s, rc, &err);
	out = answer_validate_json(&answer, &err);
	answer_validate_free(&answer);
	if (out == NULL)
		return end_step(&s, OUTCOME_BUG, &err);
	report_step(&s.report, "validate", out);
	return end_step(&s, OUTCOME_OK, &err);
}
