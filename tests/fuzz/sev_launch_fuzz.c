/* An arbitrary registration of a launch: a digest or a clear refusal. */
#include <assert.h>

#include "agent/sev/sev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct reader r = reader_of(span_of(data, len));
	struct sev_kernel_hashes hashes;
	struct sev_launch in = { .policy = reader_u8(&r) };
	uint8_t out[2][SEV_SHA256_LEN];
	struct err err = { ERR_NONE, "" };
	uint32_t counts[2];
	uint8_t what = reader_u8(&r);

	in.vcpus.source =
	    what % 4 > 2 ? SEV_VCPU_NONE : (enum sev_vcpu_source)(what % 4);
	in.vcpus.variant = what & 4 ? SEV_VMSA_INIT2 : SEV_VMSA_LEGACY;
	in.vcpus.signature = reader_le32(&r);
	counts[0] = reader_u8(&r);
	counts[1] = reader_le16(&r) % (SEV_CPUS_MAX + 2);
	/* The rare case is that of a large guest, and it is slow. */
	if (what < 250)
		counts[1] %= 65;
	if (what & 8) {
		struct span cmdline = reader_take(&r, reader_u8(&r));

		if (sev_hash_table_cmdline(hashes.cmdline, cmdline, &err) != 0)
			return 0;
		reader_copy(&r, hashes.initrd, sizeof(hashes.initrd));
		reader_copy(&r, hashes.kernel, sizeof(hashes.kernel));
		in.kernel = &hashes;
	}
	if (in.vcpus.source == SEV_VCPU_FILES) {
		in.vcpus.vmsa0 = reader_take(&r, reader_le16(&r));
		in.vcpus.vmsa1 = reader_take(&r, reader_le16(&r));
	}
	in.firmware = r.rest;
	if (sev_digest_launches(out, &in, counts, 2, &err) != 0)
		assert(err.code != ERR_NONE && err.code != ERR_INTERNAL);
	return 0;
}
