#include "launch/qemu.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base64.h"
#include "launch/child.h"
#include "launch/command.h"
#include "launch/file.h"
#include "launch/flow.h"
#include "launch/qmp_sev.h"

/* One launch.  Zero-initialised; guest_close() ends all of it. */
struct guest {
	struct flow flow;
	struct qmp_sev_host host;
	struct child child;
	struct qmp *qmp;
	int timeout_ms;
};

static void
end_child(struct child *c, struct qmp *q)
{
	qmp_free(q);
	child_kill(c);
}

/* Start ${command}, which has QMP on pair[1]. */
static enum outcome
begin(struct child *c, struct qmp **q, const struct command *command,
    const int pair[2], const int *files, bool quiet, int timeout_ms,
    struct err *err)
{
	int fd;

	if (child_start(c, command->argv, pair, files, quiet, err) != 0)
		return OUTCOME_CONFIG;
	fd = c->fd;
	c->fd = -1;
	if (qmp_open(q, fd, timeout_ms, err) == 0)
		return OUTCOME_OK;
	child_kill(c);
	if (err->code == ERR_CLOSED)
		err_set(err, ERR_CLOSED,
		    "%s ended before its machine was ready; its own words "
		    "stand above",
		    command->argv[0]);
	return OUTCOME_CONFIG;
}

enum outcome
qemu_probe(
    struct qmp_sev_host *out, const char *qemu, int timeout_ms, struct err *err)
{
	struct child child = { .fd = -1 };
	struct command command = { 0 };
	struct qmp *qmp = NULL;
	enum outcome rc;
	int pair[2];

	if (child_socket(pair, err) != 0)
		return OUTCOME_BUG;
	if (command_probe(&command, qemu, pair[1], err) != 0) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		return OUTCOME_BUG;
	}
	rc = begin(&child, &qmp, &command, pair, NULL, true, timeout_ms, err);
	/* Without /dev/kvm accel=kvm ends it: the host, not the guest. */
	if (rc == OUTCOME_CONFIG && err->code == ERR_CLOSED) {
		err_set(err, ERR_UNSUPPORTED,
		    "%s -machine none,accel=kvm "
		    "ends at once: no KVM on this host",
		    qemu);
		rc = OUTCOME_NO_SEV;
	}
	if (rc == OUTCOME_OK)
		rc = qmp_sev_host(out, qmp, timeout_ms, err);
	end_child(&child, qmp);
	command_free(&command);
	return rc == OUTCOME_OK ? rc : (err_wrap(err, "probe"), rc);
}

enum outcome
qemu_trial(struct measured *out, const char *qemu, const char *firmware,
    uint32_t policy, const struct qmp_sev_host *host, int timeout_ms,
    struct err *err)
{
	const struct command_sev sev = { .cbitpos = host->cbitpos,
		.reduced_phys_bits = host->reduced_phys_bits,
		.policy = policy,
		.owner_cert_fd = -1,
		.session_fd = -1 };
	const char *line[] = { qemu, "-nodefaults", "-no-user-config",
		"-display", "none", "-machine", "q35", "-cpu", "host", "-m",
		"256", "-bios", firmware };
	struct child child = { .fd = -1 };
	struct command command = { 0 };
	struct qmp *qmp = NULL;
	enum outcome rc;
	int pair[2];

	if (child_socket(pair, err) != 0)
		return OUTCOME_BUG;
	if (command_guest(&command, line, sizeof(line) / sizeof(line[0]), &sev,
		pair[1], err) != 0) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		return OUTCOME_BUG;
	}
	rc = begin(&child, &qmp, &command, pair, NULL, true, timeout_ms, err);
	if (rc == OUTCOME_OK)
		rc = qmp_sev_measure(out, qmp, timeout_ms, err);
	end_child(&child, qmp);
	command_free(&command);
	return rc == OUTCOME_OK ? rc : (err_wrap(err, "trial"), rc);
}

/* QEMU reads dh-cert-file and session-file as base64. */
static int
base64_file(int *fd, const char *name, struct span data, struct err *err)
{
	size_t cap = base64_len(data.len) + 1;
	char *text = malloc(cap);
	int rc;

	if (text == NULL)
		return err_set(err, ERR_MEMORY, "no memory for %s", name);
	base64_encode(text, cap, data);
	rc = file_memory(fd, name, span_str(text), err);
	free(text);
	return rc;
}

static void
close_file(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

static enum outcome
start_paused(struct guest *g, struct err *err)
{
	const struct answer_launch *a = &g->flow.session;
	struct command_sev sev = { .cbitpos = g->host.cbitpos,
		.reduced_phys_bits = g->host.reduced_phys_bits,
		.policy = a->policy,
		.kernel_hashes = a->kernel_hashes,
		.owner_cert_fd = -1,
		.session_fd = -1 };
	struct command command = { 0 };
	int pair[2] = { -1, -1 }, files[3];
	enum outcome rc = OUTCOME_BUG;

	if (base64_file(&sev.owner_cert_fd, "owner-cert",
		span_of(a->owner_cert, sizeof(a->owner_cert)), err) != 0 ||
	    base64_file(&sev.session_fd, "session",
		span_of(a->session, sizeof(a->session)), err) != 0 ||
	    child_socket(pair, err) != 0)
		goto out;
	if (command_guest(&command, (const char *const *)g->flow.o.rest,
		g->flow.o.rest_count, &sev, pair[1], err) != 0) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		goto out;
	}
	files[0] = sev.owner_cert_fd;
	files[1] = sev.session_fd;
	files[2] = -1;
	rc = begin(&g->child, &g->qmp, &command, pair, files, false,
	    g->timeout_ms, err);
out:
	command_free(&command);
	close_file(sev.owner_cert_fd);
	close_file(sev.session_fd);
	return rc;
}

static enum outcome
judge_and_inject(struct guest *g, struct err *err)
{
	struct answer_validate packet = { 0 };
	struct measured measured;
	enum outcome rc;

	rc = qmp_sev_measure(&measured, g->qmp, g->timeout_ms, err);
	if (rc == OUTCOME_OK)
		rc = flow_validate(&packet, &g->flow, &measured, err);
	if (rc == OUTCOME_OK && packet.inject)
		rc = qmp_sev_inject(g->qmp, &packet, g->timeout_ms, err);
	if (rc == OUTCOME_OK)
		flow_injected(&g->flow, packet.inject);
	answer_validate_free(&packet);
	return rc;
}

static enum outcome
launch(struct guest *g, struct err *err)
{
	enum outcome rc;

	rc = qemu_probe(&g->host, g->flow.o.rest[0], g->timeout_ms, err);
	if (rc != OUTCOME_OK)
		return rc;
	report_say("host: SEV, C-bit %u, %u bits less", g->host.cbitpos,
	    g->host.reduced_phys_bits);
	report_step(&g->flow.report, "probed",
	    json_pack("{s:i, s:i}", "cbitpos", (int)g->host.cbitpos,
		"reduced-phys-bits", (int)g->host.reduced_phys_bits));
	rc = flow_session(&g->flow, g->host.facts, err);
	if (rc != OUTCOME_OK)
		return rc;
	rc = start_paused(g, err);
	if (rc != OUTCOME_OK)
		return rc;
	report_say("started paused, process %d", (int)g->child.pid);
	report_step(&g->flow.report, "started",
	    json_pack("{s:i}", "pid", (int)g->child.pid));
	rc = judge_and_inject(g, err);
	if (rc != OUTCOME_OK)
		return rc;
	/* Until here a signal ends us, and with us the guest; a guest that
	 * runs is asked to shut down. */
	child_hold_signals();
	rc = qmp_sev_run(g->qmp, g->timeout_ms, err);
	if (rc != OUTCOME_OK)
		return rc;
	/* What is left of the guest's life is its own. */
	qmp_free(g->qmp);
	g->qmp = NULL;
	report_say("running, process %d", (int)g->child.pid);
	report_step(&g->flow.report, "running",
	    json_pack("{s:i}", "pid", (int)g->child.pid));
	return OUTCOME_OK;
}

static int
open_guest(struct guest *g, int argc, char **argv, struct err *err)
{
	g->child.fd = -1;
	if (flow_options(&g->flow,
		OPT_SERVICE | OPT_UUID | OPT_JSON | OPT_KEY | OPT_POLICY |
		    OPT_REST,
		argc, argv, err) != 0)
		return -1;
	g->timeout_ms = (int)g->flow.o.service.timeout_s * 1000;
	if (!g->flow.o.has_uuid)
		return err_set(err, ERR_USAGE, "--uuid is needed");
	if (command_check(g->flow.o.rest, g->flow.o.rest_count, err) != 0)
		return -1;
	return service_new(&g->flow.service, &g->flow.o.service, err);
}

static enum outcome
outlive(struct guest *g, struct err *err)
{
	int status = child_wait(&g->child);

	report_step(
	    &g->flow.report, "ended", json_pack("{s:i}", "status", status));
	if (status == 0)
		return OUTCOME_OK;
	err_set(err, ERR_CLOSED, "the guest ran, and QEMU ended with status %d",
	    status);
	return OUTCOME_CONFIG;
}

enum outcome
qemu_start(int argc, char **argv)
{
	struct guest g = { 0 };
	struct err err = { 0 };
	enum outcome rc = OUTCOME_USAGE;

	if (open_guest(&g, argc, argv, &err) == 0) {
		rc = launch(&g, &err);
		if (rc == OUTCOME_OK)
			rc = outlive(&g, &err);
	}
	end_child(&g.child, g.qmp);
	qmp_sev_host_free(&g.host);
	return flow_end(&g.flow, rc, &err);
}

enum outcome
qemu_fetch(int argc, char **argv)
{
	struct report report = { .json = true, .verb = argv[0] };
	struct qmp_sev_host host = { 0 };
	struct err err = { 0 };
	enum outcome rc = OUTCOME_USAGE;
	struct options o;

	if (options_parse(&o, OPT_QEMU | OPT_JSON, argc, argv, &err) == 0)
		rc = qemu_probe(
		    &host, o.qemu, (int)o.service.timeout_s * 1000, &err);
	if (rc == OUTCOME_OK) {
		(void)json_object_set_new(
		    host.facts, "cbitpos", json_integer(host.cbitpos));
		(void)json_object_set_new(host.facts, "reduced-phys-bits",
		    json_integer(host.reduced_phys_bits));
		(void)json_dumpf(host.facts, stdout, JSON_COMPACT);
		(void)putchar('\n');
	} else {
		(void)report_end(&report, rc, NULL, &err);
	}
	qmp_sev_host_free(&host);
	return rc;
}
