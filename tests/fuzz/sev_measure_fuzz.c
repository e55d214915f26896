/* A measurement from a host: nothing that it can send is accepted. */
#include <assert.h>

#include "agent/sev/sev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t tik[SEV_TK_LEN] = { 0x51 };
	struct reader r = reader_of(span_of(data, len));
	uint8_t digest[SEV_SHA256_LEN];
	struct sev_build build;
	struct sev_measure m;
	struct err err;
	uint32_t policy;

	build.api_major = reader_u8(&r);
	build.api_minor = reader_u8(&r);
	build.build_id = reader_u8(&r);
	policy = reader_le32(&r);
	reader_copy(&r, digest, sizeof(digest));
	if (!reader_ok(&r))
		return 0;
	if (sev_measure_parse(&m, r.rest, &err) != 0) {
		assert(r.rest.len != SEV_MEASURE_BLOB_LEN);
		return 0;
	}
	assert(r.rest.len == SEV_MEASURE_BLOB_LEN);
	assert(sev_measure_verify(&m, tik, &build, policy, digest, &err) != 0);
	assert(err.code == ERR_UNTRUSTED || err.code == ERR_UNSUPPORTED);
	return 0;
}
