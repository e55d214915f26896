#include <stdio.h>
#include <string.h>

#include "agent/near.h"
#include "agent/register/register_impl.h"

/*
 * The digests of likely mistakes of a host: each differs in one thing from a
 * launch that is expected.  Alternatives that cannot be computed (a firmware
 * without a hash table, say) are left out: this is help, not a rule.
 */

/* Besides the counts of the registration itself. */
static const uint32_t usual_cpus[] = { 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16,
	20, 24, 32, 48, 64 };
#define USUAL_CPUS (sizeof(usual_cpus) / sizeof(usual_cpus[0]))

/* One expected launch, and the list it adds to. */
struct around {
	struct register_plan *plan;
	struct writer *w;
	const struct register_firmware *firmware;
	struct sev_launch launch;
	const uint32_t *cpus; /* of the registration, or { 1 } for plain SEV */
	size_t cpu_count;
};

static bool
is_expected(const struct registration *r, const uint8_t digest[SEV_SHA256_LEN])
{
	size_t i;

	for (i = 0; i < r->digest_count; i++)
		if (memcmp(r->digests[i].digest, digest, SEV_SHA256_LEN) == 0)
			return true;
	return false;
}

static void
add(struct around *a, const struct sev_launch *launch, const uint32_t *cpus,
    size_t count, const char *words)
{
	uint8_t out[USUAL_CPUS][SEV_SHA256_LEN];
	char text[NEAR_WORDS_MAX + 1];
	size_t i;

	if (count > USUAL_CPUS ||
	    sev_digest_launches(out, launch, cpus, count, NULL) != 0)
		return;
	for (i = 0; i < count; i++) {
		if (is_expected(a->plan->r, out[i]) ||
		    a->w->len + SEV_SHA256_LEN + 1 + sizeof(text) >
			REGISTRATION_NEAR_MAX)
			continue;
		if (launch->vcpus.source == SEV_VCPU_NONE)
			(void)snprintf(text, sizeof(text), "%s, with %s", words,
			    a->firmware->about);
		else
			(void)snprintf(text, sizeof(text),
			    "%s, with %s and %u vCPU%s", words,
			    a->firmware->about, cpus[i],
			    cpus[i] == 1 ? "" : "s");
		near_put(a->w, out[i], text);
	}
}

static void
other_kernels(struct around *a, const struct registration_kernel *k)
{
	struct sev_kernel_hashes hashes = k->hashes;
	struct sev_launch launch = a->launch;

	launch.kernel = NULL;
	add(a, &launch, a->cpus, a->cpu_count,
	    "kernel hashes are off (kernelHashes='yes', kernel-hashes=on)");
	launch.kernel = &hashes;
	if (sev_hash_sha256(hashes.initrd, (struct span){ 0 }, NULL) == 0)
		add(a, &launch, a->cpus, a->cpu_count, "no initrd");
	hashes = k->hashes;
	if (sev_hash_table_cmdline(hashes.cmdline, (struct span){ 0 }, NULL) ==
	    0)
		add(a, &launch, a->cpus, a->cpu_count, "no command line");
}

static void
other_cmdline(struct around *a, const struct registration_kernel *k,
    const char *text, size_t len, const char *tail, const char *words)
{
	struct sev_kernel_hashes hashes = k->hashes;
	struct sev_launch launch = a->launch;
	char line[4096];

	if (len + strlen(tail) >= sizeof(line))
		return;
	memcpy(line, text, len);
	memcpy(line + len, tail, strlen(tail) + 1);
	launch.kernel = &hashes;
	if (sev_hash_table_cmdline(hashes.cmdline, span_str(line), NULL) == 0)
		add(a, &launch, a->cpus, a->cpu_count, words);
}

/* How a line ends is what editors, shells and boot loaders change. */
static void
other_endings(struct around *a, size_t kernel)
{
	const struct register_parts *lines = &a->plan->cmdlines;
	const struct registration_kernel *k = &a->plan->r->kernels[kernel];
	const char *text;
	size_t len;

	if (lines->count == 0)
		return;
	text = lines->part[lines->count == 1 ? 0 : kernel].text;
	if (text == NULL)
		return;
	len = strlen(text);
	other_cmdline(
	    a, k, text, len, "\n", "a newline behind the command line");
	other_cmdline(a, k, text, len, " ", "a space behind the command line");
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\n'))
		len--;
	other_cmdline(a, k, text, len, "",
	    "a command line without the white space at its end");
}

/* AMDESE/AMDSEV issue 195: kernels that set the bit on their own. */
static void
debug_swap(struct around *a)
{
	uint8_t page[2][SEV_VMSA_LEN];
	struct sev_launch launch = a->launch;
	struct sev_vcpus *v = &launch.vcpus;
	struct sev_ovmf ovmf;
	size_t i;

	if (v->source == SEV_VCPU_SIGNATURE) {
		if (sev_ovmf_parse(&ovmf, launch.firmware, NULL) != 0)
			return;
		sev_vmsa_bsp(page[0], v->signature, v->variant);
		sev_vmsa_ap(page[1], v->signature, v->variant, ovmf.reset);
	} else if (v->source == SEV_VCPU_FILES &&
	    v->vmsa0.len == SEV_VMSA_LEN && v->vmsa1.len == SEV_VMSA_LEN) {
		memcpy(page[0], v->vmsa0.ptr, SEV_VMSA_LEN);
		memcpy(page[1], v->vmsa1.ptr, SEV_VMSA_LEN);
	} else {
		return;
	}
	for (i = 0; i < 2; i++)
		page[i][SEV_VMSA_FEATURES] ^= SEV_VMSA_DEBUG_SWAP;
	*v = (struct sev_vcpus){ .source = SEV_VCPU_FILES,
		.vmsa0 = span_of(page[0], SEV_VMSA_LEN),
		.vmsa1 = span_of(page[1], SEV_VMSA_LEN) };
	add(a, &launch, a->cpus, a->cpu_count,
	    "debug_swap is on in the host's kernel (kvm_amd.debug_swap=0)");
}

static void
other_vcpus(struct around *a)
{
	struct sev_launch launch = a->launch;
	char words[64];
	size_t i;

	if (launch.vcpus.source == SEV_VCPU_NONE)
		return;
	add(a, &launch, usual_cpus, USUAL_CPUS, "another number of vCPUs");
	debug_swap(a);
	if (launch.vcpus.source != SEV_VCPU_SIGNATURE)
		return;
	for (i = 0; i < SEV_VMSA_MODELS; i++) {
		const char *name = sev_vmsa_model_name(i);

		launch = a->launch;
		if (sev_vmsa_model_find(
			&launch.vcpus.signature, span_str(name), NULL) != 0)
			continue;
		(void)snprintf(words, sizeof(words), "CPU model %s", name);
		add(a, &launch, a->cpus, a->cpu_count, words);
	}
}

/* The form that is not registered, by the counts that are and others. */
static void
other_form(struct around *a)
{
	struct sev_launch launch = a->launch;
	bool legacy = launch.vcpus.variant == SEV_VMSA_LEGACY;

	if (launch.vcpus.source != SEV_VCPU_SIGNATURE)
		return;
	launch.vcpus.variant = legacy ? SEV_VMSA_INIT2 : SEV_VMSA_LEGACY;
	add(a, &launch, a->cpus, a->cpu_count,
	    legacy ? "the init2 form of the save areas (--vmsa both)"
		   : "the legacy form of the save areas (--vmsa both)");
}

static void
around_one(struct around *a)
{
	const struct registration *r = a->plan->r;
	size_t i;

	if (r->kernel_count == 0) {
		other_form(a);
		other_vcpus(a);
		return;
	}
	for (i = 0; i < r->kernel_count; i++) {
		a->launch.kernel = &r->kernels[i].hashes;
		other_form(a);
		other_kernels(a, &r->kernels[i]);
		other_endings(a, i);
		other_vcpus(a);
	}
}

int
register_near(struct register_plan *p, struct err *err)
{
	bool es = p->r->scheme == SCHEME_SEV_ES;
	static const uint32_t once = 1;
	struct secret room = { 0 };
	struct writer w;
	size_t i;
	int rc;

	if (secret_alloc(&room, REGISTRATION_NEAR_MAX, err) != 0)
		return -1;
	w = writer_of(room.ptr, room.len);
	for (i = 0; i < p->firmware_count; i++) {
		struct around a = {
			.plan = p,
			.w = &w,
			.firmware = &p->firmware[i],
			.launch = { .firmware =
					secret_span(&p->firmware[i].image),
			    .policy = p->r->policy },
			.cpus = es ? p->cpus : &once,
			.cpu_count = es ? p->cpu_count : 1,
		};
		enum sev_vmsa_variant form = p->variant[SEV_VMSA_LEGACY]
		    ? SEV_VMSA_LEGACY
		    : SEV_VMSA_INIT2;

		if (p->firmware[i].image.len > 0 &&
		    register_vcpus(&a.launch.vcpus, p, form, NULL) == 0)
			around_one(&a);
	}
	rc = secret_copy(&p->r->near, writer_span(&w), err);
	secret_free(&room);
	return rc;
}
