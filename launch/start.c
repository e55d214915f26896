#include "launch/start.h"

#include <string.h>

#include "launch/domain_xml.h"
#include "launch/file.h"
#include "launch/flow.h"
#include "launch/guard.h"
#include "launch/libvirt.h"

/* One launch.  Zero-initialised; end() releases all of it. */
struct start {
	struct flow flow;
	struct guard guard;
	struct libvirt *l;
	struct libvirt_host host;
	struct secret text; /* the definition, as it came */
	struct domain_xml *xml;
	struct domain_look look;
	bool defined; /* by us, and not before */
	struct libvirt_guest *guest;
	char id[UUID_TEXT_LEN + 1]; /* of this launch */
};

/* Parse ${s}->text, and learn what it says. */
static enum outcome
read_text(struct start *s, struct err *err)
{
	domain_xml_free(s->xml);
	s->xml = NULL;
	if (domain_xml_read(&s->xml, secret_span(&s->text), err) == 0 &&
	    domain_xml_look(&s->look, s->xml, err) == 0)
		return OUTCOME_OK;
	return err->code == ERR_MEMORY ? OUTCOME_BUG : OUTCOME_CONFIG;
}

/* The definition that libvirt has of ${name}. */
static enum outcome
read_defined(struct start *s, const char *name, struct err *err)
{
	struct libvirt_guest *old = NULL;
	enum outcome rc = libvirt_find(&old, s->l, name, err);

	if (rc == OUTCOME_OK && old == NULL) {
		err_set(
		    err, ERR_NOT_FOUND, "libvirt has no domain %.100s", name);
		rc = OUTCOME_CONFIG;
	}
	if (rc == OUTCOME_OK) {
		secret_free(&s->text);
		rc = libvirt_guest_xml(&s->text, old, err);
	}
	libvirt_guest_free(old);
	return rc == OUTCOME_OK ? read_text(s, err) : rc;
}

/* Judged before the owner is asked: a launch that cannot end well would only
 * cost her a session. */
static enum outcome
not_yet_active(struct start *s, bool *persistent, struct err *err)
{
	struct libvirt_guest *old = NULL;
	enum outcome rc = libvirt_find(&old, s->l, s->look.name, err);

	*persistent = old != NULL && libvirt_guest_persistent(old);
	if (rc == OUTCOME_OK && old != NULL && libvirt_guest_active(old)) {
		err_set(err, ERR_CONFLICT, "domain %.100s is active already",
		    s->look.name);
		rc = OUTCOME_CONFIG;
	}
	libvirt_guest_free(old);
	return rc;
}

static enum outcome
need_service(struct start *s, struct err *err)
{
	struct options *o = &s->flow.o;

	if (o->service.url == NULL && s->look.service[0] != '\0')
		o->service.url = s->look.service;
	if (o->service.url == NULL) {
		err_set(err, ERR_USAGE,
		    "--service URL, or <service> in the domain's <metadata>");
		return OUTCOME_USAGE;
	}
	if (!o->has_uuid && !s->look.has_uuid) {
		err_set(err, ERR_USAGE,
		    "--uuid, or <uuid> in the domain's definition");
		return OUTCOME_USAGE;
	}
	if (!o->has_uuid)
		o->uuid = s->look.uuid;
	/* Only the owner's policy can be measured: another one in the
	 * definition is told here, and not by a mismatch. */
	o->has_policy = s->look.has_policy;
	o->policy = s->look.policy;
	return service_new(&s->flow.service, &o->service, err) == 0
	    ? OUTCOME_OK
	    : OUTCOME_USAGE;
}

static enum outcome
find_domain(struct start *s, struct err *err)
{
	const struct options *o = &s->flow.o;
	bool persistent = false;
	enum outcome rc;

	rc = o->domain != NULL ? read_defined(s, o->domain, err)
			       : read_text(s, err);
	if (rc == OUTCOME_OK)
		rc = not_yet_active(s, &persistent, err);
	if (rc == OUTCOME_OK)
		rc = need_service(s, err);
	if (rc != OUTCOME_OK || o->domain != NULL || o->transient)
		return rc;
	/* As `virsh define` and then --domain; libvirt may fill in a UUID. */
	rc = libvirt_define(s->l, (const char *)s->text.ptr, err);
	if (rc != OUTCOME_OK)
		return rc;
	s->defined = !persistent;
	return read_defined(s, s->look.name, err);
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
		uuid, "launch", s->id));
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
		.launch_id = s->id };
	struct secret text = { 0 };
	enum outcome rc = OUTCOME_BUG;

	if (service_key(s->id, err) == 0 &&
	    domain_xml_fill(s->xml, &fill, err) == 0 &&
	    domain_xml_write(&text, s->xml, err) == 0 &&
	    guard_watch(&s->guard, s->look.name, s->id, err) == 0) {
		rc = libvirt_create(&s->guest, s->l, (const char *)text.ptr,
		    s->flow.o.autodestroy, err);
		/* Answered: there is a guest now, or there will be none. */
		if ((rc == OUTCOME_OK || libvirt_alive(s->l)) &&
		    guard_answered(&s->guard, err) != 0)
			rc = OUTCOME_BUG;
	}
	secret_free(&text);
	if (rc == OUTCOME_OK)
		tell_guest(s, "started", "started paused");
	return rc;
}

static enum outcome
judge_and_inject(struct start *s, struct err *err)
{
	struct answer_validate packet = { 0 };
	struct measured measured;
	enum outcome rc;

	rc = libvirt_measure(&measured, s->guest, err);
	if (rc == OUTCOME_OK)
		rc = flow_validate(&packet, &s->flow, &measured, err);
	if (rc == OUTCOME_OK && packet.inject)
		rc = libvirt_inject(s->guest, &packet, err);
	if (rc == OUTCOME_OK)
		flow_injected(&s->flow, packet.inject);
	answer_validate_free(&packet);
	return rc;
}

static enum outcome
launch(struct start *s, struct err *err)
{
	enum outcome rc = libvirt_open(&s->l, s->flow.o.connect, err);

	if (rc == OUTCOME_OK)
		rc = ask_host(s, err);
	if (rc == OUTCOME_OK)
		rc = find_domain(s, err);
	if (rc == OUTCOME_OK)
		rc = flow_session(&s->flow, s->host.facts, err);
	if (rc == OUTCOME_OK)
		rc = start_paused(s, err);
	if (rc == OUTCOME_OK)
		rc = judge_and_inject(s, err);
	if (rc == OUTCOME_OK)
		rc = libvirt_resume(s->guest, err);
	if (rc != OUTCOME_OK)
		return rc;
	guard_release(&s->guard);
	tell_guest(s, "running", "running");
	return OUTCOME_OK;
}

static int
open_start(struct start *s, int argc, char **argv, struct err *err)
{
	const struct options *o = &s->flow.o;

	if (flow_options(&s->flow,
		OPT_SERVICE | OPT_UUID | OPT_JSON | OPT_KEY | OPT_DOMAIN |
		    OPT_CONNECT,
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

	if (rc == OUTCOME_OK)
		tell_guest(s, "ended", "ended");
	return rc;
}

/* A failed launch leaves neither the guest nor the definition of it. */
static void
undo(struct start *s)
{
	struct libvirt_guest *old = NULL;
	struct err err = { 0 };

	/* The guard's end is the guest's; if it was killed itself, it is our
	 * turn. */
	if (guard_end(&s->guard, &err) != 0 &&
	    (s->guest == NULL || libvirt_destroy(s->guest, &err) != OUTCOME_OK))
		report_say("%s: look for the guest, it is paused", err.msg);
	if (s->defined &&
	    (libvirt_find(&old, s->l, s->look.name, &err) != OUTCOME_OK ||
		(old != NULL && libvirt_undefine(old, &err) != OUTCOME_OK)))
		report_say("%s", err.msg);
	libvirt_guest_free(old);
}

enum outcome
start_libvirt(int argc, char **argv)
{
	struct start s = { 0 };
	struct err err = { 0 };
	enum outcome rc = OUTCOME_USAGE;

	if (open_start(&s, argc, argv, &err) == 0)
		rc = guard_start(&s.guard, s.flow.o.connect, &err) == 0
		    ? launch(&s, &err)
		    : OUTCOME_BUG;
	if (rc != OUTCOME_OK)
		undo(&s);
	else if (s.flow.o.autodestroy)
		rc = outlive(&s, &err);
	libvirt_guest_free(s.guest);
	libvirt_close(s.l);
	domain_xml_free(s.xml);
	secret_free(&s.text);
	json_decref(s.host.facts);
	return flow_end(&s.flow, rc, &err);
}
