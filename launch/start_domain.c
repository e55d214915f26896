#include "launch/start_inside.h"

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

enum outcome
start_domain(struct start *s, struct err *err)
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
