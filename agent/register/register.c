#include "agent/register/register.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/json.h"
#include "agent/plain.h"
#include "agent/register/register_impl.h"
#include "common/hex.h"

void
register_note(struct register_plan *p, const char *fmt, ...)
{
	va_list ap;

	if (p->note_count >= REGISTER_NOTES_MAX)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(p->note[p->note_count++], REGISTER_NOTE_LEN, fmt, ap);
	va_end(ap);
}

int
register_number(uint64_t *out, const char *value, uint64_t max, struct err *err)
{
	if (!json_uint_text(out, value, max))
		return err_set(err, ERR_USAGE,
		    "\"%.40s\": want a number of 0 to %llu, decimal or 0x...",
		    value, (unsigned long long)max);
	return 0;
}

int
register_number32(
    uint32_t *out, const char *value, uint32_t max, struct err *err)
{
	uint64_t n = 0;

	if (register_number(&n, value, max, err) != 0)
		return -1;
	*out = (uint32_t)n;
	return 0;
}

int
register_read_named(struct register_plan *p, struct secret *out,
    const char *path, size_t max, struct err *err)
{
	secret_free(out);
	if (p->read(p->read_arg, out, path, max, err) != 0)
		return -1;
	/* A copy that failed: as firmware it would be taken for a bare hash,
	 * and what it measures to any host can have. */
	if (out->len > 0)
		return 0;
	secret_free(out);
	return err_set(err, ERR_USAGE, "%.200s: is empty", path);
}

int
register_copy_word(char *out, size_t cap, const char *value, struct err *err)
{
	size_t len = strlen(value);

	if (len == 0 || len >= cap)
		return err_set(
		    err, ERR_USAGE, "want 1 to %zu characters", cap - 1);
	memcpy(out, value, len + 1);
	return 0;
}

static int
set_name(struct register_plan *p, const char *value, struct err *err)
{
	return register_copy_word(p->r->name, sizeof(p->r->name), value, err);
}

static int
set_uuid(struct register_plan *p, const char *value, struct err *err)
{
	p->has_vm = true;
	return uuid_parse(&p->r->vm, span_str(value), err);
}

static int
set_new_uuid(struct register_plan *p, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	p->has_vm = false;
	p->new_vm = true;
	return 0;
}

static int
set_scheme(struct register_plan *p, const char *value, struct err *err)
{
	p->has_scheme = true;
	if (strcmp(value, "amd-sev") == 0)
		p->r->scheme = SCHEME_SEV;
	else if (strcmp(value, "amd-sev-es") == 0)
		p->r->scheme = SCHEME_SEV_ES;
	else
		return err_set(err, ERR_UNSUPPORTED,
		    "\"%.40s\": want amd-sev or amd-sev-es", value);
	return 0;
}

/* A number, or names: "nodbg,noks,es". */
static int
set_policy(struct register_plan *p, const char *value, struct err *err)
{
	const char *at = value;
	uint32_t policy = 0;
	uint64_t n = 0;

	p->has_policy = true;
	if (json_uint_text(&n, value, UINT32_MAX)) {
		p->r->policy = (uint32_t)n;
		return 0;
	}
	while (*at != '\0') {
		size_t len = strcspn(at, ",");
		uint32_t mask = 0;

		if (sev_guest_policy_find(&mask, span_of(at, len), err) != 0)
			return -1;
		policy |= mask;
		at += len + (at[len] == ',' ? 1 : 0);
	}
	p->r->policy = policy;
	return 0;
}

static struct register_firmware *
new_firmware(struct register_plan *p, struct err *err)
{
	if (p->firmware_count >= REGISTER_FIRMWARES_MAX) {
		(void)err_set(err, ERR_LIMIT, "more than %d firmware images",
		    REGISTER_FIRMWARES_MAX);
		return NULL;
	}
	return &p->firmware[p->firmware_count];
}

static int
add_firmware(struct register_plan *p, const char *value, struct err *err)
{
	struct register_firmware *f = new_firmware(p, err);
	const char *base = strrchr(value, '/');

	if (f == NULL ||
	    register_read_named(p, &f->image, value, SEV_OVMF_LEN_MAX, err) !=
		0)
		return -1;
	if (sev_hash_sha256(f->hash, secret_span(&f->image), err) != 0)
		return -1;
	(void)snprintf(f->about, sizeof(f->about), "%.60s",
	    base != NULL ? base + 1 : value);
	(void)plain(f->about);
	p->firmware_count++;
	return 0;
}

static int
add_firmware_hash(struct register_plan *p, const char *value, struct err *err)
{
	struct register_firmware *f = new_firmware(p, err);

	if (f == NULL)
		return -1;
	if (hex_decode(f->hash, sizeof(f->hash), span_str(value), err) != 0)
		return -1;
	(void)snprintf(f->about, sizeof(f->about), "sha256 %.16s", value);
	p->firmware_count++;
	return 0;
}

static int
add_digest(struct register_plan *p, const char *value, struct err *err)
{
	struct registration *r = p->r;
	struct registration_digest *d;

	if (r->digest_count >= REGISTRATION_DIGESTS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d launch digests",
		    REGISTRATION_DIGESTS_MAX);
	d = &r->digests[r->digest_count];
	if (hex_decode(d->digest, sizeof(d->digest), span_str(value), err) != 0)
		return -1;
	(void)snprintf(d->about, sizeof(d->about), "given");
	r->digest_count++;
	return 0;
}

static const struct option {
	const char *name;
	bool takes_value;
	register_option_fn *set;
} options[] = {
	{ "name", true, set_name },
	{ "uuid", true, set_uuid },
	{ "new-uuid", false, set_new_uuid },
	{ "shared-rank", true, register_set_shared },
	{ "scheme", true, set_scheme },
	{ "policy", true, set_policy },
	{ "firmware", true, add_firmware },
	{ "firmware-hash", true, add_firmware_hash },
	{ "kernel", true, register_add_kernel },
	{ "initrd", true, register_add_initrd },
	{ "cmdline", true, register_add_cmdline },
	{ "kernel-hash", true, register_add_kernel_hash },
	{ "initrd-hash", true, register_add_initrd_hash },
	{ "cmdline-hash", true, register_add_cmdline_hash },
	{ "cpus", true, register_add_cpus },
	{ "cpu-sig", true, register_set_signature },
	{ "cpu-family", true, register_set_family },
	{ "cpu-model", true, register_set_model },
	{ "cpu-stepping", true, register_set_stepping },
	{ "vmsa-cpu0", true, register_set_vmsa_cpu0 },
	{ "vmsa-cpu1", true, register_set_vmsa_cpu1 },
	{ "vmsa", true, register_add_variant },
	{ "digest", true, add_digest },
	{ "cloud-cert", true, register_add_cloud },
	{ "cek", true, register_add_cek },
	{ "root", true, register_add_root },
	{ "chip", true, register_add_chip },
	{ "deny-chip", true, register_add_deny_chip },
	{ "deny-generation", true, register_add_deny },
	{ "any-platform", false, register_set_any },
	{ "allow-naples", false, register_set_naples },
	{ "allow-debug", false, register_set_debug },
	{ "min-api", true, register_set_min_api },
	{ "min-build", true, register_set_min_build },
	{ "max-instances", true, register_set_instances },
	{ "then", true, register_set_then },
	{ "approve", true, register_set_approve },
	{ "approve-at", true, register_set_approve_at },
	{ "valid-from", true, register_set_from },
	{ "valid-until", true, register_set_until },
	{ "cek-blocklist", true, register_set_blocklist },
	{ "allow-host", true, register_add_host },
	{ "secret-file", true, register_add_secret_file },
	{ "secret", true, register_add_secret },
	{ "secret-command", true, register_add_command },
	{ "no-secret", false, register_set_no_secret },
	{ "secret-address", true, register_set_address },
};

static const struct option *
find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

int
register_wants_value(const char *name)
{
	const struct option *o = find(name);

	return o == NULL ? -1 : o->takes_value ? 1 : 0;
}

int
register_option(struct register_plan *p, const char *name, const char *value,
    struct err *err)
{
	const struct option *o = find(name);

	if (o == NULL)
		return err_set(
		    err, ERR_NOT_FOUND, "unknown option %.40s", name);
	if (o->takes_value && value == NULL)
		return err_set(err, ERR_USAGE, "%s: wants a value", name);
	if (o->set(p, value, err) != 0)
		return err_wrap(err, "%s", name);
	return 0;
}
