#include "agent/sev/vmsa.h"

#include <string.h>

/* Where a vCPU of an SEV-ES guest starts. */
#define BSP_RESET 0xfffffff0u

/* Segments: selector u16, attributes u16, limit u32, base u64. */
static const struct {
	uint16_t at, selector, attributes;
	uint32_t limit;
} segments[] = {
	{ 0x000, 0, 0x93, 0xffff },      /* ES */
	{ 0x010, 0xf000, 0x9b, 0xffff }, /* CS; its base is the vCPU's own */
	{ 0x020, 0, 0x93, 0xffff },      /* SS */
	{ 0x030, 0, 0x93, 0xffff },      /* DS */
	{ 0x040, 0, 0x93, 0xffff },      /* FS */
	{ 0x050, 0, 0x93, 0xffff },      /* GS */
	{ 0x060, 0, 0, 0xffff },         /* GDTR */
	{ 0x070, 0, 0x82, 0xffff },      /* LDTR */
	{ 0x080, 0, 0, 0xffff },         /* IDTR */
	{ 0x090, 0, 0x8b, 0xffff },      /* TR */
};

static const struct {
	uint16_t at;
	uint64_t value;
} registers[] = {
	{ 0x0d0, 0x1000 },             /* EFER: SVME, set by KVM */
	{ 0x148, 0x40 },               /* CR4: MCE, set by KVM */
	{ 0x158, 0x10 },               /* CR0 */
	{ 0x160, 0x400 },              /* DR7 */
	{ 0x168, 0xffff0ff0 },         /* DR6 */
	{ 0x170, 0x2 },                /* RFLAGS */
	{ 0x268, 0x0007040600070406 }, /* PAT */
	{ 0x3e8, 1 },                  /* XCR0 */
};

/* QEMU's models; source QEMU target/i386/cpu.c.  Later versions of a model
 * ("-v2") differ in features, not in these numbers. */
static const struct {
	const char *name;
	uint32_t family, model, stepping;
} models[SEV_VMSA_MODELS] = {
	{ "EPYC", 23, 1, 2 },
	{ "EPYC-Rome", 23, 49, 0 },
	{ "EPYC-Milan", 25, 1, 1 },
	{ "EPYC-Genoa", 25, 17, 0 },
	{ "EPYC-Turin", 26, 0, 0 },
};

#define CS_BASE 0x018
#define RIP 0x178
#define RDX 0x310
#define MXCSR 0x408   /* u32 */
#define X87_FCW 0x410 /* u16 */

int
sev_vmsa_signature(uint32_t *out, uint32_t family, uint32_t model,
    uint32_t stepping, struct err *err)
{
	if (family > 15 + 255 || model > 255 || stepping > 15)
		return err_set(err, ERR_USAGE,
		    "CPU %u/%u/%u, at most 270/255/15 (APM 3 E.3.2)", family,
		    model, stepping);
	if (family > 15)
		*out = 0xf00 | (family - 15) << 20;
	else
		*out = family << 8;
	*out |= (model & 15) << 4 | (model >> 4) << 16 | stepping;
	return 0;
}

static void
put_at(uint8_t page[SEV_VMSA_LEN], size_t at, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		page[at + i] = (uint8_t)(value >> 8 * i);
}

static void
build(uint8_t out[SEV_VMSA_LEN], uint32_t signature,
    enum sev_vmsa_variant variant, uint32_t reset)
{
	memset(out, 0, SEV_VMSA_LEN);
	for (size_t i = 0; i < sizeof(segments) / sizeof(*segments); i++) {
		put_at(out, segments[i].at, segments[i].selector, 2);
		put_at(out, segments[i].at + 2u, segments[i].attributes, 2);
		put_at(out, segments[i].at + 4u, segments[i].limit, 4);
	}
	for (size_t i = 0; i < sizeof(registers) / sizeof(*registers); i++)
		put_at(out, registers[i].at, registers[i].value, 8);
	put_at(out, CS_BASE, reset & 0xffff0000, 8);
	put_at(out, RIP, reset & 0xffff, 8);
	put_at(out, RDX, signature, 8);
	if (variant == SEV_VMSA_INIT2) {
		put_at(out, MXCSR, 0x1f80, 4);
		put_at(out, X87_FCW, 0x037f, 2);
	}
}

void
sev_vmsa_bsp(uint8_t out[SEV_VMSA_LEN], uint32_t signature,
    enum sev_vmsa_variant variant)
{
	build(out, signature, variant, BSP_RESET);
}

void
sev_vmsa_ap(uint8_t out[SEV_VMSA_LEN], uint32_t signature,
    enum sev_vmsa_variant variant, uint32_t reset)
{
	build(out, signature, variant, reset);
}

static const char *const variants[] = {
	[SEV_VMSA_LEGACY] = "legacy",
	[SEV_VMSA_INIT2] = "init2",
};

const char *
sev_vmsa_variant_name(enum sev_vmsa_variant variant)
{
	return variant <= SEV_VMSA_INIT2 ? variants[variant] : "?";
}

int
sev_vmsa_variant_find(
    enum sev_vmsa_variant *out, struct span name, struct err *err)
{
	for (enum sev_vmsa_variant v = 0; v <= SEV_VMSA_INIT2; v++) {
		if (span_is(name, variants[v])) {
			*out = v;
			return 0;
		}
	}
	return err_set(err, ERR_NOT_FOUND,
	    "no such VMSA variant; there are legacy and init2");
}

const char *
sev_vmsa_model_name(size_t i)
{
	return models[i].name;
}

/* "EPYC-Milan-v2" is EPYC-Milan, "EPYC-IBPB" is EPYC. */
static struct span
without_version(struct span name)
{
	static const char ibpb[] = "-IBPB";
	size_t tail = sizeof(ibpb) - 1;
	size_t len = name.len;

	while (len > 0 && name.ptr[len - 1] >= '0' && name.ptr[len - 1] <= '9')
		len--;
	if (len < name.len && len >= 2 &&
	    span_is(span_of(name.ptr + len - 2, 2), "-v"))
		name.len = len - 2;
	if (name.len > tail &&
	    span_is(span_of(name.ptr + name.len - tail, tail), ibpb))
		name.len -= tail;
	return name;
}

int
sev_vmsa_model_find(uint32_t *out, struct span name, struct err *err)
{
	struct span bare = without_version(name);

	for (size_t i = 0; i < SEV_VMSA_MODELS; i++)
		if (span_is(bare, models[i].name))
			return sev_vmsa_signature(out, models[i].family,
			    models[i].model, models[i].stepping, err);
	return err_set(err, ERR_NOT_FOUND,
	    "CPU model \"%.*s\": want one of QEMU's EPYC models, or its "
	    "signature",
	    (int)(name.len < 40 ? name.len : 40), (const char *)name.ptr);
}
