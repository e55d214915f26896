#include "tests/host/serve.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/host/guest.h"
#include "tests/host/messages.h"

struct server {
	struct options o;
	struct machine m;
	struct psp *psp;
};

static struct span
answer_of(const json_t *in)
{
	const json_t *v = json_object_get(in, "answer");

	return span_of(json_string_value(v), json_string_length(v));
}

static struct guest
guest_of(const struct server *s, const json_t *in)
{
	return (struct guest){ .psp = s->psp,
		.handle = (uint32_t)json_integer_value(
		    json_object_get(in, "guest")) };
}

static enum outcome
do_request(json_t *out, struct server *s, const json_t *in, struct err *err)
{
	(void)in;
	return json_object_set_new(
		   out, "request", messages_launch(&s->m, &s->o, err)) == 0
	    ? HOST_OK
	    : HOST_USAGE;
}

static enum outcome
do_start(json_t *out, struct server *s, const json_t *in, struct err *err)
{
	struct launch_answer session;
	struct guest guest = { 0 };
	enum outcome rc;

	if (answers_launch(&session, answer_of(in), err) != 0)
		return HOST_WRONG;
	rc = guest_start(&guest, s->psp, &s->m, &session, &s->o, err);
	if (rc != HOST_OK)
		return rc;
	if (json_object_set_new(out, "guest", json_integer(guest.handle)) !=
		0 ||
	    json_object_set_new(out, "request",
		messages_validate(&s->m, &s->o, &session,
		    span_of(guest.measurement, sizeof(guest.measurement)),
		    err)) != 0)
		return HOST_USAGE;
	return HOST_OK;
}

static enum outcome
do_open(json_t *out, struct server *s, const json_t *in, struct err *err)
{
	struct guest guest = guest_of(s, in);
	struct validate_answer packet = { 0 };
	struct secret secret = { 0 };
	enum psp_status status;
	enum outcome rc;

	if (answers_validate(&packet, answer_of(in), err) != 0)
		return HOST_WRONG;
	rc = guest_inject(&secret, &status, &guest, &s->m, &packet, &s->o, err);
	if (rc == HOST_OK &&
	    json_object_set_new(out, "secret",
		json_stringn((const char *)secret.ptr, secret.len)) != 0)
		rc = HOST_WRONG;
	secret_free(&secret);
	answers_free(&packet);
	return rc;
}

static enum outcome
do_end(json_t *out, struct server *s, const json_t *in, struct err *err)
{
	struct guest guest = guest_of(s, in);

	(void)out;
	(void)err;
	guest_end(&guest);
	return HOST_OK;
}

static const struct {
	const char *word;
	enum outcome (*run)(
	    json_t *out, struct server *s, const json_t *in, struct err *err);
} words[] = {
	{ "request", do_request },
	{ "start", do_start },
	{ "open", do_open },
	{ "end", do_end },
};

static enum outcome
obey(json_t *out, struct server *s, const json_t *in, struct err *err)
{
	const char *word = json_string_value(json_object_get(in, "do"));

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (word != NULL && strcmp(word, words[i].word) == 0)
			return words[i].run(out, s, in, err);
	err_set(err, ERR_USAGE, "serve: a line without a known \"do\"");
	return HOST_USAGE;
}

static void
serve_line(struct server *s, const char *line)
{
	json_t *in = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	json_t *out = json_object();
	struct err err = { 0 };
	enum outcome rc = obey(out, s, in, &err);

	if (rc != HOST_OK) {
		(void)json_object_clear(out);
		(void)json_object_set_new(out, "error", json_string(err.msg));
		(void)json_object_set_new(out, "outcome", json_integer(rc));
	}
	(void)json_dumpf(out, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(out);
	json_decref(in);
}

enum outcome
serve_run(int argc, char **argv, struct err *err)
{
	enum outcome rc = HOST_USAGE;
	struct server s = { 0 };
	char *line = NULL;
	size_t cap = 0;

	options_default(&s.o);
	if (options_parse(&s.o, 0, argc, argv, err) != 0 ||
	    machine_load(&s.m, &s.o, err) != 0)
		return HOST_USAGE;
	s.psp = machine_psp(&s.m, err);
	if (s.psp == NULL)
		goto out;
	while (getline(&line, &cap, stdin) > 0)
		serve_line(&s, line);
	rc = HOST_OK;
out:
	free(line);
	psp_free(s.psp);
	machine_free(&s.m);
	return rc;
}
