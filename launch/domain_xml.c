#include "launch/domain_xml.h"

#include <ctype.h>
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"

/* No entity is resolved (XML_PARSE_NOENT is not given, and a document type is
 * refused), nothing is fetched, and libxml2's own limits stay (no
 * XML_PARSE_HUGE). */
#define PARSE_OPTIONS                                                          \
	(XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

struct domain_xml {
	xmlDoc *doc;
};

/* ${name} may be NULL: whatever it is called. */
static bool
is_element(const xmlNode *n, const char *name, const char *ns)
{
	if (n->type != XML_ELEMENT_NODE ||
	    (name != NULL && strcmp((const char *)n->name, name) != 0))
		return false;
	if (ns == NULL)
		return n->ns == NULL;
	return n->ns != NULL && n->ns->href != NULL &&
	    strcmp((const char *)n->ns->href, ns) == 0;
}

/* The one child of that name, or NULL; two are a mistake of somebody. */
static int
one(xmlNode **out, const xmlNode *parent, const char *name, const char *ns,
    struct err *err)
{
	*out = NULL;
	for (xmlNode *n = parent == NULL ? NULL : parent->children; n != NULL;
	     n = n->next) {
		if (!is_element(n, name, ns))
			continue;
		if (*out != NULL)
			return err_set(
			    err, ERR_MALFORMED, "<%s> is there twice", name);
		*out = n;
	}
	return 0;
}

static int
copy(char *out, size_t cap, const char *text, size_t len, const char *name,
    struct err *err)
{
	out[0] = '\0';
	if (len >= cap)
		return err_set(err, ERR_LIMIT,
		    "%s: %zu characters, at most %zu", name, len, cap - 1);
	(void)snprintf(out, cap, "%.*s", (int)len, text);
	return 0;
}

/* ${out} is "" if there is no such text; white space around it goes. */
static int
text_of(char *out, size_t cap, xmlChar *text, const char *name, struct err *err)
{
	const char *at = text == NULL ? "" : (const char *)text;
	size_t len;
	int rc;

	at += strspn(at, " \t\r\n");
	len = strlen(at);
	while (len > 0 && strchr(" \t\r\n", at[len - 1]) != NULL)
		len--;
	rc = copy(out, cap, at, len, name, err);
	xmlFree(text);
	return rc;
}

static int
content(char *out, size_t cap, const xmlNode *n, struct err *err)
{
	return text_of(
	    out, cap, xmlNodeGetContent(n), (const char *)n->name, err);
}

/* With its white space, as libvirt takes it: the guest is looked for by it. */
static int
name_of(char *out, size_t cap, const xmlNode *n, struct err *err)
{
	xmlChar *text = xmlNodeGetContent(n);
	const char *at = text == NULL ? "" : (const char *)text;
	int rc = copy(out, cap, at, strlen(at), (const char *)n->name, err);

	xmlFree(text);
	return rc;
}

static int
attribute(
    char *out, size_t cap, const xmlNode *n, const char *name, struct err *err)
{
	return text_of(
	    out, cap, xmlGetNoNsProp(n, (const xmlChar *)name), name, err);
}

/* libxml2 writes the name of a namespace as it is, which would be no XML.  The
 * depth is libxml2's to bound. */
static bool
can_be_written(const xmlNode *n)
{
	for (; n != NULL; n = n->next) {
		if (n->type != XML_ELEMENT_NODE)
			continue;
		for (const xmlNs *ns = n->nsDef; ns != NULL; ns = ns->next)
			if (ns->href != NULL &&
			    strpbrk((const char *)ns->href, "<&") != NULL)
				return false;
		if (!can_be_written(n->children))
			return false;
	}
	return true;
}

int
domain_xml_read(struct domain_xml **out, struct span text, struct err *err)
{
	struct domain_xml *x = calloc(1, sizeof(*x));
	const xmlError *why;
	const xmlNode *root;

	if (x == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a domain");
	if (text.len > DOMAIN_XML_MAX) {
		err_set(err, ERR_LIMIT, "domain XML of %zu bytes, at most %d",
		    text.len, DOMAIN_XML_MAX);
		goto fail;
	}
	/* Before libxml2 sees it; in another encoding it is no XML here. */
	if (memmem(text.ptr, text.len, "<!DOCTYPE", 9) != NULL) {
		err_set(err, ERR_MALFORMED,
		    "domain XML with a document type: entities are not taken");
		goto fail;
	}
	xmlResetLastError();
	x->doc = xmlReadMemory((const char *)text.ptr, (int)text.len, NULL,
	    "UTF-8", PARSE_OPTIONS);
	if (x->doc == NULL) {
		why = xmlGetLastError();
		err_set(err, ERR_MALFORMED, "domain XML, line %d: %.100s",
		    why == NULL ? 0 : why->line,
		    why == NULL || why->message == NULL ? "not XML"
							: why->message);
		/* libxml2's sentences end in a newline. */
		if (err != NULL)
			err->msg[strcspn(err->msg, "\n")] = '\0';
		goto fail;
	}
	root = xmlDocGetRootElement(x->doc);
	if (root == NULL || !is_element(root, "domain", NULL)) {
		err_set(err, ERR_MALFORMED, "no <domain> at the root");
		goto fail;
	}
	if (!can_be_written(root)) {
		err_set(err, ERR_MALFORMED,
		    "domain XML with < or & in the name of a namespace");
		goto fail;
	}
	*out = x;
	return 0;
fail:
	domain_xml_free(x);
	return -1;
}

void
domain_xml_free(struct domain_xml *x)
{
	if (x == NULL)
		return;
	xmlFreeDoc(x->doc);
	free(x);
}

static int
look_uuid(struct domain_look *out, const char *text, struct err *err)
{
	if (text[0] == '\0')
		return 0;
	if (uuid_parse(&out->uuid, span_str(text), err) != 0)
		return err_wrap(err, "uuid");
	out->has_uuid = true;
	return 0;
}

/* The service's word on the UUID goes over the domain's own. */
static int
look_service(struct domain_look *out, const xmlNode *root, struct err *err)
{
	char text[UUID_TEXT_LEN + 2];
	xmlNode *metadata, *service;

	if (one(&metadata, root, "metadata", NULL, err) != 0 ||
	    one(&service, metadata, "service", DOMAIN_SERVICE_NS, err) != 0)
		return -1;
	if (service == NULL)
		return 0;
	if (attribute(text, sizeof(text), service, "uuid", err) != 0 ||
	    look_uuid(out, text, err) != 0 ||
	    attribute(
		out->service, sizeof(out->service), service, "url", err) != 0)
		return err_wrap(err, "<metadata><service>");
	return 0;
}

static int
look_policy(struct domain_look *out, const xmlNode *sec, struct err *err)
{
	char text[16], *end;
	unsigned long policy;
	xmlNode *n;

	if (one(&n, sec, "policy", NULL, err) != 0)
		return -1;
	if (n == NULL)
		return 0;
	if (content(text, sizeof(text), n, err) != 0)
		return -1;
	/* libvirt takes it as hexadecimal, whether 0x stands there or not. */
	errno = 0;
	policy = strtoul(text, &end, 16);
	if (!isxdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 ||
	    policy > UINT32_MAX)
		return err_set(err, ERR_MALFORMED,
		    "<policy>: want 32 bits as hexadecimal digits");
	out->has_policy = true;
	out->policy = (uint32_t)policy;
	return 0;
}

int
domain_xml_look(
    struct domain_look *out, const struct domain_xml *x, struct err *err)
{
	const xmlNode *root = xmlDocGetRootElement(x->doc);
	char text[UUID_TEXT_LEN + 2];
	xmlNode *n;

	memset(out, 0, sizeof(*out));
	if (one(&n, root, "name", NULL, err) != 0)
		return -1;
	if (n == NULL)
		return err_set(err, ERR_MALFORMED, "<name> is missing");
	if (name_of(out->name, sizeof(out->name), n, err) != 0)
		return -1;
	if (out->name[strspn(out->name, " \t\r\n")] == '\0')
		return err_set(err, ERR_MALFORMED, "<name> is empty");
	if (one(&n, root, "uuid", NULL, err) != 0)
		return -1;
	if (n != NULL &&
	    (content(text, sizeof(text), n, err) != 0 ||
		look_uuid(out, text, err) != 0))
		return -1;
	if (look_service(out, root, err) != 0 ||
	    one(&n, root, "launchSecurity", NULL, err) != 0)
		return -1;
	if (n == NULL)
		return 0;
	if (attribute(text, sizeof(text), n, "type", err) != 0)
		return -1;
	if (strcmp(text, "sev") != 0)
		return err_set(err, ERR_UNSUPPORTED,
		    "<launchSecurity type='%s'>, want sev", text);
	return look_policy(out, n, err);
}

/* However many there are. */
static void
drop(xmlNode *parent, const char *name, const char *ns)
{
	xmlNode *next;

	for (xmlNode *n = parent->children; n != NULL; n = next) {
		next = n->next;
		if (!is_element(n, name, ns))
			continue;
		xmlUnlinkNode(n);
		xmlFreeNode(n);
	}
}

/* Make ${name} in ${parent}, in the place of what is there. */
static xmlNode *
put(xmlNode *parent, const char *name, const char *text)
{
	drop(parent, name, NULL);
	return xmlNewTextChild(
	    parent, NULL, (const xmlChar *)name, (const xmlChar *)text);
}

static int
put_number(xmlNode *parent, const char *name, unsigned v)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u", v);
	return put(parent, name, text) == NULL ? -1 : 0;
}

/* libvirt would read 13 as 0x13. */
static int
put_policy(xmlNode *parent, uint32_t v)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "0x%04x", v);
	return put(parent, "policy", text) == NULL ? -1 : 0;
}

static int
put_bytes(xmlNode *parent, const char *name, struct span in)
{
	size_t cap = base64_len(in.len) + 1;
	char *text = malloc(cap);
	int rc = -1;

	if (text != NULL &&
	    put(parent, name, base64_encode(text, cap, in)) != NULL)
		rc = 0;
	free(text);
	return rc;
}

/* The mark by which a guest of ours is told from another of its name. */
static int
mark(xmlNode *root, const char *id)
{
	xmlNode *metadata, *launch;
	xmlNs *ns;

	if (one(&metadata, root, "metadata", NULL, NULL) != 0)
		return -1;
	if (metadata == NULL)
		metadata =
		    xmlNewChild(root, NULL, (const xmlChar *)"metadata", NULL);
	if (metadata == NULL)
		return -1;
	/* libvirt keeps the first element of a namespace, and no other. */
	drop(metadata, NULL, DOMAIN_LAUNCH_NS);
	launch = xmlNewChild(metadata, NULL, (const xmlChar *)"launch", NULL);
	if (launch == NULL)
		return -1;
	ns = xmlNewNs(launch, (const xmlChar *)DOMAIN_LAUNCH_NS,
	    (const xmlChar *)"attest");
	if (ns == NULL)
		return -1;
	xmlSetNs(launch, ns);
	return xmlNewProp(launch, (const xmlChar *)"id", (const xmlChar *)id) ==
		NULL
	    ? -1
	    : 0;
}

int
domain_xml_fill(
    struct domain_xml *x, const struct domain_fill *fill, struct err *err)
{
	xmlNode *root = xmlDocGetRootElement(x->doc), *sec;

	if (one(&sec, root, "launchSecurity", NULL, err) != 0)
		return -1;
	if (sec == NULL)
		sec = xmlNewChild(
		    root, NULL, (const xmlChar *)"launchSecurity", NULL);
	if (sec == NULL ||
	    xmlSetProp(sec, (const xmlChar *)"type", (const xmlChar *)"sev") ==
		NULL ||
	    xmlSetProp(sec, (const xmlChar *)"kernelHashes",
		(const xmlChar *)(fill->kernel_hashes ? "yes" : "no")) ==
		NULL ||
	    put_number(sec, "cbitpos", fill->cbitpos) != 0 ||
	    put_number(sec, "reducedPhysBits", fill->reduced_phys_bits) != 0 ||
	    put_policy(sec, fill->policy) != 0 ||
	    put_bytes(sec, "dhCert", fill->owner_cert) != 0 ||
	    put_bytes(sec, "session", fill->session) != 0 ||
	    mark(root, fill->launch_id) != 0)
		return err_set(err, ERR_MEMORY, "no memory for domain XML");
	return 0;
}

int
domain_xml_write(
    struct secret *out, const struct domain_xml *x, struct err *err)
{
	xmlChar *text = NULL;
	int len = 0, rc = -1;

	xmlDocDumpMemoryEnc(x->doc, &text, &len, "UTF-8");
	if (text == NULL || len <= 0) {
		err_set(err, ERR_MEMORY, "no memory for domain XML");
		goto out;
	}
	/* A domain may hold passwords of consoles. */
	rc = secret_copy(out, span_of(text, (size_t)len), err);
out:
	if (text != NULL)
		secret_wipe(text, (size_t)len);
	xmlFree(text);
	return rc;
}
