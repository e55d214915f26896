#ifndef LAUNCH_DOMAIN_XML_H
#define LAUNCH_DOMAIN_XML_H

#include "common/secret.h"
#include "common/uuid.h"

/*
 * libvirt's domain XML: what a launch looks for in it, and what it puts in.
 * https://libvirt.org/formatdomain.html#launch-security.  No network, no
 * entities, no document type.
 */

#define DOMAIN_XML_MAX 1048576
#define DOMAIN_NAME_MAX 255
#define DOMAIN_URL_MAX 512

/* In <metadata>; libvirt keeps one foreign element of a namespace.
 *   <attest:service xmlns:attest="urn:attest-relay:service:1" url="..."
 *       uuid="..."/>      written by people; both attributes may be absent
 *   <attest:launch xmlns:attest="urn:attest-relay:launch:1" id="..."/>
 *                         written by us, for as long as the guest lives
 */
#define DOMAIN_SERVICE_NS "urn:attest-relay:service:1"
#define DOMAIN_LAUNCH_NS "urn:attest-relay:launch:1"

struct domain_look {
	char name[DOMAIN_NAME_MAX + 1];
	bool has_uuid;
	struct uuid uuid; /* of the service element, else of the domain */
	bool has_policy;
	uint32_t policy;
	char service[DOMAIN_URL_MAX + 1]; /* "": not said */
};

struct domain_fill {
	unsigned cbitpos, reduced_phys_bits;
	uint32_t policy;
	bool kernel_hashes;
	struct span owner_cert, session; /* bytes */
	const char *launch_id;           /* a UUID's text */
};

struct domain_xml;

/**
 * domain_xml_read(out, text, err):
 * Parse a <domain>.
 *   lifetime  caller: domain_xml_free()
 *   errors    ERR_MALFORMED: not XML, a document type, no <domain>;
 *             ERR_LIMIT, ERR_MEMORY
 */
int domain_xml_read(struct domain_xml **out, struct span text, struct err *err);
void domain_xml_free(struct domain_xml *x);

/**
 * domain_xml_look(out, x, err):
 *   errors  ERR_MALFORMED: an element twice, or not what libvirt takes;
 *           ERR_UNSUPPORTED: launchSecurity of another type than sev
 */
int domain_xml_look(
    struct domain_look *out, const struct domain_xml *x, struct err *err);

/** domain_xml_fill(x, fill, err): launchSecurity is made if there is none;
 * what it holds already is replaced.  errors ERR_MEMORY */
int domain_xml_fill(
    struct domain_xml *x, const struct domain_fill *fill, struct err *err);

/** domain_xml_write(out, x, err): with a NUL behind ${out}->len bytes.
 *   errors  ERR_MEMORY */
int domain_xml_write(
    struct secret *out, const struct domain_xml *x, struct err *err);

#endif
