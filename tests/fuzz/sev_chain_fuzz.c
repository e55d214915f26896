/* A chain blob, cut in two at a place that the first bytes choose. */
#include <assert.h>

#include "agent/sev/sev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct reader r = reader_of(span_of(data, len));
	size_t cut = reader_le16(&r);
	struct sev_trust trust = { .want_cloud = false };
	struct sev_chain chain;
	struct sev_verdict v;
	struct err err = { ERR_NONE, "" };
	struct span in[2];

	if (!reader_ok(&r))
		return 0;
	in[0] = reader_take(&r, cut % (r.rest.len + 1));
	in[1] = r.rest;
	if (sev_chain_parse(&chain, in, in[0].len == 0 ? 0 : 2, &err) != 0 &&
	    sev_chain_parse(&chain, &r.rest, 1, &err) != 0) {
		assert(err.code != ERR_NONE);
		return 0;
	}
	if (sev_chain_verify(&v, &chain, &trust, &err) == 0) {
		/* The keys of the pinned generation, and no others. */
		assert(v.failed == SEV_CHECK_NONE);
		assert(v.generation != SEV_GEN_OPERATOR);
	} else {
		assert(v.failed != SEV_CHECK_NONE);
		assert(err.code != ERR_NONE && err.msg[0] != '\0');
	}
	return 0;
}
