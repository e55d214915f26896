#include "launch/libvirt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base64.h"
#include "common/json_strict.h"
#include "launch/domain_xml.h"
#include "launch/json.h"
#include "launch/libvirt_inside.h"
#include "launch/qmp_sev.h"

static enum outcome
hold(struct libvirt_guest **out, struct libvirt *l, virDomainPtr domain,
    struct err *err)
{
	struct libvirt_guest *g = calloc(1, sizeof(*g));

	if (g == NULL) {
		(void)l->api.virDomainFree(domain);
		err_set(err, ERR_MEMORY, "no memory for a guest");
		return OUTCOME_BUG;
	}
	g->l = l;
	g->domain = domain;
	*out = g;
	return OUTCOME_OK;
}

enum outcome
libvirt_find(struct libvirt_guest **out, struct libvirt *l, const char *name,
    struct err *err)
{
	virDomainPtr domain = l->api.virDomainLookupByName(l->conn, name);

	*out = NULL;
	if (domain != NULL)
		return hold(out, l, domain, err);
	if (l->api.virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		return OUTCOME_OK;
	return libvirt_tell(l, name, err);
}

void
libvirt_guest_free(struct libvirt_guest *g)
{
	if (g == NULL)
		return;
	(void)g->l->api.virDomainFree(g->domain);
	free(g);
}

bool
libvirt_guest_active(const struct libvirt_guest *g)
{
	return g->l->api.virDomainIsActive(g->domain) == 1;
}

bool
libvirt_guest_persistent(const struct libvirt_guest *g)
{
	return g->l->api.virDomainIsPersistent(g->domain) == 1;
}

enum libvirt_state
libvirt_guest_state(const struct libvirt_guest *g)
{
	int state = VIR_DOMAIN_NOSTATE;

	if (g->l->api.virDomainGetState(g->domain, &state, NULL, 0) != 0)
		return LIBVIRT_UNKNOWN;
	if (state == VIR_DOMAIN_RUNNING)
		return LIBVIRT_RUNNING;
	return state == VIR_DOMAIN_PAUSED ? LIBVIRT_PAUSED : LIBVIRT_OTHER;
}

/* QEMU calls a guest "prelaunch" until its first `cont`, and again only if it
 * is reset while it is paused. */
int
libvirt_guest_has_run(bool *has, const struct libvirt_guest *g)
{
	const struct libvirt_api *api = &g->l->api;
	json_t *o = NULL;
	char status[24] = "", *text = NULL;

	if (api->virDomainQemuMonitorCommand == NULL ||
	    api->virDomainQemuMonitorCommand(
		g->domain, "{\"execute\":\"query-status\"}", &text, 0) != 0)
		return -1;
	if (json_strict_deep(&o, span_str(text), QMP_DEPTH_MAX, NULL) == 0)
		json_get_text(status, sizeof(status),
		    json_object_get(o, "return"), "status");
	json_decref(o);
	free(text);
	*has = strcmp(status, "prelaunch") != 0;
	return status[0] == '\0' ? -1 : 0;
}

void
libvirt_guest_uuid(char out[UUID_TEXT_LEN + 1], const struct libvirt_guest *g)
{
	if (g->l->api.virDomainGetUUIDString(g->domain, out) != 0)
		out[0] = '\0';
}

enum outcome
libvirt_guest_xml(
    struct secret *out, const struct libvirt_guest *g, struct err *err)
{
	/* INACTIVE: as it was written, not as it last ran. */
	char *xml = g->l->api.virDomainGetXMLDesc(
	    g->domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
	enum outcome rc = OUTCOME_OK;

	if (xml == NULL)
		return libvirt_tell(g->l, "definition of the domain", err);
	if (secret_copy(out, span_str(xml), err) != 0)
		rc = OUTCOME_BUG;
	secret_wipe(xml, strlen(xml));
	free(xml);
	return rc;
}

/* It is gone, rather than that libvirt does not say. */
static bool
is_gone(const struct libvirt_api *api)
{
	int code = api->virGetLastErrorCode();

	return code == VIR_ERR_NO_DOMAIN || code == VIR_ERR_OPERATION_INVALID;
}

int
libvirt_guest_marked(bool *is, const struct libvirt_guest *g, const char *id)
{
	const struct libvirt_api *api = &g->l->api;
	int active = api->virDomainIsActive(g->domain);
	char *mark;

	*is = false;
	if (active != 1)
		return active == 0 || is_gone(api) ? 0 : -1;
	mark = api->virDomainGetMetadata(g->domain, VIR_DOMAIN_METADATA_ELEMENT,
	    DOMAIN_LAUNCH_NS, VIR_DOMAIN_AFFECT_LIVE);
	if (mark == NULL)
		return is_gone(api) ||
			api->virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA
		    ? 0
		    : -1;
	*is = strstr(mark, id) != NULL;
	free(mark);
	return 0;
}

enum outcome
libvirt_create(struct libvirt_guest **out, struct libvirt *l, const char *xml,
    bool autodestroy, struct err *err)
{
	unsigned flags = VIR_DOMAIN_START_PAUSED |
	    (autodestroy ? VIR_DOMAIN_START_AUTODESTROY : 0);
	virDomainPtr domain = l->api.virDomainCreateXML(l->conn, xml, flags);

	if (domain == NULL)
		return libvirt_tell(l, "start", err);
	return hold(out, l, domain, err);
}

enum outcome
libvirt_define(struct libvirt *l, const char *xml, struct err *err)
{
	virDomainPtr domain = l->api.virDomainDefineXML(l->conn, xml);

	if (domain == NULL)
		return libvirt_tell(l, "define", err);
	(void)l->api.virDomainFree(domain);
	return OUTCOME_OK;
}

enum outcome
libvirt_undefine(struct libvirt_guest *g, struct err *err)
{
	if (g->l->api.virDomainUndefineFlags(
		g->domain, VIR_DOMAIN_UNDEFINE_KEEP_NVRAM) != 0)
		return libvirt_tell(g->l, "undefine", err);
	return OUTCOME_OK;
}

/* One byte of the secure processor's version. */
static int
get_byte(uint8_t *out, const struct libvirt_api *api, virTypedParameterPtr p,
    int n, const char *name)
{
	unsigned v = 0;

	if (api->virTypedParamsGetUInt(p, n, name, &v) != 1 || v > UINT8_MAX)
		return -1;
	*out = (uint8_t)v;
	return 0;
}

static int
take_measured(struct measured *out, const struct libvirt_api *api,
    virTypedParameterPtr p, int n, struct err *err)
{
	const char *text = NULL;
	size_t len = 0;

	if (api->virTypedParamsGetString(
		p, n, VIR_DOMAIN_LAUNCH_SECURITY_SEV_MEASUREMENT, &text) != 1)
		return err_set(err, ERR_MALFORMED,
		    "libvirt: no measurement: does the guest have SEV?");
	if (base64_decode(
		out->bytes, sizeof(out->bytes), &len, span_str(text), err) != 0)
		return err_wrap(err, "libvirt: measurement");
	if (len != sizeof(out->bytes))
		return err_set(err, ERR_MALFORMED,
		    "libvirt: measurement of %zu bytes, want %zu", len,
		    sizeof(out->bytes));
	if (get_byte(&out->api_major, api, p, n,
		VIR_DOMAIN_LAUNCH_SECURITY_SEV_API_MAJOR) != 0 ||
	    get_byte(&out->api_minor, api, p, n,
		VIR_DOMAIN_LAUNCH_SECURITY_SEV_API_MINOR) != 0 ||
	    get_byte(&out->build_id, api, p, n,
		VIR_DOMAIN_LAUNCH_SECURITY_SEV_BUILD_ID) != 0 ||
	    api->virTypedParamsGetUInt(
		p, n, VIR_DOMAIN_LAUNCH_SECURITY_SEV_POLICY, &out->policy) != 1)
		return err_set(err, ERR_MALFORMED,
		    "libvirt: measurement without version or policy: want "
		    "libvirt 8.0 or later");
	return 0;
}

enum outcome
libvirt_measure(
    struct measured *out, const struct libvirt_guest *g, struct err *err)
{
	const struct libvirt_api *api = &g->l->api;
	virTypedParameterPtr p = NULL;
	int n = 0, rc;

	memset(out, 0, sizeof(*out));
	if (api->virDomainGetLaunchSecurityInfo(g->domain, &p, &n, 0) != 0)
		return libvirt_tell(g->l, "measurement", err);
	rc = take_measured(out, api, p, n, err);
	api->virTypedParamsFree(p, n);
	return rc == 0 ? OUTCOME_OK : OUTCOME_CONFIG;
}

static int
add_bytes(virTypedParameterPtr *p, int *n, int *max,
    const struct libvirt_api *api, const char *name, struct span in)
{
	size_t cap = base64_len(in.len) + 1;
	char *text = malloc(cap);
	int rc = -1;

	if (text != NULL)
		rc = api->virTypedParamsAddString(
		    p, n, max, name, base64_encode(text, cap, in));
	free(text);
	return rc;
}

enum outcome
libvirt_inject(struct libvirt_guest *g, const struct answer_validate *answer,
    struct err *err)
{
	const struct libvirt_api *api = &g->l->api;
	enum outcome rc = OUTCOME_BUG;
	virTypedParameterPtr p = NULL;
	int n = 0, max = 0;

	if (add_bytes(&p, &n, &max, api,
		VIR_DOMAIN_LAUNCH_SECURITY_SEV_SECRET_HEADER,
		span_of(answer->header, sizeof(answer->header))) != 0 ||
	    add_bytes(&p, &n, &max, api, VIR_DOMAIN_LAUNCH_SECURITY_SEV_SECRET,
		secret_span(&answer->payload)) != 0 ||
	    (answer->has_address &&
		api->virTypedParamsAddULLong(&p, &n, &max,
		    VIR_DOMAIN_LAUNCH_SECURITY_SEV_SECRET_SET_ADDRESS,
		    answer->address) != 0)) {
		err_set(err, ERR_MEMORY, "no memory for the secret");
		goto out;
	}
	rc = OUTCOME_OK;
	if (api->virDomainSetLaunchSecurityState(g->domain, p, n, 0) != 0) {
		(void)libvirt_tell(g->l, "secret", err);
		/* QEMU's own words stand behind libvirt's. */
		rc = qmp_sev_judge("sev-inject-launch-secret", err->msg);
	}
out:
	api->virTypedParamsFree(p, n);
	return rc;
}

enum outcome
libvirt_resume(struct libvirt_guest *g, struct err *err)
{
	if (g->l->api.virDomainResume(g->domain) != 0)
		return libvirt_tell(g->l, "resume", err);
	if (libvirt_guest_state(g) == LIBVIRT_RUNNING)
		return OUTCOME_OK;
	err_set(
	    err, ERR_UNSUPPORTED, "libvirt: resume: the guest does not run");
	return OUTCOME_CONFIG;
}

enum outcome
libvirt_destroy(struct libvirt_guest *g, struct err *err)
{
	if (g->l->api.virDomainDestroy(g->domain) != 0)
		return libvirt_tell(g->l, "destroy", err);
	return OUTCOME_OK;
}

/* What libvirt_wait() is woken by: counts of an eventfd. */
#define ENDED UINT64_C(1)
#define LOST (UINT64_C(1) << 32)

static void
on_lifecycle(
    virConnectPtr conn, virDomainPtr domain, int event, int detail, void *ctx)
{
	const uint64_t ended = ENDED;

	(void)conn;
	(void)domain;
	(void)detail;
	if (event == VIR_DOMAIN_EVENT_STOPPED)
		(void)!write(*(const int *)ctx, &ended, sizeof(ended));
}

static void
on_close(virConnectPtr conn, int reason, void *ctx)
{
	const uint64_t lost = LOST;

	(void)conn;
	(void)reason;
	(void)!write(*(const int *)ctx, &lost, sizeof(lost));
}

static enum outcome
await_end(const struct libvirt_guest *g, int fd, struct err *err)
{
	int active = g->l->api.virDomainIsActive(g->domain);
	uint64_t count = ENDED;

	/* It may have ended before we asked to be told. */
	if (active == 0 || (active < 0 && is_gone(&g->l->api)))
		return OUTCOME_OK;
	if (active < 0)
		return libvirt_tell(g->l, "guest", err);
	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	if (count < LOST)
		return OUTCOME_OK;
	err_set(err, ERR_CLOSED, "libvirt: the connection is lost");
	return OUTCOME_CONFIG;
}

enum outcome
libvirt_wait(const struct libvirt_guest *g, struct err *err)
{
	const struct libvirt_api *api = &g->l->api;
	int fd = eventfd(0, EFD_CLOEXEC), id = -1;
	enum outcome rc = OUTCOME_BUG;

	if (fd < 0) {
		err_set(err, ERR_IO, "eventfd: %s", strerror(errno));
		return rc;
	}
	id = api->virConnectDomainEventRegisterAny(g->l->conn, g->domain,
	    VIR_DOMAIN_EVENT_ID_LIFECYCLE,
	    VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), &fd, NULL);
	if (id < 0 ||
	    api->virConnectRegisterCloseCallback(
		g->l->conn, on_close, &fd, NULL) != 0) {
		rc = libvirt_tell(g->l, "events", err);
		goto out;
	}
	rc = await_end(g, fd, err);
	(void)api->virConnectUnregisterCloseCallback(g->l->conn, on_close);
out:
	if (id >= 0)
		(void)api->virConnectDomainEventDeregisterAny(g->l->conn, id);
	(void)close(fd);
	return rc;
}
