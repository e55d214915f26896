#include "launch/start.h"

#include <stdlib.h>
#include <unistd.h>

#include "launch/file.h"
#include "launch/start_inside.h"
#include "launch/sweep.h"

#define GUARD_S 60   /* it gets to destroy the guest before we end */
#define UNDO_S 60    /* libvirt gets for what else is to be undone */
#define ORPHANS_S 10 /* it gets for the guests of killed launches */

static enum outcome
open_libvirt(struct start *s, struct err *err)
{
	return libvirt_open(&s->l, s->flow.o.connect, err);
}

static enum outcome
ask_host(struct start *s, struct err *err)
{
	enum outcome rc = libvirt_host(&s->host, s->l, err);

	if (rc != OUTCOME_OK)
		return rc;
	report_say("host: SEV, C-bit %u, %u bits less", s->host.cbitpos,
	    s->host.reduced_phys_bits);
	report_step(&s->flow.report, "probed",
	    json_pack("{s:i, s:i}", "cbitpos", (int)s->host.cbitpos,
		"reduced-phys-bits", (int)s->host.reduced_phys_bits));
	return OUTCOME_OK;
}

static void
tell_guest(const struct start *s, const char *step, const char *words)
{
	char uuid[UUID_TEXT_LEN + 1];

	libvirt_guest_uuid(uuid, s->guest);
	report_say("%s: %s", s->look.name, words);
	report_step(&s->flow.report, step,
	    json_pack("{s:s, s:s, s:s}", "domain", s->look.name, "domain-uuid",
		uuid, "launch", s->record.id));
}

/* A disk that is full is no fault of ours. */
static enum outcome
unrecorded(const struct err *err)
{
	return err->code == ERR_IO ? OUTCOME_USAGE : OUTCOME_BUG;
}

/* On disk before there can be a guest. */
static enum outcome
ask_on_record(struct start *s, struct err *err)
{
	char *uri = libvirt_uri(s->l, err);
	enum outcome rc = OUTCOME_OK;

	if (uri == NULL)
		return OUTCOME_CONFIG;
	if (record_ask(&s->record, uri, s->look.name, err) != 0 ||
	    (s->flow.o.autodestroy &&
		record_say(&s->record, RECORD_BOUND, err) != 0))
		rc = unrecorded(err);
	else
		s->asked = true;
	free(uri);
	return rc;
}

static enum outcome
start_paused(struct start *s, struct err *err)
{
	const struct answer_launch *a = &s->flow.session;
	struct domain_fill fill = { .cbitpos = s->host.cbitpos,
		.reduced_phys_bits = s->host.reduced_phys_bits,
		.policy = a->policy,
		.kernel_hashes = a->kernel_hashes,
		.owner_cert = span_of(a->owner_cert, sizeof(a->owner_cert)),
		.session = span_of(a->session, sizeof(a->session)),
		.launch_id = s->record.id };
	struct secret text = { 0 };
	enum outcome rc = OUTCOME_BUG;

	if (domain_xml_fill(s->xml, &fill, err) == 0 &&
	    domain_xml_write(&text, s->xml, err) == 0)
		rc = ask_on_record(s, err);
	if (rc == OUTCOME_OK) {
		rc = libvirt_create(&s->guest, s->l, (const char *)text.ptr,
		    s->flow.o.autodestroy, err);
		/* Answered: there is a guest now, or there will be none. */
		if ((rc == OUTCOME_OK || libvirt_alive(s->l)) &&
		    record_say(&s->record, RECORD_ANSWERED, err) != 0)
			rc = unrecorded(err);
	}
	secret_free(&text);
	if (rc == OUTCOME_OK)
		tell_guest(s, "started", "started paused");
	return rc;
}

static enum outcome
ask_session(struct start *s, struct err *err)
{
	return flow_session(&s->flow, s->host.facts, err);
}

static enum outcome
measure(struct start *s, struct err *err)
{
	return libvirt_measure(&s->measured, s->guest, err);
}

static enum outcome
ask_owner(struct start *s, struct err *err)
{
	return flow_validate(&s->packet, &s->flow, &s->measured, err);
}

static enum outcome
inject(struct start *s, struct err *err)
{
	enum outcome rc = OUTCOME_OK;

	if (s->packet.inject)
		rc = libvirt_inject(s->guest, &s->packet, err);
	if (rc == OUTCOME_OK)
		flow_injected(&s->flow, s->packet.inject);
	return rc;
}

static enum outcome
resume(struct start *s, struct err *err)
{
	/* From here on a guest that runs may be no failure: record first. */
	if (record_say(&s->record, RECORD_RESUMING, err) != 0)
		return unrecorded(err);
	return libvirt_resume(s->guest, err);
}

/* Whatever comes of it: a guest that runs is left alone. */
static void
let_go(struct start *s)
{
	(void)record_say(&s->record, RECORD_DONE, NULL);
	record_end(&s->record);
	(void)guard_end(&s->guard, GUARD_S);
}

/* A launch.  What libvirt is asked for has a deadline of ours; the service's
 * answers have their own. */
static const struct {
	const char *libvirt; /* NULL: it is not asked */
	enum outcome (*run)(struct start *, struct err *);
} steps[] = {
	{ "connect", open_libvirt },
	{ "SEV of this host", ask_host },
	{ "definition of the domain", start_domain },
	{ NULL, ask_session },
	{ "start", start_paused },
	{ "measurement", measure },
	{ NULL, ask_owner },
	{ "secret", inject },
	{ "resume", resume },
};

static enum outcome
launch(struct start *s, struct err *err)
{
	enum outcome rc = OUTCOME_OK;

	for (size_t i = 0;
	     rc == OUTCOME_OK && i < sizeof(steps) / sizeof(steps[0]); i++) {
		s->doing = steps[i].libvirt;
		if (s->doing != NULL)
			deadline_set(&s->deadline, s->flow.o.libvirt_s);
		rc = steps[i].run(s, err);
		deadline_set(&s->deadline, 0);
	}
	if (rc != OUTCOME_OK)
		return rc;
	if (!s->flow.o.autodestroy)
		let_go(s);
	tell_guest(s, "running", "running");
	return OUTCOME_OK;
}

static void
tell_trying(const struct start *s, pid_t guard)
{
	report_say("libvirt does not answer: process %d goes on trying to "
		   "destroy %s",
	    (int)guard, s->look.name);
}

/* libvirt holds the other thread for ever; the guard does what is left. */
static void
give_up(void *ctx)
{
	struct start *s = ctx;
	struct err late = { 0 };

	if (s->ends == OUTCOME_OK)
		_exit(OUTCOME_OK);
	if (s->why == NULL && s->asked) {
		(void)record_say(&s->record, RECORD_FAILED, NULL);
		tell_trying(s, s->guard.pid);
	}
	err_set(&late, ERR_IO, "libvirt: %s: no answer in time", s->doing);
	(void)report_end(
	    &s->flow.report, s->ends, NULL, s->why == NULL ? &late : s->why);
	_exit((int)s->ends);
}

static int
open_start(struct start *s, int argc, char **argv, struct err *err)
{
	const struct options *o = &s->flow.o;

	if (flow_options(&s->flow,
		OPT_SERVICE | OPT_UUID | OPT_JSON | OPT_KEY | OPT_DOMAIN |
		    OPT_CONNECT | OPT_STATE,
		argc, argv, err) != 0)
		return -1;
	if ((o->file == NULL) == (o->domain == NULL))
		return err_set(
		    err, ERR_USAGE, "want DOMAIN.xml or --domain NAME");
	if (o->transient && o->file == NULL)
		return err_set(err, ERR_USAGE,
		    "--transient goes with DOMAIN.xml: --domain is defined");
	if (o->file != NULL &&
	    file_read(&s->text, o->file, DOMAIN_XML_MAX, err) != 0)
		return -1;
	return 0;
}

/* Its connection is the guest's life. */
static enum outcome
outlive(struct start *s, struct err *err)
{
	enum outcome rc = libvirt_wait(s->guest, err);

	if (rc != OUTCOME_OK)
		return rc;
	tell_guest(s, "ended", "ended");
	let_go(s);
	return OUTCOME_OK;
}

/* The guard's end is the guest's; if it was killed itself, it is our turn. */
static void
end_guest(struct start *s)
{
	struct err err = { 0 };
	pid_t pid = s->guard.pid;

	if (pid == 0) {
		record_end(&s->record);
		return;
	}
	if (s->asked)
		(void)record_say(&s->record, RECORD_FAILED, NULL);
	switch (guard_end(&s->guard, GUARD_S)) {
	case GUARD_OVER:
		return;
	case GUARD_TRYING:
		tell_trying(s, pid);
		return;
	case GUARD_GONE:
		break;
	}
	if (s->guest != NULL && libvirt_destroy(s->guest, &err) == OUTCOME_OK)
		record_end(&s->record);
	else
		report_say(
		    "%s: attest-launch sweep looks for it", s->look.name);
}

/* A failed launch leaves neither the guest nor the definition of it, unless
 * another start has made a guest of that by now. */
static void
undo(struct start *s)
{
	struct libvirt_guest *old = NULL;
	struct err err = { 0 };

	end_guest(s);
	if (s->defined &&
	    (libvirt_find(&old, s->l, s->look.name, &err) != OUTCOME_OK ||
		(old != NULL && !libvirt_guest_active(old) &&
		    libvirt_undefine(old, &err) != OUTCOME_OK)))
		report_say("%s", err.msg);
	libvirt_guest_free(old);
}

/* Before any thread: what a killed launch has left, and who cares for ours. */
static enum outcome
prepare(struct start *s, struct err *err)
{
	const struct sweep_rule orphans = { .report = &s->flow.report,
		.each_s = ORPHANS_S,
		.all_s = ORPHANS_S };
	struct err left = { 0 };

	if (record_folder(&s->folder, s->flow.o.state, err) != 0)
		return OUTCOME_USAGE;
	if (sweep_folder(&orphans, s->folder, &left) != OUTCOME_OK)
		report_say("%s", left.msg);
	if (record_new(&s->record, s->folder, err) != 0)
		return OUTCOME_USAGE;
	return guard_start(&s->guard, &s->record, err) == 0 &&
		deadline_start(&s->deadline, give_up, s, err) == 0
	    ? OUTCOME_OK
	    : OUTCOME_BUG;
}

static void
free_start(struct start *s)
{
	libvirt_guest_free(s->guest);
	libvirt_close(s->l);
	domain_xml_free(s->xml);
	secret_free(&s->text);
	answer_validate_free(&s->packet);
	json_decref(s->host.facts);
	record_leave(&s->record);
	if (s->folder >= 0)
		(void)close(s->folder);
}

enum outcome
start_libvirt(int argc, char **argv)
{
	struct start s = {
		.folder = -1, .record.fd = -1, .ends = OUTCOME_CONFIG
	};
	struct err err = { 0 };
	enum outcome rc = OUTCOME_USAGE;

	if (open_start(&s, argc, argv, &err) == 0)
		rc = prepare(&s, &err);
	if (rc == OUTCOME_OK)
		rc = launch(&s, &err);
	if (rc == OUTCOME_OK && s.flow.o.autodestroy)
		rc = outlive(&s, &err);
	s.ends = rc;
	s.why = &err;
	s.doing = "end";
	if (rc != OUTCOME_OK) {
		deadline_set(&s.deadline, GUARD_S + UNDO_S);
		undo(&s);
	}
	deadline_set(&s.deadline, UNDO_S);
	free_start(&s);
	deadline_set(&s.deadline, 0);
	return flow_end(&s.flow, rc, &err);
}
