/* A certificate file (raw, base64, QMP, virsh), and texts of the owner. */
#include <assert.h>

#include "agent/cli/offline_chain.h"
#include "agent/sev/sev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span in = span_of(data, len);
	struct secret bytes = { NULL, 0 };
	char text[SEV_GUID_TEXT_LEN + 1];
	struct sev_guid guid, back;
	struct offline_blobs blobs = { .count = 0 };
	struct sev_chain chain;
	struct err err;

	if (secret_copy(&bytes, in, &err) != 0)
		return 0;
	if (offline_chain_add(&blobs, &bytes, &err) == 0) {
		assert(blobs.count > 0);
		offline_chain_parse(&chain, &blobs, &err);
	}
	offline_chain_free(&blobs);
	secret_free(&bytes);
	if (sev_guid_parse(&guid, in, &err) == 0) {
		sev_guid_format(text, &guid);
		assert(sev_guid_parse(&back, span_str(text), &err) == 0);
		assert(sev_guid_equal(&guid, &back));
	}
	return 0;
}
