/* One certificate: SEV or AMD.  What parses has spans inside the input. */
#include <assert.h>

#include "agent/sev/sev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
inside(struct span all, struct span part)
{
	assert(part.len == 0 ||
	    (part.ptr >= all.ptr && part.ptr + part.len <= all.ptr + all.len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span in = span_of(data, len);
	uint8_t fp[SEV_SHA256_LEN];
	struct err err;
	struct sev_cert cert;
	struct sev_amd_cert amd;
	struct sev_root root;

	if (sev_cert_parse(&cert, in, &err) == 0) {
		assert(len == SEV_CERT_LEN);
		inside(in, cert.signed_raw);
		inside(in, cert.sig[0].bytes);
		inside(in, cert.sig[1].bytes);
		sev_cert_is_signed(&cert);
		assert(sev_cert_same_key(&cert, &cert));
		assert(sev_cert_fingerprint(fp, &cert, &err) == 0);
	}
	if (sev_amd_cert_parse(&amd, in, &err) == 0) {
		inside(in, amd.body);
		inside(in, amd.signature);
		assert(amd.body.len + amd.signature.len == len);
		assert(sev_amd_cert_fingerprint(fp, &amd, &err) == 0);
	}
	sev_root_parse(&root, in, &err);
	return 0;
}
