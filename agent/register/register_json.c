#include <stdio.h>
#include <string.h>

#include "agent/json.h"
#include "agent/register/register_impl.h"

/*
 * docs/protocol.md 14 as JSON, with the names that the thread used as
 * aliases.  Unlike on the wire, an unknown member is an error: a misspelt rule
 * must not silently be no rule.
 */

typedef int take_fn(struct register_plan *p, const json_t *v, struct err *err);

static int apply(struct register_plan *p, const char *option, const json_t *v,
    struct err *err);

/* A member that is one option: text, a number, true, or a list of them. */
static const struct plain {
	const char *member;
	const char *option;
	bool allows; /* an empty list would allow nothing, not everything */
} plains[] = {
	{ "vm", "uuid" },
	{ "uuid", "uuid" },
	{ "name", "name" },
	{ "shared-rank", "shared-rank" },
	{ "scheme", "scheme" },
	{ "firmware-hash", "firmware-hash" },
	{ "firmware-hashes", "firmware-hash" },
	{ "kernel", "kernel" },
	{ "initrd", "initrd" },
	{ "cmdline", "cmdline" },
	{ "kernel-hash", "kernel-hash" },
	{ "initrd-hash", "initrd-hash" },
	{ "cmdline-hash", "cmdline-hash" },
	{ "digests", "digest" },
	{ "cpu-count", "cpus", true },
	{ "cpu-sig", "cpu-sig" },
	{ "cpu-family", "cpu-family" },
	{ "cpu-model", "cpu-model" },
	{ "cpu-stepping", "cpu-stepping" },
	{ "vmsa", "vmsa" },
	{ "vmsa-cpu0", "vmsa-cpu0" },
	{ "vmsa-cpu1", "vmsa-cpu1" },
	{ "any-platform", "any-platform" },
	{ "allow-naples", "allow-naples" },
	{ "allow-debug", "allow-debug" },
	{ "no-secret", "no-secret" },
	{ "min-api", "min-api" },
	{ "min-build", "min-build" },
	{ "approve", "approve" },
	{ "approve-at", "approve-at" },
	{ "valid-from", "valid-from" },
	{ "valid-until", "valid-until" },
	{ "cek-blocklist", "cek-blocklist" },
	{ "allow-hosts", "allow-host", true },
	{ "secret-address", "secret-address" },
};

static int
refuse(struct err *err, const char *what)
{
	return err_set(err, ERR_USAGE, "%s", what);
}

int
register_scalar(struct register_plan *p, const char *option, const json_t *v,
    struct err *err)
{
	char text[32];

	if (json_is_string(v))
		return register_option(p, option, json_string_value(v), err);
	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		(void)snprintf(text, sizeof(text), "%lld",
		    (long long)json_integer_value(v));
		return register_option(p, option, text, err);
	}
	if (json_is_false(v) && register_wants_value(option) == 0)
		return 0;
	if (json_is_true(v) && register_wants_value(option) == 0)
		return register_option(p, option, NULL, err);
	/* 1.5 and 1.50 are one number, but two versions. */
	if (json_is_real(v))
		return refuse(err, "put the number into quotes");
	return refuse(err, "a value of the wrong type");
}

static int
apply(struct register_plan *p, const char *option, const json_t *v,
    struct err *err)
{
	size_t i;

	if (!json_is_array(v))
		return register_scalar(p, option, v, err);
	for (i = 0; i < json_array_size(v); i++)
		if (register_scalar(p, option, json_array_get(v, i), err) != 0)
			return -1;
	return 0;
}

/* docs/threat-model.md: an empty list is never "any". */
static int
check_list(const struct plain *member, const json_t *v, struct err *err)
{
	if (!member->allows || !json_is_array(v) || json_array_size(v) > 0)
		return 0;
	return err_set(err, ERR_USAGE,
	    "an empty list allows nothing; leave %s out if you mean any",
	    member->member);
}

static int
take_policy(struct register_plan *p, const json_t *v, struct err *err)
{
	char names[256] = "";
	size_t len = 0;
	size_t i;

	if (!json_is_array(v))
		return register_scalar(p, "policy", v, err);
	for (i = 0; i < json_array_size(v); i++) {
		const char *name = json_string_value(json_array_get(v, i));
		int n;

		if (name == NULL)
			return refuse(err, "policy: want names or a number");
		n = snprintf(names + len, sizeof(names) - len, "%s%s",
		    i > 0 ? "," : "", name);
		if (n < 0 || len + (size_t)n >= sizeof(names))
			return refuse(err, "policy: too long");
		len += (size_t)n;
	}
	return register_option(p, "policy", names, err);
}

/* "file", {"file": ...}, {"sha256": ...}, or a list of these. */
static int
take_firmware(struct register_plan *p, const json_t *v, struct err *err)
{
	const json_t *file = json_object_get(v, "file");
	const json_t *hash = json_object_get(v, "sha256");
	size_t i;

	if (json_is_array(v)) {
		for (i = 0; i < json_array_size(v); i++) {
			const json_t *one = json_array_get(v, i);

			if (json_is_array(one))
				return refuse(
				    err, "firmware: a list in a list");
			if (take_firmware(p, one, err) != 0)
				return -1;
		}
		return 0;
	}
	if (json_is_string(v))
		return register_scalar(p, "firmware", v, err);
	if (json_object_size(v) != 1 || (file == NULL && hash == NULL))
		return refuse(
		    err, "firmware: want a file, {\"file\"} or {\"sha256\"}");
	return register_scalar(p, file != NULL ? "firmware" : "firmware-hash",
	    file != NULL ? file : hash, err);
}

/* The thread gives certificates inline, in base64; a file is as good. */
static int
take_certs(struct register_plan *p, const json_t *v, const char *option,
    int (*take)(struct register_plan *, struct span, struct err *),
    struct err *err)
{
	struct secret raw = { 0 };
	struct span text;
	size_t i;
	int rc;

	if (json_is_array(v)) {
		if (json_array_size(v) == 0)
			return refuse(err,
			    "an empty list names no certificate; leave it "
			    "out");
		for (i = 0; i < json_array_size(v); i++) {
			const json_t *one = json_array_get(v, i);

			if (!json_is_string(one))
				return refuse(err, "want files or base64");
			if (take_certs(p, one, option, take, err) != 0)
				return -1;
		}
		return 0;
	}
	if (!json_is_string(v))
		return refuse(err, "want files or base64");
	text = span_of(json_string_value(v), json_string_length(v));
	if (text.len >= SEV_AMD_CERT_2048_LEN &&
	    register_unpack(&raw, text, NULL) == 0) {
		rc = take(p, secret_span(&raw), err);
		secret_free(&raw);
		return rc;
	}
	return register_scalar(p, option, v, err);
}

static int
take_clouds(struct register_plan *p, const json_t *v, struct err *err)
{
	return take_certs(p, v, "cloud-cert", register_cloud, err);
}

static int
take_ceks(struct register_plan *p, const json_t *v, struct err *err)
{
	return take_certs(p, v, "cek", register_cek, err);
}

static int
take_roots(struct register_plan *p, const json_t *v, struct err *err)
{
	return take_certs(p, v, "root", register_root, err);
}

static int
take_chips(struct register_plan *p, const json_t *v, struct err *err)
{
	static const struct plain parts[] = {
		{ "allow", "chip", true },
		{ "deny", "deny-chip" },
		{ "deny-generations", "deny-generation" },
	};
	const size_t count = sizeof(parts) / sizeof(parts[0]);
	size_t known = 0;
	size_t i;

	if (!json_is_object(v))
		return refuse(err, "chips: want an object");
	for (i = 0; i < count; i++) {
		const json_t *part = json_object_get(v, parts[i].member);

		if (part == NULL)
			continue;
		known++;
		if (check_list(&parts[i], part, err) != 0 ||
		    apply(p, parts[i].option, part, err) != 0)
			return -1;
		/* A list of denied generations replaces the default one. */
		if (i == 2)
			p->allow_naples = true;
	}
	if (known != json_object_size(v))
		return refuse(
		    err, "chips: want allow, deny and deny-generations");
	return 0;
}

static int
take_instances(struct register_plan *p, const json_t *v, struct err *err)
{
	const json_t *per = json_object_get(v, "per");
	const json_t *then = json_object_get(v, "then");
	struct json_in in = json_in(v, "/max-instances");
	size_t known = 1;
	uint64_t count = 0;
	char text[64];

	if (!json_is_object(v))
		return register_scalar(p, "max-instances", v, err);
	known += per != NULL ? 1 : 0;
	known += then != NULL ? 1 : 0;
	json_need(&in, "count");
	(void)json_uint(&in, "count", UINT32_MAX, &count);
	if (in.failed || known != json_object_size(v) ||
	    (per != NULL && !json_is_string(per)))
		return refuse(err, "max-instances: want count, per and then");
	(void)snprintf(text, sizeof(text), "%llu%s%.20s",
	    (unsigned long long)count, per != NULL ? "/" : "",
	    per != NULL ? json_string_value(per) : "");
	if (register_option(p, "max-instances", text, err) != 0)
		return -1;
	return then != NULL ? register_scalar(p, "then", then, err) : 0;
}

static const struct special {
	const char *member;
	take_fn *take;
} specials[] = {
	{ "policy", take_policy },
	{ "firmware", take_firmware },
	{ "cloud-cert", take_clouds },
	{ "cloud-certs", take_clouds },
	{ "ceks", take_ceks },
	{ "roots", take_roots },
	{ "chips", take_chips },
	{ "max-instances", take_instances },
	{ "secrets", register_secrets },
	{ "kernels", register_kernels },
};

static int
take_member(
    struct register_plan *p, const char *name, const json_t *v, struct err *err)
{
	size_t i;

	/* A list with each of its lines commented out reads as null in YAML:
	 * that would be no rule, and nobody said so. */
	if (json_is_null(v))
		return refuse(err, "has no value; leave it out for none");
	for (i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
		if (strcmp(specials[i].member, name) == 0)
			return specials[i].take(p, v, err);
	for (i = 0; i < sizeof(plains) / sizeof(plains[0]); i++)
		if (strcmp(plains[i].member, name) == 0)
			return check_list(&plains[i], v, err) != 0
			    ? -1
			    : apply(p, plains[i].option, v, err);
	return err_set(err, ERR_USAGE, "unknown member");
}

int
register_members(
    struct register_plan *p, const struct json_t *members, struct err *err)
{
	/* The macro takes no const; nothing here writes. */
	json_t *object = json_incref((json_t *)(uintptr_t)members);
	const char *name;
	int rc = -1;
	json_t *v;

	json_object_foreach(
	    object, name, v) if (take_member(p, name, v, err) != 0)
	{
		(void)err_wrap(err, "\"%.40s\"", name);
		goto out;
	}
	rc = 0;
out:
	json_decref(object);
	return rc;
}

int
register_json(struct register_plan *p, struct span text, struct err *err)
{
	json_t *object = NULL;
	int rc;

	if (json_read(&object, text, REGISTER_JSON_MAX, err) != 0)
		return -1;
	rc = register_members(p, object, err);
	json_decref(object);
	return rc;
}
