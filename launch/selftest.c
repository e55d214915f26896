#include "launch/selftest.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base64.h"
#include "launch/check.h"
#include "launch/deadline.h"
#include "launch/file.h"
#include "launch/json.h"
#include "launch/libvirt.h"
#include "launch/options.h"
#include "launch/qemu.h"
#include "launch/report.h"
#include "launch/request.h"

#define CPUINFO_MAX 4194304 /* some hundred CPUs */
#define PARAMETER_MAX 64
#define POLICY_TRIAL 0x1 /* no debugging; nothing else is asked of the chip */

struct trial {
	struct options o;
	struct report report;
	struct qmp_sev_host host; /* of the QEMU check */
	int timeout_ms;
	struct deadline deadline; /* of libvirt */
};

/* What a check found out, for people. */
struct words {
	char text[200];
};

/* ${flag} among the flags of the first CPU. */
static bool
has_flag(const char *cpuinfo, const char *flag)
{
	const char *line = strstr(cpuinfo, "\nflags");
	size_t len = strlen(flag);
	const char *end = line == NULL ? NULL : strchr(line + 1, '\n');

	while (line != NULL && (line = strstr(line + 1, flag)) != NULL &&
	    (end == NULL || line < end))
		if (line[-1] == ' ' && (line[len] == ' ' || line[len] == '\n'))
			return true;
	return false;
}

static enum outcome
check_cpu(struct words *out, struct trial *t, struct err *err)
{
	struct secret text = { 0 };
	bool sev, es;

	(void)t;
	if (file_read(&text, "/proc/cpuinfo", CPUINFO_MAX, err) != 0)
		return OUTCOME_NO_SEV;
	/* A NUL stands behind every secret. */
	sev = has_flag((const char *)text.ptr, "sev");
	es = has_flag((const char *)text.ptr, "sev_es");
	secret_free(&text);
	(void)snprintf(out->text, sizeof(out->text), "SEV%s",
	    es ? ", SEV-ES" : "; no SEV-ES");
	if (sev)
		return OUTCOME_OK;
	err_set(err, ERR_UNSUPPORTED,
	    "no flag sev in /proc/cpuinfo: no AMD EPYC, or SEV is off in its "
	    "BIOS (SMEE, SEV ASID count)");
	return OUTCOME_NO_SEV;
}

static enum outcome
check_module(struct words *out, struct trial *t, struct err *err)
{
	static const char path[] = "/sys/module/kvm_amd/parameters/sev";
	struct secret text = { 0 };
	bool on;

	(void)t;
	if (file_read(&text, path, PARAMETER_MAX, err) != 0) {
		err_set(err, ERR_UNSUPPORTED, "kvm_amd is not loaded");
		return OUTCOME_NO_SEV;
	}
	on = text.len > 0 && (text.ptr[0] == 'Y' || text.ptr[0] == '1');
	secret_free(&text);
	(void)snprintf(out->text, sizeof(out->text), "kvm_amd sev=1");
	if (on)
		return OUTCOME_OK;
	err_set(err, ERR_UNSUPPORTED,
	    "kvm_amd sev=0: load it with sev=1 (and sev_es=1)");
	return OUTCOME_NO_SEV;
}

static enum outcome
can_open(struct words *out, const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		err_set(err, ERR_UNSUPPORTED, "%s: %s", path, strerror(errno));
		return OUTCOME_NO_SEV;
	}
	(void)close(fd);
	(void)snprintf(out->text, sizeof(out->text), "%s opens", path);
	return OUTCOME_OK;
}

static enum outcome
check_kvm(struct words *out, struct trial *t, struct err *err)
{
	(void)t;
	return can_open(out, "/dev/kvm", err);
}

static enum outcome
check_device(struct words *out, struct trial *t, struct err *err)
{
	(void)t;
	return can_open(out, "/dev/sev", err);
}

/* The capabilities, in the shape that a service takes. */
static enum outcome
check_qemu(struct words *out, struct trial *t, struct err *err)
{
	enum outcome rc = qemu_probe(&t->host, t->o.qemu, t->timeout_ms, err);
	struct secret body = { 0 };
	bool id;

	if (rc != OUTCOME_OK)
		return rc;
	id = json_object_get(t->host.facts, "cpu-id") != NULL;
	if (request_launch(&body, t->host.facts, err) != 0)
		return OUTCOME_CONFIG;
	secret_free(&body);
	(void)snprintf(out->text, sizeof(out->text),
	    "PDH and chain; C-bit %u, %u bits less; %s", t->host.cbitpos,
	    t->host.reduced_phys_bits,
	    id ? "chip id" : "no chip id (QEMU 7.1 has it)");
	return OUTCOME_OK;
}

/* The secure processor measures a guest that nobody owns; it never runs. */
static enum outcome
check_guest(struct words *out, struct trial *t, struct err *err)
{
	char text[MEASURED_LEN * 2];
	struct measured m;
	enum outcome rc;

	if (t->host.facts == NULL) {
		err_set(err, ERR_UNSUPPORTED, "not tried: QEMU has no SEV");
		return OUTCOME_NO_SEV;
	}
	rc = qemu_trial(&m, t->o.qemu, t->o.firmware, POLICY_TRIAL, &t->host,
	    t->timeout_ms, err);
	if (rc == OUTCOME_OK)
		(void)snprintf(out->text, sizeof(out->text),
		    "measured: API %u.%u, build %u, policy 0x%x, %s",
		    m.api_major, m.api_minor, m.build_id, m.policy,
		    base64_encode(
			text, sizeof(text), span_of(m.bytes, sizeof(m.bytes))));
	return rc;
}

static void
late(void *ctx)
{
	const struct trial *t = ctx;
	struct err err = { 0 };

	err_set(&err, ERR_IO, "selftest: libvirt: no answer in time");
	_exit((int)report_end(&t->report, OUTCOME_CONFIG, NULL, &err));
}

static enum outcome
check_libvirt(struct words *out, struct trial *t, struct err *err)
{
	struct libvirt_host host = { 0 };
	struct libvirt *l = NULL;
	enum outcome rc;

	if (deadline_start(&t->deadline, late, t, err) != 0)
		return OUTCOME_BUG;
	deadline_set(&t->deadline, t->o.libvirt_s);
	rc = libvirt_open(&l, t->o.connect, err);
	if (rc == OUTCOME_OK)
		rc = libvirt_host(&host, l, err);
	if (rc == OUTCOME_OK && t->host.facts != NULL &&
	    !json_equal(json_object_get(host.facts, "pdh"),
		json_object_get(t->host.facts, "pdh"))) {
		/* It asks QEMU once, and keeps the answer in its cache. */
		err_set(err, ERR_CONFLICT,
		    "libvirt has another PDH than QEMU: restart libvirtd "
		    "after its capabilities cache is emptied");
		rc = OUTCOME_CONFIG;
	}
	if (rc == OUTCOME_OK)
		(void)snprintf(out->text, sizeof(out->text),
		    "PDH and chain; C-bit %u, %u bits less", host.cbitpos,
		    host.reduced_phys_bits);
	json_decref(host.facts);
	libvirt_close(l);
	deadline_set(&t->deadline, 0);
	return rc;
}

static enum outcome
check_the_service(struct words *out, struct trial *t, struct err *err)
{
	struct service_answer said = { 0 };
	struct service *service = NULL;
	enum outcome rc = OUTCOME_USAGE;
	json_t *known = NULL;

	if (service_new(&service, &t->o.service, err) == 0)
		rc = check_all(&known, &said, service, err);
	(void)snprintf(out->text, sizeof(out->text),
	    "reached, its certificate holds, lets this host in");
	json_decref(known);
	service_answer_free(&said);
	service_free(service);
	return rc;
}

/* In the order of a launch; later ones explain themselves by earlier ones. */
static const struct {
	const char *name, *flag; /* ${flag}: it is done if that is given */
	size_t at;               /* of that flag's const char * in options */
	enum outcome (*run)(struct words *, struct trial *, struct err *);
} checks[] = {
	{ "cpu", NULL, 0, check_cpu },
	{ "kvm-amd", NULL, 0, check_module },
	{ "dev-kvm", NULL, 0, check_kvm },
	{ "dev-sev", NULL, 0, check_device },
	{ "qemu", NULL, 0, check_qemu },
	{ "guest", "--firmware FILE", offsetof(struct options, firmware),
	    check_guest },
	{ "libvirt", "--connect URI", offsetof(struct options, connect),
	    check_libvirt },
	{ "service", "--service URL", offsetof(struct options, service.url),
	    check_the_service },
};

static void
tell(const struct trial *t, const char *name, const char *result,
    const char *words)
{
	report_say("%-7s %s: %s", result, name, words);
	report_step(&t->report, "selftest",
	    json_pack("{s:s, s:s, s:s*}", "check", name, "result", result,
		"words", words));
}

static bool
asked_for(const struct trial *t, size_t i)
{
	const char *value;

	if (checks[i].flag == NULL)
		return true;
	memcpy(&value, (const char *)&t->o + checks[i].at, sizeof(value));
	return value != NULL;
}

/* All of them; the first that failed says how it ends. */
static enum outcome
run_checks(struct trial *t, struct err *first)
{
	enum outcome rc = OUTCOME_OK;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct words words = { "" };
		struct err err = { 0 };
		enum outcome one;

		if (!asked_for(t, i)) {
			(void)snprintf(words.text, sizeof(words.text),
			    "give %s to try it", checks[i].flag);
			tell(t, checks[i].name, "skipped", words.text);
			continue;
		}
		one = checks[i].run(&words, t, &err);
		tell(t, checks[i].name, one == OUTCOME_OK ? "ok" : "failed",
		    one == OUTCOME_OK ? words.text : err.msg);
		if (one != OUTCOME_OK && rc == OUTCOME_OK) {
			*first = err;
			err_wrap(first, "selftest: %s", checks[i].name);
			rc = one;
		}
	}
	return rc;
}

enum outcome
selftest(int argc, char **argv)
{
	struct trial t = { .report = { .verb = argv[0] } };
	struct err err = { 0 };
	enum outcome rc = OUTCOME_USAGE;

	if (options_parse(&t.o,
		OPT_SERVICE | OPT_QEMU | OPT_JSON | OPT_CONNECT | OPT_FIRMWARE,
		argc, argv, &err) == 0) {
		t.report.json = t.o.json;
		t.timeout_ms = (int)t.o.service.timeout_s * 1000;
		rc = run_checks(&t, &err);
	}
	qmp_sev_host_free(&t.host);
	if (rc != OUTCOME_OK)
		(void)report_end(&t.report, rc, NULL, &err);
	return rc;
}
