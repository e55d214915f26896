#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/register/register_impl.h"

/* What is expected of a launch: one digest for each combination of firmware,
 * kernel, vCPU count and form of the save areas. */

#define MISSING_COUNT "SEV-ES measures the vCPUs: give their number, --cpus N"
#define MISSING_MODEL                                                           \
	"SEV-ES measures the vCPUs' model: give --cpu-model, which of a guest " \
	"with the host's own CPU is the cloud's to know (EPYC-Milan, say; or "  \
	"--cpu-sig, --cpu-family --cpu-model --cpu-stepping, --vmsa-cpu0)"

/* One way to tell the vCPUs: of two, one would silently not count. */
static int
check_vcpus(const struct register_plan *p, struct err *err)
{
	bool numbers = p->has_family || p->has_model || p->has_stepping;
	bool files = p->vmsa0.len > 0 || p->vmsa1.len > 0;

	if (numbers + p->has_signature + files > 1)
		return err_set(err, ERR_USAGE,
		    "--cpu-sig (or a model by its name), --cpu-family with "
		    "model and stepping, and --vmsa-cpu0 exclude each other");
	if (p->vmsa1.len > 0 && p->vmsa0.len == 0)
		return err_set(err, ERR_USAGE, "--vmsa-cpu1 needs --vmsa-cpu0");
	return 0;
}

int
register_vcpus(struct sev_vcpus *out, struct register_plan *p,
    enum sev_vmsa_variant variant, struct err *err)
{
	uint32_t signature = p->signature;

	*out = (struct sev_vcpus){ .source = SEV_VCPU_NONE };
	if (p->r->scheme != SCHEME_SEV_ES)
		return 0;
	if (check_vcpus(p, err) != 0)
		return -1;
	if (p->cpu_count == 0)
		return err_set(err, ERR_USAGE, MISSING_COUNT);
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
		return err_set(err, ERR_USAGE, MISSING_MODEL);
	}
	*out = (struct sev_vcpus){
		.source = SEV_VCPU_SIGNATURE,
		.signature = signature,
		.variant = variant,
	};
	return 0;
}

/* One launch in the making. */
struct combination {
	const struct register_firmware *firmware;
	const struct registration_kernel *kernel; /* NULL: none */
	uint32_t cpus;                            /* 0: not measured */
	enum sev_vmsa_variant variant;
};

static void
describe(char *out, size_t cap, const struct combination *c)
{
	char cpus[32] = "";

	if (c->cpus != 0)
		(void)snprintf(cpus, sizeof(cpus), ", %u vCPU%s%s", c->cpus,
		    c->cpus == 1 ? "" : "s",
		    c->variant == SEV_VMSA_INIT2 ? ", init2" : "");
	(void)snprintf(out, cap, "%s%s%s%s", c->firmware->about,
	    c->kernel != NULL ? " and kernel " : "",
	    c->kernel != NULL ? c->kernel->about : "", cpus);
}

/* A digest that is there already (two images alike) is not put in again. */
static int
put_digest(struct register_plan *p, const uint8_t digest[SEV_SHA256_LEN],
    const struct combination *c, struct err *err)
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
		    "kernels, vCPU counts or VMSA forms, please",
		    REGISTRATION_DIGESTS_MAX);
	d = &r->digests[r->digest_count++];
	memcpy(d->digest, digest, SEV_SHA256_LEN);
	memcpy(d->firmware, c->firmware->hash, SEV_SHA256_LEN);
	d->has_firmware = true;
	d->cpus = c->cpus;
	describe(d->about, sizeof(d->about), c);
	return 0;
}

static int
digests_of(
    struct register_plan *p, const struct combination *in, struct err *err)
{
	uint8_t out[REGISTRATION_DIGESTS_MAX][SEV_SHA256_LEN];
	bool es = p->r->scheme == SCHEME_SEV_ES;
	size_t count = es ? p->cpu_count : 1;
	struct combination one = *in;
	struct sev_launch launch = {
		.firmware = secret_span(&in->firmware->image),
		.kernel = in->kernel != NULL ? &in->kernel->hashes : NULL,
		.policy = p->r->policy,
	};
	const uint32_t once = 1;
	size_t i;

	if (register_vcpus(&launch.vcpus, p, in->variant, err) != 0 ||
	    sev_digest_launches(
		out, &launch, es ? p->cpus : &once, count, err) != 0)
		return err_wrap(err, "%s", in->firmware->about);
	for (i = 0; i < count; i++) {
		one.cpus = es ? p->cpus[i] : 0;
		if (put_digest(p, out[i], &one, err) != 0)
			return -1;
	}
	return 0;
}

bool
register_has_image(
    const struct register_plan *p, const struct register_firmware *f)
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
	const struct combination c = { .firmware = f };

	if (p->r->kernel_count > 0 || p->r->scheme == SCHEME_SEV_ES)
		return err_set(err, ERR_USAGE,
		    "%s: with a kernel or SEV-ES the digest goes on from "
		    "inside the firmware's hash: give the image itself, or "
		    "the launch digest (--digest)",
		    f->about);
	return put_digest(p, f->hash, &c, err);
}

/* Both forms of the save areas, as far as they are wanted and differ. */
static int
digests_of_forms(
    struct register_plan *p, struct combination *c, struct err *err)
{
	bool one = p->vmsa0.len > 0 || p->r->scheme == SCHEME_SEV;

	c->variant = SEV_VMSA_LEGACY;
	if ((p->variant[SEV_VMSA_LEGACY] || one) && digests_of(p, c, err) != 0)
		return -1;
	c->variant = SEV_VMSA_INIT2;
	if (p->variant[SEV_VMSA_INIT2] && !one)
		return digests_of(p, c, err);
	return 0;
}

static int
digests_of_firmware(
    struct register_plan *p, const struct register_firmware *f, struct err *err)
{
	struct combination c = { .firmware = f };
	struct sev_ovmf ovmf;
	size_t i;

	if (p->r->kernel_count == 0)
		return digests_of_forms(p, &c, err);
	if (sev_ovmf_parse(&ovmf, secret_span(&f->image), err) != 0)
		return err_wrap(err, "%s", f->about);
	if (!sev_ovmf_takes_hashes(&ovmf))
		return err_set(err, ERR_USAGE,
		    "%s: has no table for kernel hashes, so no kernel could "
		    "be measured; use the AmdSev build of OVMF (attest-agent "
		    "help firmware)",
		    f->about);
	for (i = 0; i < p->r->kernel_count; i++) {
		c.kernel = &p->r->kernels[i];
		if (digests_of_forms(p, &c, err) != 0)
			return -1;
	}
	return 0;
}

int
register_digests(struct register_plan *p, struct err *err)
{
	const struct register_firmware *f;
	size_t i;

	if (!p->variant[SEV_VMSA_LEGACY] && !p->variant[SEV_VMSA_INIT2])
		p->variant[SEV_VMSA_LEGACY] = true;
	p->r->cpu_count = p->cpu_count;
	memcpy(p->r->cpus, p->cpus, sizeof(p->cpus));
	for (i = 0; i < p->firmware_count; i++) {
		f = &p->firmware[i];
		if (f->image.len > 0) {
			if (digests_of_firmware(p, f, err) != 0)
				return -1;
		} else if (!register_has_image(p, f) &&
		    digest_of_hash(p, f, err) != 0) {
			return -1;
		}
	}
	return 0;
}
