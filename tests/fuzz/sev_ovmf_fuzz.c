/* A firmware image: the walk over its GUID table. */
#include <assert.h>

#include "agent/sev/sev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sev_ovmf o;
	struct err err = { ERR_NONE, "" };

	if (sev_ovmf_parse(&o, span_of(data, len), &err) != 0) {
		assert(err.code == ERR_NOT_FOUND || err.code == ERR_MALFORMED);
		assert(!o.has_reset && !o.secret.named && !o.hashes.named);
		return 0;
	}
	assert(o.entry_count <= len / 18);
	assert(!sev_ovmf_takes_hashes(&o) || o.hashes.size >= 176);
	assert(!sev_ovmf_takes_secret(&o) || o.secret.base != 0);
	return 0;
}
