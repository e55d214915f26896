#include "agent/sev/digest.h"

#include "agent/sev/guest_policy.h"
#include "agent/sev/ovmf.h"

/* The save areas of one launch: the first vCPU's, and everybody else's. */
struct pages {
	struct span bsp;
	struct span ap; /* empty: for one vCPU only */
	uint8_t bsp_page[SEV_VMSA_LEN];
	uint8_t ap_page[SEV_VMSA_LEN];
};

static int
pages_from_files(struct pages *out, const struct sev_vcpus *in, struct err *err)
{
	const struct span files[] = { in->vmsa0, in->vmsa1 };

	for (size_t i = 0; i < 2; i++) {
		/* The second may be absent. */
		if (files[i].len == SEV_VMSA_LEN ||
		    (i > 0 && files[i].len == 0))
			continue;
		return err_set(err, ERR_MALFORMED,
		    "VMSA of vCPU %zu has %zu bytes, want %d", i, files[i].len,
		    SEV_VMSA_LEN);
	}
	out->bsp = in->vmsa0;
	out->ap = in->vmsa1;
	return 0;
}

static int
make_pages(struct pages *out, const struct sev_launch *in,
    const struct sev_ovmf *ovmf, struct err *err)
{
	const struct sev_vcpus *cpus = &in->vcpus;

	out->bsp = out->ap = span_of(NULL, 0);
	switch (cpus->source) {
	case SEV_VCPU_FILES:
		return pages_from_files(out, cpus, err);
	case SEV_VCPU_SIGNATURE:
		sev_vmsa_bsp(out->bsp_page, cpus->signature, cpus->variant);
		out->bsp = span_of(out->bsp_page, SEV_VMSA_LEN);
		if (!ovmf->has_reset)
			return 0;
		sev_vmsa_ap(
		    out->ap_page, cpus->signature, cpus->variant, ovmf->reset);
		out->ap = span_of(out->ap_page, SEV_VMSA_LEN);
		return 0;
	case SEV_VCPU_NONE:
	default:
		return err_set(err, ERR_UNSUPPORTED,
		    "SEV-ES measures the vCPUs: their CPU model or VMSA files "
		    "are needed (policy 0x%x)",
		    in->policy);
	}
}

static int
check_counts(const struct pages *pages, const uint32_t *counts, size_t count,
    struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (counts[i] == 0)
			return err_set(err, ERR_UNSUPPORTED,
			    "SEV-ES measures the vCPUs: their number is "
			    "needed");
		if (counts[i] > SEV_CPUS_MAX)
			return err_set(err, ERR_LIMIT, "%u vCPUs, at most %d",
			    counts[i], SEV_CPUS_MAX);
		if (counts[i] > 1 && pages->ap.len == 0)
			return err_set(err, ERR_UNSUPPORTED,
			    "%u vCPUs need a firmware with an SEV-ES reset "
			    "vector, or the VMSA of vCPU 1",
			    counts[i]);
	}
	return 0;
}

/* ${h} holds what goes before the vCPUs; peek at each wanted count. */
static int
add_vcpus(uint8_t (*out)[SEV_SHA256_LEN], struct sev_hash *h,
    const struct sev_launch *in, const struct sev_ovmf *ovmf,
    const uint32_t *counts, size_t count, struct err *err)
{
	struct pages pages;
	uint32_t most = 0;

	if (make_pages(&pages, in, ovmf, err) != 0 ||
	    check_counts(&pages, counts, count, err) != 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		most = counts[i] > most ? counts[i] : most;
	for (uint32_t n = 1; n <= most; n++) {
		if (sev_hash_add(h, n == 1 ? pages.bsp : pages.ap, err) != 0)
			return -1;
		for (size_t i = 0; i < count; i++)
			if (counts[i] == n &&
			    sev_hash_peek(out[i], h, err) != 0)
				return -1;
	}
	return 0;
}

/* Firmware and hash table; what the vCPUs need of the firmware to ${ovmf}. */
static int
add_memory(struct sev_hash *h, struct sev_ovmf *ovmf,
    const struct sev_launch *in, struct err *err)
{
	uint8_t table[SEV_HASH_TABLE_LEN];
	struct err why = { ERR_NONE, "" };

	if (in->firmware.len == 0 || in->firmware.len > SEV_OVMF_LEN_MAX)
		return err_set(err, ERR_MALFORMED,
		    "firmware of %zu bytes, want 1 to %u", in->firmware.len,
		    SEV_OVMF_LEN_MAX);
	/* Firmware other than OVMF has no table, and may still be measured. */
	if (sev_ovmf_parse(ovmf, in->firmware, &why) != 0 &&
	    why.code != ERR_NOT_FOUND)
		return err_set(err, why.code, "firmware: %s", why.msg);
	if (sev_hash_add(h, in->firmware, err) != 0)
		return -1;
	if (in->kernel == NULL)
		return 0;
	if (!sev_ovmf_takes_hashes(ovmf))
		return err_set(err, ERR_UNSUPPORTED,
		    "the firmware has no area for kernel hashes (base 0x%x, "
		    "%u bytes): QEMU refuses kernel-hashes=on with it",
		    ovmf->hashes.base, ovmf->hashes.size);
	sev_hash_table_build(table, in->kernel);
	return sev_hash_add(h, span_of(table, sizeof(table)), err);
}

int
sev_digest_launches(uint8_t (*out)[SEV_SHA256_LEN], const struct sev_launch *in,
    const uint32_t *counts, size_t count, struct err *err)
{
	struct sev_hash *h = NULL;
	struct sev_ovmf ovmf;
	int rc = -1;

	if (sev_hash_new(&h, err) != 0 || add_memory(h, &ovmf, in, err) != 0)
		goto out;
	if ((in->policy & SEV_POLICY_ES) != 0) {
		rc = add_vcpus(out, h, in, &ovmf, counts, count, err);
		goto out;
	}
	for (size_t i = 0; i < count; i++)
		if (sev_hash_peek(out[i], h, err) != 0)
			goto out;
	rc = 0;
out:
	sev_hash_free(h);
	return rc;
}

int
sev_digest_launch(
    uint8_t out[SEV_SHA256_LEN], const struct sev_launch *in, struct err *err)
{
	uint8_t digest[1][SEV_SHA256_LEN];

	if (sev_digest_launches(digest, in, &in->vcpus.count, 1, err) != 0)
		return -1;
	for (size_t i = 0; i < SEV_SHA256_LEN; i++)
		out[i] = digest[0][i];
	return 0;
}
