/*
 * mock-qemu: takes the command lines that attest-launch makes, serves QMP on
 * the inherited socket, and answers the SEV commands from the software secure
 * processor.  What happens to the guest is recorded line by line.
 *
 * $MOCK_QEMU_FAULT is COMMAND=WORDS: that command gets WORDS as QEMU's error;
 * or COMMAND=@NAME: die, hang, garbage, long, flood, other-id, flip, off,
 * early, policy, paused.  The command "start" is the beginning of a guest, "probe"
 * that of a probe.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/mock_qemu/fault.h"
#include "tests/mock_qemu/guest.h"
#include "tests/mock_qemu/record.h"
#include "tests/mock_qemu/sev.h"

#define LONG_LINE 200000

struct mock {
	struct line line;
	struct guest guest;
	FILE *qmp, *in; /* one socket, two buffers */
};

static void
say(struct mock *m, json_t *o)
{
	(void)json_dumpf(o, m->qmp, 0);
	(void)fputs("\r\n", m->qmp);
	(void)fflush(m->qmp);
	json_decref(o);
}

static json_t *
returned(json_t *v)
{
	return json_pack("{s:o}", "return", v);
}

static json_t *
cont(struct mock *m, const json_t *arguments)
{
	(void)arguments;
	if (fault_is("cont", "@paused"))
		return returned(json_object());
	if (psp_launch_finish(m->guest.psp, m->guest.handle) != PSP_SUCCESS)
		return sev_refusal("SEV: LAUNCH_FINISH failed");
	m->guest.running = true;
	record("running", NULL);
	say(m,
	    json_pack("{s:{s:i, s:i}, s:s}", "timestamp", "seconds", 1700000000,
		"microseconds", 1, "event", "RESUME"));
	return returned(json_object());
}

static json_t *
query_status(struct mock *m, const json_t *arguments)
{
	(void)arguments;
	return returned(json_pack("{s:b, s:s}", "running", m->guest.running,
	    "status", m->guest.running ? "running" : "prelaunch"));
}

static json_t *
agree(struct mock *m, const json_t *arguments)
{
	(void)m;
	(void)arguments;
	return returned(json_object());
}

static const struct {
	const char *name;
	bool guest; /* of a guest only */
	json_t *(*run)(struct mock *m, const json_t *arguments);
} commands[] = {
	{ "qmp_capabilities", false, agree },
	{ "cont", true, cont },
	{ "query-status", true, query_status },
};

/* Faults of the connection; true: there is nothing more to say. */
static bool
break_off(struct mock *m, const char *name)
{
	if (fault_is(name, "@die"))
		_exit(1);
	if (fault_is(name, "@hang"))
		return true;
	if (fault_is(name, "@garbage")) {
		(void)fputs("{\"return\": \n", m->qmp);
		(void)fflush(m->qmp);
		return true;
	}
	if (fault_is(name, "@long")) {
		for (int i = 0; i < LONG_LINE; i++)
			(void)fputc('x', m->qmp);
		(void)fflush(m->qmp);
		return true;
	}
	if (fault_is(name, "@flood")) {
		/* Until nobody reads them any more. */
		while (fputs("{\"event\": \"NICE\"}\n", m->qmp) >= 0)
			;
		return true;
	}
	return false;
}

static void
answer(struct mock *m, const json_t *request)
{
	const char *name =
	    json_string_value(json_object_get(request, "execute"));
	const json_t *arguments = json_object_get(request, "arguments");
	json_t *id = json_object_get(request, "id");
	const char *words;
	json_t *out = NULL;

	if (name == NULL || break_off(m, name))
		return;
	words = fault(name);
	/* A probe has no guest. */
	if (!m->line.probe || strcmp(name, "query-sev-capabilities") == 0)
		out = sev_command(&m->guest, name, arguments);
	for (size_t i = 0;
	     out == NULL && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0 &&
		    (!commands[i].guest || !m->line.probe))
			out = words != NULL && words[0] != '@'
			    ? sev_refusal(words)
			    : commands[i].run(m, arguments);
	if (out == NULL)
		out = sev_refusal("The command has not been found");
	if (id != NULL && !fault_is(name, "@other-id"))
		(void)json_object_set(out, "id", id);
	else if (id != NULL)
		(void)json_object_set_new(out, "id", json_integer(77));
	say(m, out);
}

static void
serve(struct mock *m)
{
	char *text = NULL;
	size_t cap = 0;

	say(m,
	    json_pack("{s:{s:{s:{s:i, s:i, s:i}, s:s}, s:[s]}}", "QMP",
		"version", "qemu", "major", 7, "minor", 2, "micro", 0,
		"package", "mock", "capabilities", "oob"));
	while (getline(&text, &cap, m->in) > 0) {
		json_t *request = json_loads(text, 0, NULL);

		answer(m, request);
		json_decref(request);
	}
	free(text);
	/* QEMU lives on when nobody listens; only its end ends it. */
	for (;;)
		(void)pause();
}

static void
on_term(int signo)
{
	(void)signo;
	_exit(0);
}

int
main(int argc, char **argv)
{
	static struct mock m;
	struct err err = { 0 };

	(void)signal(SIGTERM, on_term);
	if (line_parse(&m.line, argc, argv, &err) != 0 ||
	    guest_host(&m.guest, &err) != 0)
		goto fail;
	if (fault_is(m.line.probe ? "probe" : "start", "@die")) {
		err_set(&err, ERR_CLOSED, "dies as asked");
		goto fail;
	}
	if (!m.line.probe) {
		record("guest",
		    json_pack("{s:b, s:i, s:i, s:b}", "paused", m.line.paused,
			"policy", (int)m.line.policy, "cbitpos",
			(int)m.line.cbitpos, "kernel-hashes",
			m.line.kernel_hashes));
		if (!m.line.sev)
			err_set(&err, ERR_USAGE, "no -object sev-guest");
		if (!m.line.sev || guest_launch(&m.guest, &m.line, &err) != 0)
			goto fail;
	}
	m.qmp = fdopen(m.line.qmp_fd, "w");
	m.in = fdopen(dup(m.line.qmp_fd), "r");
	if (m.qmp != NULL && m.in != NULL)
		serve(&m);
	err_set(&err, ERR_IO, "QMP socket %d", m.line.qmp_fd);
fail:
	(void)fprintf(stderr, "qemu-system-x86_64: %s\n", err.msg);
	return 1;
}
