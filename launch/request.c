#include "launch/request.h"

#include <string.h>
#include <unistd.h>

#include "common/base64.h"
#include "common/hex.h"
#include "launch/json.h"

#define CHAIN_MIN 6252  /* PEK, OCA, CEK */
#define HOST_MAX 256    /* bytes of a name, docs/protocol.md 4 */
#define CHAIN_MAX 16384 /* sevctl's export with ASK and ARK fits */

enum kind { BYTES, UINT, HASH, FLAG, TEXT, PASSED_OVER };

/* A member: the protocol's name, and one that hypervisors use for it. */
struct member {
	const char *name;
	const char *also;
	enum kind kind;
	bool needed;
	uint64_t min, max; /* bytes, or the number itself */
};

static const struct member launch_members[] = {
	{ "pdh", NULL, BYTES, true, 2084, 2084 },
	{ "cert-chain", NULL, BYTES, true, CHAIN_MIN, CHAIN_MAX },
	{ "cpu-id", "cpu0-id", BYTES, false, 64, 64 },
	{ "cek-signed", NULL, FLAG, false, 0, 0 },
	{ "scheme", NULL, TEXT, false, 1, 32 },
	{ "policy", NULL, UINT, false, 0, UINT32_MAX },
	{ "api-major", NULL, UINT, false, 0, 255 },
	{ "api-minor", NULL, UINT, false, 0, 255 },
	{ "build-id", NULL, UINT, false, 0, 255 },
	{ "cpu-count", NULL, UINT, false, 1, UINT32_MAX },
	{ "firmware-hash", NULL, HASH, false, 0, 0 },
	{ "kernel-hash", NULL, HASH, false, 0, 0 },
	{ "initrd-hash", NULL, HASH, false, 0, 0 },
	{ "cmdline-hash", NULL, HASH, false, 0, 0 },
	{ "host", NULL, TEXT, false, 1, HOST_MAX },
	{ "uuid", NULL, PASSED_OVER, false, 0, 0 },
	{ "cbitpos", NULL, PASSED_OVER, false, 0, 0 },
	{ "reduced-phys-bits", NULL, PASSED_OVER, false, 0, 0 },
	{ "max-guests", NULL, PASSED_OVER, false, 0, 0 },
	{ "max-es-guests", NULL, PASSED_OVER, false, 0, 0 },
	{ NULL, NULL, PASSED_OVER, false, 0, 0 },
};

static const struct member validate_members[] = {
	{ "measurement", "sev-measurement", BYTES, true, 48, 48 },
	{ "api-major", "sev-api-major", UINT, true, 0, 255 },
	{ "api-minor", "sev-api-minor", UINT, true, 0, 255 },
	{ "build-id", "sev-build-id", UINT, true, 0, 255 },
	{ "policy", "sev-policy", UINT, false, 0, UINT32_MAX },
	{ "session-id", NULL, TEXT, false, 36, 36 },
	{ "cpu-count", NULL, UINT, false, 1, UINT32_MAX },
	{ "firmware-hash", NULL, HASH, false, 0, 0 },
	{ "kernel-hash", NULL, HASH, false, 0, 0 },
	{ "initrd-hash", NULL, HASH, false, 0, 0 },
	{ "cmdline-hash", NULL, HASH, false, 0, 0 },
	{ "uuid", NULL, PASSED_OVER, false, 0, 0 },
	{ NULL, NULL, PASSED_OVER, false, 0, 0 },
};

static const struct member *
find(const struct member *members, const char *name)
{
	for (; members->name != NULL; members++)
		if (strcmp(members->name, name) == 0 ||
		    (members->also != NULL && strcmp(members->also, name) == 0))
			return members;
	return NULL;
}

static int
check_bytes(const struct member *m, struct span text, struct err *err)
{
	uint8_t bytes[CHAIN_MAX];
	size_t len = 0;

	if (base64_decode(bytes, m->max, &len, text, err) != 0)
		return err_wrap(err, "%s", m->name);
	if (len < m->min)
		return err_set(err, ERR_USAGE, "%s: %zu bytes, want %llu",
		    m->name, len, (unsigned long long)m->min);
	return 0;
}

static int
check_value(const struct member *m, const json_t *v, struct err *err)
{
	struct span text = span_of(json_string_value(v), json_string_length(v));
	uint8_t hash[32];

	switch (m->kind) {
	case BYTES:
		if (!json_is_string(v))
			break;
		return check_bytes(m, text, err);
	case HASH:
		if (!json_is_string(v) ||
		    hex_decode(hash, sizeof(hash), text, NULL) != 0)
			return err_set(
			    err, ERR_USAGE, "%s: want 64 hex digits", m->name);
		return 0;
	case UINT:
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    (uint64_t)json_integer_value(v) < m->min ||
		    (uint64_t)json_integer_value(v) > m->max)
			return err_set(err, ERR_USAGE,
			    "%s: want an integer of %llu to %llu", m->name,
			    (unsigned long long)m->min,
			    (unsigned long long)m->max);
		return 0;
	case FLAG:
		if (!json_is_boolean(v))
			break;
		return 0;
	case TEXT:
		if (!json_is_string(v) || text.len < m->min ||
		    text.len > m->max)
			break;
		return 0;
	case PASSED_OVER:
		return 0;
	}
	return err_set(err, ERR_USAGE, "%s: not of the right kind", m->name);
}

static int
take_member(json_t *out, const struct member *members, const char *name,
    json_t *v, struct err *err)
{
	const struct member *m = find(members, name);

	if (m == NULL)
		return err_set(err, ERR_USAGE, "%.40s: unknown member", name);
	/* libvirt's bindings may give nothing as null. */
	if (m->kind == PASSED_OVER || json_is_null(v))
		return 0;
	if (check_value(m, v, err) != 0) {
		/* Whatever broke, it is the input that wants mending. */
		if (err != NULL)
			err->code = ERR_USAGE;
		return -1;
	}
	if (json_object_get(out, m->name) != NULL)
		return err_set(
		    err, ERR_USAGE, "%s is there by two names", m->name);
	if (json_object_set(out, m->name, v) != 0)
		return err_set(err, ERR_MEMORY, "no memory for a request");
	return 0;
}

static int
build(json_t *out, const struct member *members, json_t *in, struct err *err)
{
	const char *name;
	json_t *v;

	json_object_foreach(in, name,
	    v) if (take_member(out, members, name, v, err) != 0) return -1;
	for (; members->name != NULL; members++)
		if (members->needed &&
		    json_object_get(out, members->name) == NULL)
			return err_set(
			    err, ERR_USAGE, "%s is missing", members->name);
	return 0;
}

/* Shown to the owner as claimed by the host (docs/protocol.md 4): the name that
 * the input gives, else this machine's. */
static int
add_host(json_t *out, struct err *err)
{
	char name[HOST_MAX + 1] = "";
	json_t *host;

	json_get_text(name, sizeof(name), out, "host");
	if (name[0] == '\0' && gethostname(name, sizeof(name) - 1) != 0)
		name[0] = '\0';
	host =
	    json_pack("{s:s*, s:s, s:s}", "name", name[0] != '\0' ? name : NULL,
		"tool", "attest-launch", "version", ATTEST_VERSION);
	if (host == NULL || json_object_set_new(out, "host", host) != 0)
		return err_set(err, ERR_MEMORY, "no memory for a request");
	return 0;
}

int
request_launch(struct secret *out, json_t *in, struct err *err)
{
	json_t *o = json_object();
	int rc = -1;

	if (build(o, launch_members, in, err) != 0 || add_host(o, err) != 0)
		goto out;
	rc = json_write(out, o, err);
out:
	json_decref(o);
	return rc;
}

int
request_validate(struct secret *out, json_t *in, struct err *err)
{
	json_t *o = json_object();
	int rc = -1;

	if (build(o, validate_members, in, err) != 0)
		goto out;
	rc = json_write(out, o, err);
out:
	json_decref(o);
	return rc;
}
