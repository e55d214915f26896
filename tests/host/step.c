#include "tests/host/step.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"
#include "tests/host/file.h"
#include "tests/host/report.h"
#include "tests/host/state.h"

/* One step: options, machine and host, opened together. */
struct step {
	struct options o;
	struct machine m;
	struct host host;
	struct state state;
};

static void
step_close(struct step *s)
{
	host_close(&s->host);
	machine_free(&s->m);
	state_free(&s->state);
}

/* The words of the state file first, those of this command over them. */
static int
step_options(struct step *s, const char *path, int operands, int argc,
    char **argv, struct err *err)
{
	if (state_load(&s->state, path, err) != 0)
		return -1;
	options_default(&s->o);
	if (options_parse(&s->o, 0, s->state.argc, s->state.argv, err) != 0)
		return err_wrap(err, "%s", path);
	s->o.out = s->o.request_out = NULL;
	return options_parse(&s->o, operands, argc, argv, err);
}

static enum outcome
step_open(struct step *s, struct err *err)
{
	if (machine_load(&s->m, &s->o, err) != 0)
		return HOST_USAGE;
	return host_open(&s->host, &s->m, &s->o, err);
}

/* A state file goes out once the guest is measured. */
static enum outcome
step_save(struct step *s, const struct guest *g, struct err *err)
{
	struct secret text = { 0 };
	enum outcome rc = HOST_USAGE;

	if (psp_guest_save(&s->state.guest, g->psp, g->handle) != PSP_SUCCESS) {
		err_set(err, ERR_INTERNAL, "the guest is not measured");
		return HOST_USAGE;
	}
	if (state_text(&text, &s->state, err) == 0 &&
	    file_write(s->o.out, secret_span(&text), err) == 0)
		rc = HOST_OK;
	secret_free(&text);
	return rc;
}

static void
print_problem(const struct step *s, enum outcome rc)
{
	json_t *problem;

	if (rc != HOST_REFUSED || !s->o.json)
		return;
	problem = answers_problem_json(&s->host.answer);
	(void)json_dumpf(problem, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(problem);
}

static enum outcome
start_and_save(
    struct step *s, const struct launch_answer *session, struct err *err)
{
	struct guest guest = { 0 };
	enum outcome rc =
	    guest_start(&guest, s->host.psp, &s->m, session, &s->o, err);

	if (rc == HOST_OK)
		rc = step_save(s, &guest, err);
	guest_end(&guest);
	return rc;
}

static enum outcome
step_launch(int argc, char **argv, struct err *err)
{
	struct step s = { 0 };
	struct launch_answer session;
	enum outcome rc = HOST_USAGE;

	if (state_words(&s.state, argc, argv, err) != 0)
		goto out;
	options_default(&s.o);
	if (options_parse(&s.o, 0, argc, argv, err) != 0)
		goto out;
	if (s.o.service == NULL || s.o.uuid == NULL || s.o.out == NULL) {
		err_set(
		    err, ERR_USAGE, "--service, --uuid and --out are needed");
		goto out;
	}
	rc = step_open(&s, err);
	if (rc != HOST_OK)
		goto out;
	rc =
	    host_ask_launch(&session, &s.host, s.o.uuid, &s.state.request, err);
	print_problem(&s, rc);
	if (rc != HOST_OK)
		goto out;
	s.state.answer = s.host.answer.body;
	memset(&s.host.answer.body, 0, sizeof(s.host.answer.body));
	rc = start_and_save(&s, &session, err);
out:
	step_close(&s);
	return rc;
}

/* LAUNCH_START once more with the same session: another MNONCE. */
static enum outcome
step_start(int argc, char **argv, struct err *err)
{
	struct step s = { 0 };
	struct launch_answer session;
	struct options own;
	enum outcome rc = HOST_USAGE;

	options_default(&own);
	if (options_parse(&own, 0, argc, argv, err) != 0)
		return HOST_USAGE;
	if (own.from == NULL || own.out == NULL) {
		err_set(err, ERR_USAGE, "--from and --out are needed");
		return HOST_USAGE;
	}
	if (step_options(&s, own.from, 0, argc, argv, err) == 0)
		rc = step_open(&s, err);
	if (rc != HOST_OK)
		goto out;
	rc = HOST_WRONG;
	if (answers_launch(&session, secret_span(&s.state.answer), err) == 0)
		rc = start_and_save(&s, &session, err);
out:
	step_close(&s);
	return rc;
}

static void
read_measurement(
    uint8_t out[PSP_MEASUREMENT_LEN], const struct psp_guest_state *g)
{
	memcpy(out, g->measure, sizeof(g->measure));
	memcpy(out + sizeof(g->measure), g->mnonce, sizeof(g->mnonce));
}

static int
corrupt(struct step *s, uint8_t *measurement, struct launch_answer *session,
    struct err *err)
{
	const char *what = s->o.corrupt;

	if (what == NULL)
		return 0;
	if (strcmp(what, "measurement") == 0)
		measurement[0] ^= 1;
	else if (strcmp(what, "nonce") == 0)
		measurement[PSP_MEASUREMENT_LEN - 1] ^= 1;
	else if (strcmp(what, "build") == 0)
		s->m.reported.build ^= 1;
	else if (strcmp(what, "session-id") == 0 &&
	    session->session_id[0] != '\0')
		session->session_id[0] =
		    session->session_id[0] == '0' ? '1' : '0';
	else
		return err_set(err, ERR_USAGE, "--corrupt: unknown word");
	return 0;
}

static enum outcome
validate(struct step *s, struct err *err)
{
	uint8_t measurement[PSP_MEASUREMENT_LEN];
	struct validate_answer packet = { 0 };
	struct launch_answer session;
	enum outcome rc;

	if (answers_launch(&session, secret_span(&s->state.answer), err) != 0)
		return HOST_WRONG;
	read_measurement(measurement, &s->state.guest);
	if (s->o.measurement_of != NULL) {
		struct state other = { 0 };

		if (state_load(&other, s->o.measurement_of, err) != 0)
			return HOST_USAGE;
		read_measurement(measurement, &other.guest);
		state_free(&other);
	}
	if (corrupt(s, measurement, &session, err) != 0)
		return HOST_USAGE;
	rc = host_ask_validate(&packet, &s->host, s->o.uuid, &session,
	    span_of(measurement, sizeof(measurement)), err);
	answers_free(&packet);
	print_problem(s, rc);
	if (rc == HOST_OK &&
	    file_write(s->o.out == NULL ? "-" : s->o.out,
		secret_span(&s->host.answer.body), err) != 0)
		rc = HOST_USAGE;
	return rc;
}

static enum outcome
step_validate(int argc, char **argv, struct err *err)
{
	struct step s = { 0 };
	struct options own;
	enum outcome rc = HOST_USAGE;

	options_default(&own);
	if (options_parse(&own, 1, argc, argv, err) == 0 &&
	    step_options(&s, argv[argc - 1], 1, argc, argv, err) == 0)
		rc = step_open(&s, err);
	if (rc == HOST_OK)
		rc = validate(&s, err);
	step_close(&s);
	return rc;
}

/* The guest of the state file, again in a secure processor. */
static enum outcome
open_packet(struct step *s, struct span body, struct err *err)
{
	struct validate_answer packet = { 0 };
	struct secret secret = { 0 }, expect = { 0 };
	struct guest guest = { .psp = s->host.psp };
	enum outcome rc = HOST_WRONG;
	enum psp_status status;

	if (answers_validate(&packet, body, err) != 0)
		goto out;
	if (psp_guest_restore(&guest.handle, guest.psp, &s->state.guest) !=
	    PSP_SUCCESS) {
		err_set(err, ERR_MALFORMED, "state without a guest");
		goto out;
	}
	rc = guest_inject(&secret, &status, &guest, &s->m, &packet, &s->o, err);
	if (rc == HOST_OK && s->o.expect_secret_file != NULL &&
	    (file_read(&expect, s->o.expect_secret_file, err) != 0 ||
		!secret_equal(secret_span(&secret), secret_span(&expect)))) {
		err_set(err, ERR_UNTRUSTED, "the secret is another one");
		rc = HOST_WRONG;
	}
	if (rc == HOST_OK)
		report_secret(&s->o, s->o.uuid, secret_span(&secret));
out:
	guest_end(&guest);
	secret_free(&secret);
	secret_free(&expect);
	answers_free(&packet);
	return rc;
}

static enum outcome
step_inject(int argc, char **argv, struct err *err)
{
	struct secret body = { 0 };
	struct step s = { 0 };
	struct options own;
	enum outcome rc = HOST_USAGE;

	options_default(&own);
	if (options_parse(&own, 2, argc, argv, err) == 0 &&
	    step_options(&s, argv[argc - 2], 2, argc, argv, err) == 0 &&
	    file_read(&body, argv[argc - 1], err) == 0)
		rc = step_open(&s, err);
	if (rc == HOST_OK)
		rc = open_packet(&s, secret_span(&body), err);
	secret_free(&body);
	step_close(&s);
	return rc;
}

enum outcome
step_run(const char *verb, int argc, char **argv, struct err *err)
{
	static const struct {
		const char *verb;
		enum outcome (*run)(int, char **, struct err *);
	} steps[] = {
		{ "step-launch", step_launch },
		{ "step-start", step_start },
		{ "step-validate", step_validate },
		{ "step-open", step_inject },
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (strcmp(verb, steps[i].verb) == 0)
			return steps[i].run(argc, argv, err);
	err_set(err, ERR_USAGE, "%.32s: unknown command; see --help", verb);
	return HOST_USAGE;
}
