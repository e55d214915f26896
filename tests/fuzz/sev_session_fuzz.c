/* A PDH from a host: a session for it, or a refusal. */
#include <assert.h>

#include "agent/sev/sev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct sev_session_seed seed = { .godh = { 1 } };
	static const struct sev_session none;
	struct sev_session out;
	struct sev_cert pdh, godh;
	struct err err = { ERR_NONE, "" };

	if (sev_cert_parse(&pdh, span_of(data, len), &err) != 0)
		return 0;
	if (sev_session_make(&out, &pdh, 1, &seed, &err) != 0) {
		assert(err.code == ERR_MALFORMED);
		assert(span_equal(
		    span_of(&out, sizeof(out)), span_of(&none, sizeof(none))));
		return 0;
	}
	assert(sev_cert_parse(&godh,
		   span_of(out.godh_cert, sizeof(out.godh_cert)), &err) == 0);
	return 0;
}
