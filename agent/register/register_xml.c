#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/plain.h"
#include "agent/register/register_impl.h"

/*
 * What libvirt knows of a domain -> what is not said otherwise.  The file may
 * come from the cloud, so it is read as a stranger's: nothing is fetched, a
 * document type (and with it every entity) is refused before libxml2 sees it,
 * and size, depth and the number of elements are bounded.
 */

#define DEPTH_MAX 32
#define NODES_MAX 20000
#define TEXT_MAX 4096

/* As libvirt's paths find them: in no namespace, and the first of them. */
static const xmlNode *
child(const xmlNode *of, const char *name)
{
	const xmlNode *n;

	for (n = of != NULL ? of->children : NULL; n != NULL; n = n->next)
		if (n->type == XML_ELEMENT_NODE && n->ns == NULL &&
		    strcmp((const char *)n->name, name) == 0)
			return n;
	return NULL;
}

static int
keep(char out[TEXT_MAX], xmlChar *text, const char *what, struct err *err)
{
	size_t len = text != NULL ? strlen((const char *)text) : 0;

	if (len >= TEXT_MAX) {
		xmlFree(text);
		return err_set(err, ERR_LIMIT, "<%s>: more than %d bytes", what,
		    TEXT_MAX - 1);
	}
	if (len > 0)
		memcpy(out, text, len);
	out[len] = '\0';
	xmlFree(text);
	return 0;
}

/* All of an element's text, as it stands there. */
static int
text_of(char out[TEXT_MAX], const xmlNode *n, struct err *err)
{
	return keep(out, n != NULL ? xmlNodeGetContent(n) : NULL,
	    n != NULL ? (const char *)n->name : "", err);
}

/* Without the white space that surrounds it. */
static int
word_of(char out[TEXT_MAX], const xmlNode *n, struct err *err)
{
	static const char blank[] = " \t\r\n";
	size_t skip, len;

	if (text_of(out, n, err) != 0)
		return -1;
	skip = strspn(out, blank);
	len = strlen(out);
	while (len > skip && strchr(blank, out[len - 1]) != NULL)
		len--;
	memmove(out, out + skip, len - skip);
	out[len - skip] = '\0';
	return 0;
}

/* xmlGetProp() takes no const; it changes nothing. */
static int
attribute(
    char out[TEXT_MAX], const xmlNode *n, const char *name, struct err *err)
{
	const xmlAttr *a;

	out[0] = '\0';
	for (a = n != NULL ? n->properties : NULL; a != NULL; a = a->next)
		if (strcmp((const char *)a->name, name) == 0 && a->ns == NULL)
			return keep(out, xmlNodeGetContent((const xmlNode *)a),
			    name, err);
	return 0;
}

static bool
attribute_is(const xmlNode *n, const char *name, const char *want)
{
	char text[TEXT_MAX];

	return attribute(text, n, name, NULL) == 0 && strcmp(text, want) == 0;
}

/* An element with text, as an option; nothing if it is not there. */
static int
take(struct register_plan *p, const xmlNode *n, const char *option,
    struct err *err)
{
	char text[TEXT_MAX];

	if (n == NULL)
		return 0;
	if (word_of(text, n, err) != 0 ||
	    register_option(p, option, text, err) != 0)
		return err_wrap(err, "<%s>", (const char *)n->name);
	return 0;
}

/* The path is the host's: the owner's copy may lie elsewhere. */
static int
take_file(struct register_plan *p, const xmlNode *n, const char *option,
    struct err *err)
{
	if (take(p, n, option, err) == 0)
		return 0;
	if (err != NULL && err->code == ERR_IO) {
		char why[sizeof(err->msg)];

		memcpy(why, err->msg, sizeof(why));
		return err_set(err, ERR_IO,
		    "%.160s; give your own copy: --%s FILE", why, option);
	}
	return -1;
}

static int
take_identity(struct register_plan *p, const xmlNode *domain, struct err *err)
{
	if (p->r->name[0] == '\0' &&
	    take(p, child(domain, "name"), "name", err) != 0)
		return -1;
	if (p->has_vm || p->new_vm || child(domain, "uuid") == NULL)
		return 0;
	register_note(p,
	    "note: the UUID is the domain's: the relay must know it as yours "
	    "(--new-uuid makes one that only your key can claim)");
	return take(p, child(domain, "uuid"), "uuid", err);
}

static int
take_firmware(struct register_plan *p, const xmlNode *os, struct err *err)
{
	const xmlNode *loader = child(os, "loader");
	bool rom = loader != NULL && !attribute_is(loader, "type", "pflash");

	p->nvram_told = true;
	if (child(os, "nvram") != NULL)
		register_note(p,
		    "warning: <nvram> present: variables are not measured "
		    "(see attest-agent help nvram)");
	else if (!rom && !attribute_is(loader, "stateless", "yes"))
		register_note(p,
		    "note: libvirt adds an NVRAM to this loader, which is "
		    "not measured; <loader stateless='yes'> does without");
	if (p->firmware_count > 0 || p->r->digest_count > 0)
		return 0;
	if (loader == NULL)
		return err_set(err, ERR_USAGE,
		    "<os>: no <loader>, so the host chooses the firmware: "
		    "name one there, and give it here (--firmware FILE)");
	return take_file(p, loader, "firmware", err);
}

static int
take_kernel(struct register_plan *p, const xmlNode *os, const xmlNode *security,
    struct err *err)
{
	const xmlNode *cmdline = child(os, "cmdline");
	char text[TEXT_MAX];

	if (child(os, "kernel") == NULL && p->kernels.count == 0)
		return 0;
	/* QEMU then boots it all the same, and any other in its place. */
	if (child(os, "kernel") != NULL &&
	    !attribute_is(security, "kernelHashes", "yes"))
		return err_set(err, ERR_USAGE,
		    "<kernel> is not measured: the host could boot another "
		    "one; set <launchSecurity type='sev' "
		    "kernelHashes='yes'>");
	if (p->kernels.count == 0 &&
	    take_file(p, child(os, "kernel"), "kernel", err) != 0)
		return -1;
	if (p->initrds.count == 0 &&
	    take_file(p, child(os, "initrd"), "initrd", err) != 0)
		return -1;
	if (p->cmdlines.count > 0 || cmdline == NULL)
		return 0;
	/* Each blank counts, as it does for QEMU. */
	if (text_of(text, cmdline, err) != 0)
		return -1;
	return register_option(p, "cmdline", text, err);
}

/* libvirt takes it as hexadecimal, whether 0x stands there or not. */
static int
take_policy(struct register_plan *p, const xmlNode *n, struct err *err)
{
	char word[TEXT_MAX], text[TEXT_MAX + 2];

	if (n == NULL)
		return 0;
	if (word_of(word, n, err) != 0)
		return -1;
	(void)snprintf(text, sizeof(text), "0x%s",
	    word + (strncasecmp(word, "0x", 2) == 0 ? 2 : 0));
	if (register_option(p, "policy", text, err) != 0)
		return err_wrap(err, "<policy>");
	return 0;
}

static int
take_security(struct register_plan *p, const xmlNode *security, struct err *err)
{
	char type[TEXT_MAX];

	if (security == NULL)
		return err_set(err, ERR_USAGE,
		    "no <launchSecurity type='sev'>: the guest would run "
		    "without encryption");
	if (attribute(type, security, "type", err) != 0)
		return -1;
	if (strcmp(type, "sev") != 0)
		return err_set(err, ERR_UNSUPPORTED,
		    "<launchSecurity type='%.20s'>: want 'sev'", type);
	if (p->has_policy)
		return 0;
	return take_policy(p, child(security, "policy"), err);
}

/* With hotplug in mind <vcpu> tells the most; current, those that start. */
static int
take_vcpus(struct register_plan *p, const xmlNode *domain, struct err *err)
{
	const xmlNode *vcpu = child(domain, "vcpu");
	const xmlNode *cpu = child(domain, "cpu");
	const xmlNode *model = child(cpu, "model");
	char text[TEXT_MAX];

	if (p->cpu_count == 0 && vcpu != NULL) {
		if (attribute(text, vcpu, "current", err) != 0)
			return -1;
		if (text[0] == '\0' && word_of(text, vcpu, err) != 0)
			return -1;
		if (register_option(p, "cpus", text, err) != 0)
			return err_wrap(err, "<vcpu>");
	}
	if (p->has_signature || p->has_family || p->vmsa0.len > 0)
		return 0;
	if (model == NULL || attribute_is(cpu, "mode", "host-passthrough") ||
	    attribute_is(cpu, "mode", "host-model"))
		return 0;
	if (word_of(text, model, err) != 0)
		return -1;
	/* Of interest for SEV-ES only, where register_vcpus() asks for it. */
	if (sev_vmsa_model_find(&p->signature, span_str(text), NULL) == 0)
		p->has_signature = true;
	return 0;
}

/* What makes such a guest fail on the host, and is easily forgotten. */
static void
hint(struct register_plan *p, const xmlNode *domain)
{
	const xmlNode *n = child(domain, "devices");
	size_t without = 0;

	if (child(child(domain, "memoryBacking"), "locked") == NULL)
		register_note(p,
		    "note: <memoryBacking><locked/></memoryBacking> is "
		    "missing: the host may not be able to start the guest");
	for (n = n != NULL ? n->children : NULL; n != NULL; n = n->next) {
		const xmlNode *model = child(n, "model");

		if ((attribute_is(model, "type", "virtio") ||
			attribute_is(child(n, "target"), "bus", "virtio")) &&
		    !attribute_is(child(n, "driver"), "iommu", "on"))
			without++;
	}
	if (without > 0)
		register_note(p,
		    "note: %zu virtio devices without <driver iommu='on'/>: "
		    "they will not work under SEV",
		    without);
}

/* Depth and count, without recursion. */
static int
check_size(const xmlNode *root, struct err *err)
{
	const xmlNode *n = root;
	size_t count = 0;
	int depth = 1;

	while (n != NULL) {
		if (++count > NODES_MAX || depth > DEPTH_MAX)
			return err_set(err, ERR_LIMIT,
			    "more than %d elements or %d levels", NODES_MAX,
			    DEPTH_MAX);
		if (n->type == XML_ENTITY_REF_NODE)
			return err_set(err, ERR_MALFORMED, "an entity");
		if (n->type == XML_ELEMENT_NODE && n->children != NULL) {
			n = n->children;
			depth++;
			continue;
		}
		while (n != root && n->next == NULL) {
			n = n->parent;
			depth--;
		}
		n = n == root ? NULL : n->next;
	}
	return 0;
}

static int
take_domain(struct register_plan *p, const xmlNode *domain, struct err *err)
{
	const xmlNode *security = child(domain, "launchSecurity");
	const xmlNode *os = child(domain, "os");

	if (domain == NULL || strcmp((const char *)domain->name, "domain") != 0)
		return err_set(err, ERR_USAGE, "not a libvirt <domain>");
	if (check_size(domain, err) != 0 ||
	    take_identity(p, domain, err) != 0 ||
	    take_security(p, security, err) != 0 ||
	    take_firmware(p, os, err) != 0 ||
	    take_kernel(p, os, security, err) != 0 ||
	    take_vcpus(p, domain, err) != 0)
		return -1;
	hint(p, domain);
	return 0;
}

/* The places where a document type could begin; in UTF-8, as NULs are out. */
static int
check_text(struct span text, struct err *err)
{
	static const char declared[] = "<!DOCTYPE";
	size_t len = sizeof(declared) - 1;
	size_t i;

	if (text.len == 0 || text.len > REGISTER_XML_MAX)
		return err_set(err, ERR_LIMIT, "%zu bytes, want 1 to %d",
		    text.len, REGISTER_XML_MAX);
	if (memchr(text.ptr, '\0', text.len) != NULL)
		return err_set(
		    err, ERR_MALFORMED, "a NUL in it: want XML in UTF-8");
	for (i = 0; i + len <= text.len; i++)
		if (span_is(span_of(text.ptr + i, len), declared))
			return err_set(err, ERR_MALFORMED,
			    "a document type: entities are not for domains");
	return 0;
}

int
register_domain(struct register_plan *p, struct span text, struct err *err)
{
	const int options = XML_PARSE_NONET | XML_PARSE_NOERROR |
	    XML_PARSE_NOWARNING | XML_PARSE_NOCDATA;
	xmlParserCtxt *ctxt = NULL;
	xmlDoc *doc = NULL;
	int rc = -1;

	if (check_text(text, err) != 0)
		return -1;
	ctxt = xmlNewParserCtxt();
	if (ctxt == NULL)
		return err_set(err, ERR_MEMORY, "no memory for XML");
	doc = xmlCtxtReadMemory(ctxt, (const char *)text.ptr, (int)text.len,
	    "domain.xml", "UTF-8", options);
	if (doc == NULL) {
		(void)err_set(err, ERR_MALFORMED, "not XML: line %d",
		    ctxt->lastError.line);
		goto out;
	}
	rc = take_domain(p, xmlDocGetRootElement(doc), err);
	/* What is quoted of a stranger's file goes to a terminal (T30). */
	if (rc != 0 && err != NULL)
		(void)plain(err->msg);
out:
	xmlFreeDoc(doc);
	xmlFreeParserCtxt(ctxt);
	return rc;
}
