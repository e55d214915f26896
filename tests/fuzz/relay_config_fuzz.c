#include "common/address.h"
#include "relay/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever the file says: it loads, or every fault is told with its place. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_report report = { 0 };
	struct relay_config c = { 0 };
	uint8_t *exact = malloc(size != 0 ? size : 1);
	char host[64];
	uint16_t port;
	int rc;

	if (exact == NULL)
		return 0;
	memcpy(exact, data, size);
	rc = conf_parse(&c, &relay_config_table, "relay.yaml",
	    span_of(exact, size), &report);
	if ((rc == 0) != (report.errors == 0) ||
	    (report.errors > 0 && report.text == NULL))
		abort();
	for (size_t i = 0; rc == 0 && i < c.public.listen.count; i++)
		if (address_split(host, sizeof(host), &port,
			((char *const *)c.public.listen.items)[i], NULL) != 0)
			abort();
	conf_free(&c, &relay_config_table);
	conf_report_free(&report);
	free(exact);
	return 0;
}
