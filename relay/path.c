#include "relay/path.h"

#include "relay/job.h"

#include <string.h>

#define RESOURCE_PARTS 3

static const struct resource {
	const char *name; /* for logs */
	const char *tail; /* behind "/vm/UUID", or behind the base */
	const char *allow;
	bool of_vm;
	bool public;
	bool internal;
} resources[PATH_KINDS] = {
	[PATH_NONE] = { "none", NULL, "", false, false, false },
	[PATH_LAUNCH] = { "launch", "/launch", "POST", true, false, true },
	[PATH_VALIDATE] = { "validate", "/validate", "POST", true, false,
	    true },
	[PATH_KBS_AUTH] = { "kbs-auth", "/kbs/v0/auth", "POST", true, false,
	    true },
	[PATH_KBS_ATTEST] = { "kbs-attest", "/kbs/v0/attest", "POST", true,
	    false, true },
	[PATH_KBS_RESOURCE] = { "kbs-resource", "/kbs/v0/resource/",
	    "GET, POST", true, false, true },
	[PATH_WELL_KNOWN] = { "well-known", "/.well-known/attest-relay", "GET",
	    false, true, true },
	[PATH_AGENT] = { "agent", "/agent/v1", "GET", false, true, false },
	[PATH_ENROL] = { "enrol", "/agent/v1/enrol", "POST", false, true,
	    false },
};

const char *
path_name(enum path_kind kind)
{
	return resources[kind].name;
}

bool
path_is_kbs(enum path_kind kind)
{
	return kind == PATH_KBS_AUTH || kind == PATH_KBS_ATTEST ||
	    kind == PATH_KBS_RESOURCE;
}

size_t
path_body_max(enum path_kind kind)
{
	return path_is_kbs(kind) ? JOB_KBS_BODY_MAX : JOB_BODY_MAX;
}

/* Take ${prefix} off ${rest}. */
static bool
take(struct span *rest, const char *prefix)
{
	size_t n = strlen(prefix);

	if (!span_equal(span_of(rest->ptr, rest->len < n ? rest->len : n),
		span_str(prefix)))
		return false;
	*rest = span_of(rest->ptr + n, rest->len - n);
	return true;
}

/* a/b/c of unreserved characters (RFC 3986 2.3), and no dot segments. */
static bool
is_resource_name(struct span rest)
{
	static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz0123456789-._~";
	size_t parts = 1, len = 0, dots = 0;

	for (size_t i = 0; i <= rest.len; i++) {
		if (i == rest.len || rest.ptr[i] == '/') {
			if (len == 0 || (len == dots && dots <= 2))
				return false;
			if (i < rest.len)
				parts++;
			len = dots = 0;
			continue;
		}
		if (rest.ptr[i] == '\0' || strchr(ok, rest.ptr[i]) == NULL)
			return false;
		len++;
		if (rest.ptr[i] == '.')
			dots++;
	}
	return parts == RESOURCE_PARTS;
}

static enum path_kind
match(struct path *out, struct span rest)
{
	struct span vm = rest;

	if (!take(&vm, "/vm/")) {
		for (int k = PATH_NONE + 1; k < PATH_KINDS; k++)
			if (!resources[k].of_vm &&
			    span_is(rest, resources[k].tail))
				return k;
		return PATH_NONE;
	}
	if (vm.len <= UUID_TEXT_LEN ||
	    uuid_parse(&out->uuid, span_of(vm.ptr, UUID_TEXT_LEN), NULL) != 0)
		return PATH_NONE;
	rest = span_of(vm.ptr + UUID_TEXT_LEN, vm.len - UUID_TEXT_LEN);
	for (int k = PATH_NONE + 1; k < PATH_KINDS; k++)
		if (resources[k].of_vm && k != PATH_KBS_RESOURCE &&
		    span_is(rest, resources[k].tail))
			return k;
	vm = rest;
	if (take(&vm, resources[PATH_KBS_RESOURCE].tail) &&
	    is_resource_name(vm))
		return PATH_KBS_RESOURCE;
	return PATH_NONE;
}

static bool
allows(const char *allow, struct span method)
{
	size_t n;

	for (;;) {
		n = strcspn(allow, ",");
		if (span_equal(method, span_of(allow, n)))
			return true;
		if (allow[n] == '\0')
			return false;
		allow += n + 2;
	}
}

static void
make_forward(struct path *out, struct span rest)
{
	struct writer w = writer_of(out->forward, sizeof(out->forward) - 1);
	char uuid[UUID_TEXT_LEN + 1];

	writer_put(&w, span_str("/vm/"));
	writer_put(&w, span_str(uuid_format(uuid, &out->uuid)));
	writer_put(&w,
	    span_of(
		rest.ptr + 4 + UUID_TEXT_LEN, rest.len - 4 - UUID_TEXT_LEN));
	out->forward[w.len] = '\0';
}

unsigned
path_route(struct path *out, const char **allow, const char *base,
    enum path_side side, struct span method, struct span path, bool has_query)
{
	const struct resource *r;
	enum path_kind kind;

	out->kind = PATH_NONE;
	*allow = "";
	if (has_query)
		return 400;
	if (!take(&path, base))
		return 404;
	kind = match(out, path);
	r = &resources[kind];
	if (side == PATH_PUBLIC ? !r->public : !r->internal)
		return 404;
	out->kind = kind;
	*allow = r->allow;
	if (!allows(r->allow, method))
		return 405;
	if (r->of_vm)
		make_forward(out, path);
	return 0;
}
