/* A certificate file, raw or base64, and texts of the owner. */
#include <assert.h>

#include "agent/offline_file.h"
#include "agent/sev/sev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span in = span_of(data, len);
	struct secret bytes = { NULL, 0 };
	char text[SEV_GUID_TEXT_LEN + 1];
	struct sev_guid guid, back;
	struct err err;

	if (secret_copy(&bytes, in, &err) != 0)
		return 0;
	if (offline_file_decode(&bytes, &err) == 0)
		assert(bytes.len <= len);
	secret_free(&bytes);
	if (sev_guid_parse(&guid, in, &err) == 0) {
		sev_guid_format(text, &guid);
		assert(sev_guid_parse(&back, span_str(text), &err) == 0);
		assert(sev_guid_equal(&guid, &back));
	}
	return 0;
}
