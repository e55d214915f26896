#include "launch/qmp_sev.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

/* A line of QMP is refused whole or decoded whole, and what a SEV command
 * returned is in its bounds. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct measured guest;
	struct qmp_sev_host host;
	struct qmp_message m;
	struct err err = { 0 };

	if (qmp_decode(&m, span_of(data, size), &err) != 0) {
		MUST(m.object == NULL && err.msg[0] != '\0');
		return 0;
	}
	MUST(m.object != NULL);
	MUST(memchr(m.words, '\0', sizeof(m.words)) != NULL);
	if (m.kind == QMP_RETURN) {
		if (qmp_sev_host_read(&host, m.value, &err) == 0)
			MUST(host.facts != NULL && host.cbitpos < 64);
		qmp_sev_host_free(&host);
		(void)qmp_sev_guest_read(&guest, m.value, &err);
		(void)qmp_sev_measurement_read(&guest, m.value, &err);
	}
	qmp_message_free(&m);
	return 0;
}
