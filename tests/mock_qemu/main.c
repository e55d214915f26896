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

#include "common/base64.h"
#include "tests/mock_qemu/guest.h"
#include "tests/mock_qemu/record.h"
#include "tests/psp/secret_table.h"

#define LONG_LINE 200000

struct mock {
	struct line line;
	struct guest guest;
	FILE *qmp, *in; /* one socket, two buffers */
};

/* What is to go wrong with ${command}; NULL: nothing. */
static const char *
fault(const char *command)
{
	const char *words = getenv("MOCK_QEMU_FAULT");
	size_t len = strlen(command);

	if (words == NULL || strncmp(words, command, len) != 0 ||
	    words[len] != '=')
		return NULL;
	return words + len + 1;
}

static bool
fault_is(const char *command, const char *name)
{
	const char *words = fault(command);

	return words != NULL && strcmp(words, name) == 0;
}

static void
say(struct mock *m, json_t *o)
{
	(void)json_dumpf(o, m->qmp, 0);
	(void)fputs("\r\n", m->qmp);
	(void)fflush(m->qmp);
	json_decref(o);
}

static json_t *
refusal(const char *words)
{
	return json_pack(
	    "{s:{s:s, s:s}}", "error", "class", "GenericError", "desc", words);
}

static json_t *
returned(json_t *v)
{
	return json_pack("{s:o}", "return", v);
}

static json_t *
base64(struct span in)
{
	size_t cap = base64_len(in.len) + 1;
	char *text = malloc(cap);
	json_t *v;

	if (text == NULL)
		return NULL;
	v = json_string(base64_encode(text, cap, in));
	free(text);
	return v;
}

static json_t *
query_capabilities(struct mock *m, const json_t *arguments)
{
	uint8_t pdh[PSP_CERT_LEN], chain[PSP_CHAIN_LEN], id[PSP_CHIP_ID_LEN];
	struct psp *psp = m->guest.psp;

	(void)arguments;
	if (psp_pdh_cert_export(pdh, chain, psp) != PSP_SUCCESS ||
	    psp_get_id(id, psp) != PSP_SUCCESS)
		return refusal("SEV: Failed to get PDH");
	/* In the signature of the PEK. */
	if (fault_is("query-sev-capabilities", "@flip"))
		pdh[0x418] ^= 1;
	return returned(json_pack("{s:o, s:o, s:o, s:i, s:i}", "pdh",
	    base64(span_of(pdh, sizeof(pdh))), "cert-chain",
	    base64(span_of(chain, sizeof(chain))), "cpu0-id",
	    base64(span_of(id, sizeof(id))), "cbitpos", 51, "reduced-phys-bits",
	    1));
}

static json_t *
query_sev(struct mock *m, const json_t *arguments)
{
	const struct psp_api *api = &m->guest.platform.api;
	uint32_t policy = m->guest.policy;

	(void)arguments;
	if (fault_is("query-sev", "@off"))
		return returned(json_pack("{s:b}", "enabled", 0));
	if (fault_is("query-sev", "@policy"))
		policy ^= 2;
	return returned(json_pack("{s:b, s:i, s:i, s:i, s:s, s:i, s:i}",
	    "enabled", 1, "api-major", api->major, "api-minor", api->minor,
	    "build-id", api->build, "state",
	    fault_is("query-sev", "@early") ? "launch-update" : "launch-secret",
	    "policy", (int)policy, "handle", (int)m->guest.handle));
}

static json_t *
query_measure(struct mock *m, const json_t *arguments)
{
	uint8_t data[PSP_MEASUREMENT_LEN];

	(void)arguments;
	memcpy(data, m->guest.measurement, sizeof(data));
	if (fault_is("query-sev-launch-measure", "@flip"))
		data[0] ^= 1;
	return returned(
	    json_pack("{s:o}", "data", base64(span_of(data, sizeof(data)))));
}

static size_t
argument(uint8_t *out, size_t cap, const json_t *arguments, const char *name)
{
	const char *text = json_string_value(json_object_get(arguments, name));
	size_t len = 0;

	if (text == NULL ||
	    base64_decode(out, cap, &len, span_str(text), NULL) != 0)
		return 0;
	return len;
}

static json_t *
inject(struct mock *m, const json_t *arguments)
{
	uint8_t header[PSP_HEADER_LEN], payload[PSP_PAYLOAD_MAX];
	size_t header_len =
	    argument(header, sizeof(header), arguments, "packet-header");
	size_t payload_len =
	    argument(payload, sizeof(payload), arguments, "secret");
	json_int_t at = json_integer_value(json_object_get(arguments, "gpa"));
	struct err err = { 0 };
	struct span found = { 0 };

	if (header_len > 0 && fault_is("sev-inject-launch-secret", "@flip"))
		header[header_len - 1] ^= 1;
	if (guest_inject(&m->guest, span_of(header, header_len),
		span_of(payload, payload_len), (uint64_t)at, &err) != 0)
		return refusal(err.msg);
	/* What the guest finds in its memory. */
	(void)secret_table_find(
	    &found, secret_span(&m->guest.memory), SECRET_TABLE_DISK, NULL);
	record("injected",
	    json_pack("{s:s%}", "secret",
		found.ptr == NULL ? "" : (const char *)found.ptr, found.len));
	return returned(json_object());
}

static json_t *
cont(struct mock *m, const json_t *arguments)
{
	(void)arguments;
	if (fault_is("cont", "@paused"))
		return returned(json_object());
	if (psp_launch_finish(m->guest.psp, m->guest.handle) != PSP_SUCCESS)
		return refusal("SEV: LAUNCH_FINISH failed");
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
	{ "query-sev-capabilities", false, query_capabilities },
	{ "query-sev", true, query_sev },
	{ "query-sev-launch-measure", true, query_measure },
	{ "sev-inject-launch-secret", true, inject },
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
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0 &&
		    (!commands[i].guest || !m->line.probe))
			out = words != NULL && words[0] != '@'
			    ? refusal(words)
			    : commands[i].run(m, arguments);
	if (out == NULL)
		out = refusal("The command has not been found");
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
