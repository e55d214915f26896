#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/register/register_impl.h"
#include "agent/times.h"

int
register_init(
    struct register_plan *p, register_read_fn *read, void *arg, struct err *err)
{
	memset(p, 0, sizeof(*p));
	p->read = read;
	p->read_arg = arg;
	p->r = registration_new();
	if (p->r == NULL)
		return err_set(err, ERR_MEMORY, "no memory for a registration");
	return 0;
}

void
register_free(struct register_plan *p)
{
	size_t i;

	registration_free(p->r);
	for (i = 0; i < REGISTER_FIRMWARES_MAX; i++)
		secret_free(&p->firmware[i].image);
	for (i = 0; i < REGISTRATION_ROOTS_MAX; i++) {
		secret_free(&p->asks[i]);
		secret_free(&p->arks[i]);
	}
	for (i = 0; i < SEV_SECRET_ENTRIES_MAX; i++)
		secret_free(&p->secret_data[i]);
	for (i = 0; i < REGISTRATION_KERNELS_MAX; i++)
		free(p->cmdlines.part[i].text);
	secret_free(&p->vmsa0);
	secret_free(&p->vmsa1);
	memset(p, 0, sizeof(*p));
}

static int
check_policy(struct register_plan *p, struct err *err)
{
	struct registration *r = p->r;
	struct err why = { 0 };

	if (!p->has_policy)
		return err_set(err, ERR_USAGE,
		    "no policy: give --policy (0x1 or 0x3 for SEV, 0x5 or "
		    "0x7 for SEV-ES)");
	if (!p->has_scheme)
		r->scheme = (r->policy & SEV_POLICY_ES) != 0 ? SCHEME_SEV_ES
							     : SCHEME_SEV;
	if ((r->scheme == SCHEME_SEV_ES) != ((r->policy & SEV_POLICY_ES) != 0))
		return err_set(err, ERR_USAGE,
		    "scheme %s and policy 0x%x disagree about bit 2 (ES)",
		    registration_scheme_name(r->scheme), r->policy);
	if (sev_guest_policy_check(r->policy, &why) == 0)
		return 0;
	if (why.code != ERR_UNTRUSTED || !p->allow_debug)
		return err_set(err, ERR_USAGE, "%.220s%s", why.msg,
		    why.code == ERR_UNTRUSTED ? " (--allow-debug)" : "");
	register_note(p,
	    "warning: policy 0x%x lets the host read the guest's memory",
	    r->policy);
	return 0;
}

/* One for all kernels, or one for each. */
static int
check_parts(const struct register_parts *list, size_t kernels, const char *what,
    struct err *err)
{
	if (list->count <= 1 || list->count == kernels)
		return 0;
	return err_set(err, ERR_USAGE,
	    "%zu %s for %zu kernels: give one for all of them, or one for "
	    "each in their order",
	    list->count, what, kernels);
}

static void
take_part(uint8_t out[SEV_SHA256_LEN], const struct register_parts *list,
    size_t i, const uint8_t none[SEV_SHA256_LEN])
{
	const uint8_t *from = none;

	if (list->count > 0)
		from = list->part[list->count == 1 ? 0 : i].hash;
	memcpy(out, from, SEV_SHA256_LEN);
}

static int
check_kernels(struct register_plan *p, struct err *err)
{
	struct registration *r = p->r;
	size_t count = p->kernels.count;
	uint8_t no_initrd[SEV_SHA256_LEN];
	uint8_t no_cmdline[SEV_SHA256_LEN];
	size_t i;

	if (p->initrds.count + p->cmdlines.count > 0 && count == 0)
		return err_set(err, ERR_USAGE,
		    "initrd and command line are measured with a kernel "
		    "only: give --kernel");
	/* QEMU's values for what is not given. */
	if (check_parts(&p->initrds, count, "initrds", err) != 0 ||
	    check_parts(&p->cmdlines, count, "command lines", err) != 0 ||
	    sev_hash_sha256(no_initrd, (struct span){ 0 }, err) != 0 ||
	    sev_hash_table_cmdline(no_cmdline, (struct span){ 0 }, err) != 0)
		return -1;
	for (i = 0; i < count; i++) {
		struct registration_kernel *k = &r->kernels[i];

		memcpy(
		    k->hashes.kernel, p->kernels.part[i].hash, SEV_SHA256_LEN);
		take_part(k->hashes.initrd, &p->initrds, i, no_initrd);
		take_part(k->hashes.cmdline, &p->cmdlines, i, no_cmdline);
		(void)snprintf(
		    k->about, sizeof(k->about), "%s", p->kernels.part[i].about);
	}
	r->kernel_count = count;
	r->kernel_hashes = count > 0;
	return 0;
}

/* Room for the table in every image; without one, OVMF's usual. */
static int
find_area(size_t *area, struct register_plan *p, struct err *err)
{
	struct sev_ovmf ovmf;
	size_t i;

	*area = SEV_SECRET_AREA_MAX;
	for (i = 0; i < p->firmware_count; i++) {
		const struct register_firmware *f = &p->firmware[i];
		size_t has = SEV_SECRET_AREA_DEFAULT;

		if (f->image.len == 0 && register_has_image(p, f))
			continue;
		if (f->image.len > 0) {
			if (sev_ovmf_parse(
				&ovmf, secret_span(&f->image), err) != 0)
				return err_wrap(err, "%s", f->about);
			if (!sev_ovmf_takes_secret(&ovmf))
				return err_set(err, ERR_USAGE,
				    "%s: has no area for a launch secret; "
				    "use the AmdSev build of OVMF (attest-"
				    "agent ovmf show)",
				    f->about);
			if (sev_ovmf_check_areas(
				&ovmf, p->kernels.count > 0, err) != 0)
				return err_wrap(err, "%s", f->about);
			has = ovmf.secret.size;
		}
		if (has < *area)
			*area = has;
	}
	if (p->firmware_count == 0)
		*area = SEV_SECRET_AREA_DEFAULT;
	return 0;
}

static int
build_table(struct register_plan *p, struct err *err)
{
	struct sev_secret_entry entries[SEV_SECRET_ENTRIES_MAX];
	struct sev_secret_room room = { .step = REGISTER_PAD_STEP };
	size_t i;

	if (p->secret_count == 0 && !p->no_secret)
		return err_set(err, ERR_USAGE,
		    "no secret: give --secret-file, --secret-fd, --secret or "
		    "--luks-prompt, or --no-secret if there is none");
	if (p->secret_count > 0 && p->no_secret)
		return err_set(err, ERR_USAGE, "a secret and --no-secret");
	if (p->secret_count == 0)
		return 0;
	if (find_area(&room.area, p, err) != 0)
		return -1;
	for (i = 0; i < p->secret_count; i++) {
		entries[i].guid = p->secret_guid[i];
		entries[i].data = secret_span(&p->secret_data[i]);
	}
	if (sev_launch_secret_table(
		&p->r->table, entries, p->secret_count, &room, err) != 0)
		return err->code == ERR_LIMIT
		    ? err_set(err, ERR_USAGE,
			  "the secrets do not fit the firmware's area of %zu "
			  "bytes; give the guest a short key, and keep the "
			  "rest on its encrypted disk",
			  room.area)
		    : err_wrap(err, "secrets");
	p->r->secret_count = (uint32_t)p->secret_count;
	return 0;
}

int
register_identity(struct register_plan *p, struct err *err)
{
	struct registration *r = p->r;
	struct uuid named;

	if (r->name[0] == '\0') {
		if (!p->has_vm)
			return err_set(
			    err, ERR_USAGE, "give the VM a name, or its UUID");
		(void)uuid_format(r->name, &r->vm);
		return 0;
	}
	if (uuid_parse(&named, span_str(r->name), NULL) != 0)
		return 0;
	if (p->new_vm || (p->has_vm && !uuid_equal(&named, &r->vm)))
		return err_set(err, ERR_USAGE,
		    "name %s: is the UUID of another VM", r->name);
	p->has_vm = true;
	r->vm = named;
	(void)uuid_format(r->name, &r->vm);
	return 0;
}

static int
name_vm(struct register_plan *p, const uint8_t *key, struct err *err)
{
	struct registration *r = p->r;

	if (p->has_vm)
		return 0;
	(void)snprintf(r->label, sizeof(r->label), "%s", r->name);
	return uuid_self_certifying(&r->vm, key, span_str(r->label), err);
}

/* With a secret, or a kernel, such an image is refused. */
static void
remark_images(struct register_plan *p)
{
	struct sev_ovmf ovmf;

	for (size_t i = 0; i < p->firmware_count; i++) {
		const struct register_firmware *f = &p->firmware[i];

		if (f->image.len > 0 &&
		    sev_ovmf_parse(&ovmf, secret_span(&f->image), NULL) != 0)
			register_note(p,
			    "warning: %s has no table of OVMF: is it a "
			    "firmware image?",
			    f->about);
	}
}

static void
remark(struct register_plan *p)
{
	const struct registration *r = p->r;
	const struct times clock = times_system();

	remark_images(p);
	if (r->any_platform && r->cloud_count == 0 && r->chip_allow_count == 0)
		register_note(p,
		    "warning: any genuine AMD machine may start this VM, "
		    "anybody's included");
	if (r->shared && r->max_instances != 0)
		register_note(p,
		    "note: max-instances counts what this agent releases; each "
		    "agent that shares the UUID counts by itself");
	if (r->until_ms != 0 && r->until_ms <= times_wall_ms(&clock))
		register_note(
		    p, "warning: --valid-until is over: no host may start it");
	if (r->max_instances == 0)
		register_note(
		    p, "note: no --max-instances: any number of starts");
	if ((r->deny_generations & (1u << SEV_GEN_NAPLES)) == 0)
		register_note(p,
		    "warning: Naples parts are allowed: their keys can be "
		    "forged (see attest-agent help platforms)");
	if (p->firmware_count > 0 && !p->nvram_told)
		register_note(p,
		    "note: NVRAM variables are not measured; use firmware "
		    "that does not trust them");
}

/* What a guest measures to whose host has loaded nothing before it starts:
 * whatever runs in it then is the host's. */
static int
check_digests(const struct registration *r, struct err *err)
{
	uint8_t nothing[SEV_SHA256_LEN];
	size_t i;

	if (sev_hash_sha256(nothing, (struct span){ 0 }, err) != 0)
		return -1;
	for (i = 0; i < r->digest_count; i++)
		if (span_equal(span_of(r->digests[i].digest, SEV_SHA256_LEN),
			span_of(nothing, sizeof(nothing))))
			return err_set(err, ERR_USAGE,
			    "the launch digest of nothing at all: any host "
			    "could run what it likes");
	return 0;
}

int
register_check(struct register_plan *p, struct err *err)
{
	size_t area;

	if (!p->allow_naples)
		p->r->deny_generations |= 1u << SEV_GEN_NAPLES;
	if (register_identity(p, err) != 0)
		return -1;
	if (p->r->shared && !p->has_vm)
		return err_set(err, ERR_USAGE,
		    "a UUID made of this agent's key cannot be shared: give "
		    "--uuid");
	if (check_policy(p, err) != 0 || check_kernels(p, err) != 0 ||
	    register_roots(p, err) != 0 || register_digests(p, err) != 0 ||
	    check_digests(p->r, err) != 0 || register_near(p, err) != 0 ||
	    (!p->no_secret && find_area(&area, p, err) != 0) ||
	    registration_check(p->r, err) != 0)
		return -1;
	remark(p);
	p->checked = true;
	return 0;
}

int
register_finish(struct registration **out, struct register_plan *p,
    const uint8_t *key, struct err *err)
{
	struct registration *r = p->r;

	if (!p->checked && register_check(p, err) != 0)
		return -1;
	if (build_table(p, err) != 0 || name_vm(p, key, err) != 0 ||
	    registration_check(r, err) != 0)
		return -1;
	*out = r;
	p->r = NULL;
	return 0;
}
