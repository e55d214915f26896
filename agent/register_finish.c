#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/register.h"

#define MISSING_CPUS                                                             \
	"SEV-ES measures the vCPUs: give --cpus and --cpu-sig (or --cpu-family " \
	"--cpu-model --cpu-stepping, or --vmsa-cpu0 --vmsa-cpu1)"

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
		return err_set(err, ERR_USAGE, "policy 0x%x: %s%s", r->policy,
		    why.msg,
		    why.code == ERR_UNTRUSTED ? " (--allow-debug)" : "");
	register_note(p,
	    "warning: policy 0x%x lets the host read the guest's memory",
	    r->policy);
	return 0;
}

static int
check_kernel(struct register_plan *p, struct err *err)
{
	struct registration *r = p->r;

	if ((p->has_initrd || p->has_cmdline) && !p->has_kernel)
		return err_set(err, ERR_USAGE,
		    "initrd and command line are measured with a kernel "
		    "only: give --kernel");
	if (!p->has_kernel)
		return 0;
	/* QEMU's values for what is not given. */
	if (!p->has_initrd &&
	    sev_hash_sha256(p->kernel.initrd, (struct span){ 0 }, err) != 0)
		return -1;
	if (!p->has_cmdline &&
	    sev_hash_table_cmdline(
		p->kernel.cmdline, (struct span){ 0 }, err) != 0)
		return -1;
	r->has_kernel = r->kernel_hashes = true;
	r->kernel = p->kernel;
	return 0;
}

static int
fill_vcpus(struct sev_vcpus *out, struct register_plan *p,
    enum sev_vmsa_variant variant, struct err *err)
{
	uint32_t signature = p->signature;

	*out = (struct sev_vcpus){ .source = SEV_VCPU_NONE };
	if (p->r->scheme != SCHEME_SEV_ES)
		return 0;
	if (p->cpu_count == 0)
		return err_set(err, ERR_USAGE, MISSING_CPUS);
	if (p->vmsa0.len > 0) {
		*out = (struct sev_vcpus){
			.source = SEV_VCPU_FILES,
			.vmsa0 = secret_span(&p->vmsa0),
			.vmsa1 = secret_span(&p->vmsa1),
		};
		return 0;
	}
	if (p->has_family && p->has_model && p->has_stepping) {
		if (sev_vmsa_signature(
			&signature, p->family, p->model, p->stepping, err) != 0)
			return -1;
	} else if (!p->has_signature) {
		return err_set(err, ERR_USAGE, MISSING_CPUS);
	}
	*out = (struct sev_vcpus){
		.source = SEV_VCPU_SIGNATURE,
		.signature = signature,
		.variant = variant,
	};
	return 0;
}

/* A digest that is there already (two images alike) is not put in again. */
static int
put_digest(struct register_plan *p, const uint8_t digest[SEV_SHA256_LEN],
    const struct register_firmware *f, uint32_t cpus, const char *variant,
    struct err *err)
{
	struct registration *r = p->r;
	struct registration_digest *d;
	size_t i;

	for (i = 0; i < r->digest_count; i++)
		if (memcmp(r->digests[i].digest, digest, SEV_SHA256_LEN) == 0)
			return 0;
	if (r->digest_count >= REGISTRATION_DIGESTS_MAX)
		return err_set(err, ERR_LIMIT,
		    "more than %d launch digests: fewer firmware images, "
		    "vCPU counts or VMSA forms, please",
		    REGISTRATION_DIGESTS_MAX);
	d = &r->digests[r->digest_count++];
	memcpy(d->digest, digest, SEV_SHA256_LEN);
	memcpy(d->firmware, f->hash, SEV_SHA256_LEN);
	d->has_firmware = true;
	d->cpus = cpus;
	if (cpus != 0)
		(void)snprintf(d->about, sizeof(d->about), "%s%s, %u vCPUs%s",
		    f->about, r->has_kernel ? " and kernel" : "", cpus,
		    variant);
	else
		(void)snprintf(d->about, sizeof(d->about), "%s%s", f->about,
		    r->has_kernel ? " and kernel" : "");
	return 0;
}

static int
digests_of(struct register_plan *p, const struct register_firmware *f,
    enum sev_vmsa_variant variant, struct err *err)
{
	uint8_t out[REGISTRATION_DIGESTS_MAX][SEV_SHA256_LEN];
	bool es = p->r->scheme == SCHEME_SEV_ES;
	size_t count = es ? p->cpu_count : 1;
	struct sev_launch in = {
		.firmware = secret_span(&f->image),
		.kernel = p->has_kernel ? &p->kernel : NULL,
		.policy = p->r->policy,
	};
	const uint32_t one = 1;
	size_t i;

	if (fill_vcpus(&in.vcpus, p, variant, err) != 0 ||
	    sev_digest_launches(out, &in, es ? p->cpus : &one, count, err) != 0)
		return err_wrap(err, "%s", f->about);
	for (i = 0; i < count; i++)
		if (put_digest(p, out[i], f, es ? p->cpus[i] : 0,
			variant == SEV_VMSA_INIT2 ? ", init2" : "", err) != 0)
			return -1;
	return 0;
}

/* A hash beside its image says nothing more, but what else must hold. */
static bool
has_image(const struct register_plan *p, const struct register_firmware *f)
{
	size_t i;

	for (i = 0; i < p->firmware_count; i++)
		if (p->firmware[i].image.len > 0 &&
		    memcmp(p->firmware[i].hash, f->hash, SEV_SHA256_LEN) == 0)
			return true;
	return false;
}

/* From a hash alone, only the plainest of launches can be computed. */
static int
digest_of_hash(
    struct register_plan *p, const struct register_firmware *f, struct err *err)
{
	if (p->has_kernel || p->r->scheme == SCHEME_SEV_ES)
		return err_set(err, ERR_USAGE,
		    "%s: with a kernel or SEV-ES the digest goes on from "
		    "inside the firmware's hash: give the image itself, or "
		    "the launch digest (--digest)",
		    f->about);
	return put_digest(p, f->hash, f, 0, "", err);
}

static int
compute_digests(struct register_plan *p, struct err *err)
{
	size_t i;

	if (!p->variant[SEV_VMSA_LEGACY] && !p->variant[SEV_VMSA_INIT2])
		p->variant[SEV_VMSA_LEGACY] = true;
	for (i = 0; i < p->firmware_count; i++) {
		const struct register_firmware *f = &p->firmware[i];
		bool files = p->vmsa0.len > 0 || p->r->scheme == SCHEME_SEV;

		if (f->image.len == 0) {
			if (!has_image(p, f) && digest_of_hash(p, f, err) != 0)
				return -1;
			continue;
		}
		if ((p->variant[SEV_VMSA_LEGACY] || files) &&
		    digests_of(p, f, SEV_VMSA_LEGACY, err) != 0)
			return -1;
		if (p->variant[SEV_VMSA_INIT2] && !files &&
		    digests_of(p, f, SEV_VMSA_INIT2, err) != 0)
			return -1;
	}
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

		if (f->image.len == 0 && has_image(p, f))
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
		    "--secret-prompt, or --no-secret if there is none");
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
		return err_wrap(err, "secrets");
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

static void
remark(struct register_plan *p)
{
	const struct registration *r = p->r;

	if (r->any_platform && r->cloud_count == 0 && r->chip_allow_count == 0)
		register_note(p,
		    "warning: any genuine AMD machine may start this VM, "
		    "anybody's included");
	if (r->max_instances == 0)
		register_note(
		    p, "note: no --max-instances: any number of starts");
	if (p->firmware_count > 0)
		register_note(p,
		    "note: NVRAM variables are not measured; use firmware "
		    "that does not trust them");
}

int
register_finish(struct registration **out, struct register_plan *p,
    const uint8_t *key, struct err *err)
{
	struct registration *r = p->r;

	if (!p->allow_naples)
		r->deny_generations |= 1u << SEV_GEN_NAPLES;
	if (register_identity(p, err) != 0 || check_policy(p, err) != 0 ||
	    check_kernel(p, err) != 0 || register_roots(p, err) != 0 ||
	    compute_digests(p, err) != 0 || build_table(p, err) != 0 ||
	    name_vm(p, key, err) != 0)
		return -1;
	if (registration_check(r, err) != 0)
		return -1;
	remark(p);
	*out = r;
	p->r = NULL;
	return 0;
}
